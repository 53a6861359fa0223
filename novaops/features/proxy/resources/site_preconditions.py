"""What must hold before a site is set up: its names and ports are free, and there are name servers to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from novaops.errors import Refused
from novaops.facts.listening import Listening
from novaops.features.proxy.facts.nginx import DEFAULT_PAGE, RESOLVE, Nginx, NginxFacts
from novaops.features.proxy.inherited import odd_headers, other_addresses, stays, unknown
from novaops.features.proxy.resources.nginx_files import CONF, DEFAULT, SHARED, is_ours, site_files
from novaops.features.proxy.resources.ports import Pair, troubles
from novaops.formats.names import covers
from novaops.formats.nginx_conf import Listen, NginxServer
from novaops.model.plan import ListensAt, Resource, Step
from novaops.model.question import Facts, Question

_ALL = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104 - read, not bound
_ALL_OF_NGINX = frozenset({"*", "[::]"})
_NEVER = frozenset({"0", "0s", "0ms"})
_UNIT = "nginx.service"
"""Another nginx, of a panel or a container or started by hand, is somebody else's program."""
_BEFORE_MAPS = frozenset({"map_hash_max_size", "map_hash_bucket_size"})
_NO_NAMES = frozenset({"", "_", "localhost"})


@dataclass(frozen=True)
class SitePreconditions(Resource):
    name: str
    domains: tuple[str, ...]
    ports: tuple[int, ...]
    deployed: tuple[str, ...] = ()
    """The names of all sites of the section: their files are about to be replaced, and so do not conflict with this one."""
    needs_resolver: bool = False
    """Whether an upstream is a name."""
    pooled_name: str = ""
    """A name that is one of several upstreams; "" where there is none."""
    listen: tuple[str, ...] = ()
    """The addresses that it listens on; none for all of the host."""
    listens: Callable[[int, NginxFacts], Iterable[Pair]] | None = field(default=None, repr=False, compare=False)
    """Where it listens at a port, as nginx is told; None for `listen` as it is."""
    tls_ports: tuple[int, ...] = ()
    secured: bool = False
    """Whether what is behind it is asked over TLS."""

    @property
    def id(self) -> str:
        return f"site:{self.name}"

    def listens_at(self) -> Iterator[ListensAt]:
        for address in self.listen or ("",):
            yield from (ListensAt(f"the site {self.name}", port, address, program="nginx") for port in self.ports)

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Nginx(), Listening())

    def plan(self, facts: Facts) -> Iterable[Step]:
        nginx = facts.known(Nginx())
        self._refuse_another_main_file(nginx)
        self._refuse_unread(nginx)
        self._refuse_taken_names(nginx)
        self._refuse_taken_ports(facts)
        self._refuse_ports_of_nginx(nginx, facts)
        self._refuse_shadowing(nginx)
        self._refuse_inherited(nginx)
        self._refuse_odd_headers(nginx)
        self._refuse_late(nginx)
        if self.needs_resolver and not nginx.resolvers:
            raise Refused(
                f"{self.name}: the host has no name server",
                why="/etc/resolv.conf has none that nginx could ask for the address of an upstream.",
                fix="put a nameserver line there",
            )
        if self.pooled_name and nginx.version < RESOLVE:
            raise Refused(
                f"{self.name}: {self.pooled_name} is a name among several upstreams",
                why=f"nginx {'.'.join(map(str, nginx.version))} looks such names up once, when it starts, and does not start when DNS is down.",
                fix="write addresses, or use nginx 1.27.3 or newer",
            )
        return ()

    def _refuse_another_main_file(self, nginx: NginxFacts) -> None:
        if nginx.started_with:
            raise Refused(
                f"{self.name}: nginx.service starts nginx with {nginx.started_with}, and not with {nginx.main_file}",
                why="novaops sees and tests what nginx reads by itself. What nginx.service has it read, by -c or -p, may have none of the sites.",
                fix=f"put the configuration into {nginx.main_file}, and take -c and -p out of the unit: systemctl cat nginx.service shows where",
            )

    def _refuse_unread(self, nginx: NginxFacts) -> None:
        if nginx.conf.files and not all(map(nginx.conf.reads, (SHARED, site_files(self.name)[0], DEFAULT))):
            raise Refused(
                f"{self.name}: http of {nginx.conf.http_place} includes nothing of {CONF}",
                why="nginx would never read the site's file.",
                fix=f"write `include {CONF}/*.conf;` there",
            )

    def _pairs(self, nginx: NginxFacts) -> list[Pair]:
        return [pair for port in self.ports for pair in self.listens(port, nginx)] if self.listens else []

    def _refuse_ports_of_nginx(self, nginx: NginxFacts, facts: Facts) -> None:
        pairs = self._pairs(nginx)
        listening = facts.known(Listening())
        for what, why, fix in troubles(pairs, self.tls_ports, nginx, listening, {*site_files(self.name), DEFAULT}):
            raise Refused(f"{self.name}: {what}", why=why, fix=fix)

    def _refuse_inherited(self, nginx: NginxFacts) -> None:
        for directive in stays(nginx, tls=bool(self.tls_ports), secured=self.secured):
            raise Refused(
                f"{self.name}: {directive.name} of {directive.place} would apply to this site as well",
                why="It stands in http, and nginx has no way to take it back for one server.",
                fix="move it into the servers that need it",
            )

    def _refuse_odd_headers(self, nginx: NginxFacts) -> None:
        pairs = self._pairs(nginx)
        for pair, server in foreign_defaults(nginx).items():
            if pair in pairs and (directive := odd_headers(nginx, server)):
                own = "off" if directive.words[1].lower() == "on" else "on"
                raise Refused(
                    f"{self.name}: {directive.name} of {directive.place} would apply to requests for this site as well",
                    why=f"nginx reads what comes before the name in a request by the default server of port {pair[1]}, {server.place}. "
                    "So X_Forwarded_For would pass, which many a backend takes for X-Forwarded-For.",
                    fix=f"write `{directive.name} {own};` into that server",
                )

    def _refuse_late(self, nginx: NginxFacts) -> None:
        """Raises Refused for what nginx takes only before the first `map`, of which the files of novaops have some."""
        said = any(each.name in _BEFORE_MAPS for each in nginx.conf.of_http)
        late = (each for each in nginx.conf.after(SHARED) if each.name in _BEFORE_MAPS and not is_ours(each.file)) if said else iter(())
        if directive := next(late, None):
            raise Refused(
                f"{self.name}: {directive.name} of {directive.place} comes after the files of novaops",
                why="nginx takes it only before the first `map` of http, and a site has some.",
                fix="move it to the beginning of http in nginx.conf, before the includes",
            )

    def _refuse_taken_names(self, nginx: NginxFacts) -> None:
        for server in nginx.conf.servers():
            if server.file in self._own:
                continue
            taken = [name for name in self.domains if any(covers(name, other) for other in server.names)]
            if taken and {listen.port for listen in server.listens} & set(self.ports):
                raise Refused(
                    f"{self.name}: {taken[0]} is a server_name in {server.place} already",
                    why=f"nginx would answer for it with one of the two, and ignore the other.{_novaops(server)}",
                    fix="take the name out there, or choose another domain",
                )

    @property
    def _own(self) -> frozenset[str]:
        names = (self.name, *self.deployed)
        return frozenset(file for name in names for file in site_files(name)) | {DEFAULT}

    def _refuse_taken_ports(self, facts: Facts) -> None:
        for listener in facts.known(Listening()):
            nginx = f"nginx of {listener.unit}" if listener.unit not in {"", _UNIT} else ""
            others = [nginx if program == "nginx" else program for program in listener.programs if program != "nginx" or nginx]
            if listener.port in self.ports and others and self._overlaps(listener.address):
                key = "https_port" if listener.port == max(self.ports) and len(self.ports) > 1 else "http_port"
                raise Refused(
                    f"{self.name}: port {listener.port} is taken by {', '.join(others)}",
                    why="nginx could not listen there.",
                    fix=f"{listener.stop_it}, or choose another port: {key}:",
                )

    def _overlaps(self, address: str) -> bool:
        """Whether the site would listen on an address that another program listens on."""
        return not self.listen or address in _ALL or bool({address, *_ALL} & set(self.listen))

    def _refuse_shadowing(self, nginx: NginxFacts) -> None:
        """Raises Refused where a foreign server would get no more requests."""
        for server in foreign_servers(nginx):
            ports = {listen.port for listen in server.listens if listen.address in _ALL_OF_NGINX} & set(self.ports)
            own = [address for address in self.listen if address not in _ALL]
            if own and ports:
                raise Refused(
                    f"{self.name}: listen: {own[0]} would take port {min(ports)} of that address away from {server.place}",
                    why="Where a server listens on an address explicitly, nginx sends no request for that address to servers that listen on all of them.",
                    fix="leave listen: out, or choose another port",
                )
        for port, first in self._implicit_defaults(nginx):
            if _is_nameless(first):
                told = " ".join(f"listen {_as_default(listen)};" for listen in first.listens if listen.port == port)
                names = f"server_name {' '.join(first.names)}".strip()
                raise Refused(
                    f"{self.name}: {first.place} answers for all names at port {port}, and would not answer for any of them any more",
                    why=f"{'Nobody asks for its ' if any(first.names) else 'It has no '}{names}, and it is the default server only as long as it comes "
                    "first: sites of novaops are read before it.",
                    fix=f"write `{told}` there, or give it its server_name",
                )

    def notes(self, facts: Facts) -> Iterator[str]:
        nginx = facts.known(Nginx())
        for place in nginx.conf.unread:
            yield f"{place} is not understood from there on: names and ports that are taken there are only seen when nginx tests all of it"
        if directive := other_addresses(nginx):
            yield f"clients' addresses are those that {directive.place} has nginx believe ({' '.join(directive.words)})"
        limit = nginx.conf.main_directive("worker_shutdown_timeout")
        if limit and (after := " ".join(limit.words[1:])) not in _NEVER:
            cut = f"worker_shutdown_timeout {after} of {limit.place} cuts what still runs {after} after a reload"
            yield f"{cut}: streams, too, and the addresses of an API are followed by reloads"
        for one in unknown(nginx):
            yield f"{one.name} of {one.place} is not nginx's own, and applies to this site too: what it does is not known here"
        for server in foreign_servers(nginx):
            default = [listen for listen in server.listens if listen.is_default and listen.port in self.ports]
            if default:
                yield f"unknown names at port {default[0].port} are answered by {server.place}, as before"
        stay = first_without_name(nginx).items()
        for port, place in dict.fromkeys((pair[1], server.place) for pair, server in stay if pair in self._pairs(nginx)):
            yield f"unknown names at port {port} are answered by {place}, as before"
        for port, first in self._implicit_defaults(nginx):
            yield f"unknown names at port {port} were answered by {first.place}, which came first, and get no answer from now on"

    def _implicit_defaults(self, nginx: NginxFacts) -> list[tuple[int, NginxServer]]:
        """By port: foreign servers that are the default only because they come first, and do not stay it, where the site will listen."""
        own = {f"[{address}]" if ":" in address else address for address in self.listen if address not in _ALL}
        stay = first_without_name(nginx)
        found = (
            (port, one)
            for (at, port), one in _first_unless_told(nginx).items()
            if port in self.ports and (at, port) not in stay and not Listen(at, port).is_loopback and (not own or at in own)
        )
        return list(dict.fromkeys(found))


def foreign_servers(nginx: NginxFacts) -> list[NginxServer]:
    """Servers of nginx that novaops did not set up, without Debian's default page, which is removed."""
    page = DEFAULT_PAGE if nginx.default_page_is_debians else ""
    return [server for server in nginx.conf.servers() if not is_ours(server.file) and server.file != page]


def first_without_name(nginx: NginxFacts) -> dict[Pair, NginxServer]:
    """Foreign servers that stay the default where they listen, although none is told to be: nginx reads them before any site of novaops.

    Such as nginx.org's "Welcome to nginx!". One that has names of its own is left to those.
    """
    late = {each.place for each in nginx.conf.after(f"{CONF}/novaops-.conf")}
    return {pair: one for pair, one in _first_unless_told(nginx).items() if _is_nameless(one) and one.place not in late}


def _first_unless_told(nginx: NginxFacts) -> dict[Pair, NginxServer]:
    """Foreign servers that come first where they listen, so that they are the default there, and no server is told to be it."""
    foreign = foreign_servers(nginx)
    first: dict[Pair, NginxServer] = {}
    told: set[Pair] = set()
    for server in [one for one in nginx.conf.servers() if is_ours(one.file) or one in foreign]:
        for listen in server.listens:
            first.setdefault((listen.address, listen.port), server)
            if listen.is_default:
                told.add((listen.address, listen.port))
    return {pair: one for pair, one in first.items() if pair not in told and one in foreign}


def foreign_defaults(nginx: NginxFacts) -> dict[Pair, NginxServer]:
    """By where they listen: foreign servers that are the default there, and stay it."""
    told = {(listen.address, listen.port): one for one in foreign_servers(nginx) for listen in one.listens if listen.is_default}
    return {**first_without_name(nginx), **told}


def _is_nameless(server: NginxServer) -> bool:
    return not set(server.names) - _NO_NAMES


def _as_default(listen: Listen) -> str:
    """The words of a `listen` that tells its server to be the default one."""
    where = str(listen.port) if listen.address == "*" else f"{listen.address}:{listen.port}"
    return " ".join((where, *listen.options, "default_server"))


def _novaops(server: NginxServer) -> str:
    return " It is a site of novaops that this inventory does not name." if is_ours(server.file) else ""
