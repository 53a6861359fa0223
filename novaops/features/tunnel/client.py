"""A tunnel as it is to be on its client, and what its gateway has to know of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from novaops.engine import inventory
from novaops.errors import UsageError
from novaops.features.proxy.settings import Site
from novaops.features.tunnel.facts.ends import TunnelKey
from novaops.features.tunnel.facts.state import ASK
from novaops.features.tunnel.paths import UNITS, USER, comment, head, key, own, unit
from novaops.features.tunnel.resources.cleanup import StaleTunnelFiles
from novaops.features.tunnel.resources.hosts_file import HostsEntries
from novaops.features.tunnel.resources.key_pair import KeyPair
from novaops.features.tunnel.resources.permission import after_permission
from novaops.features.tunnel.resources.pinned_host_keys import PinnedHostKeys
from novaops.features.tunnel.resources.port_preconditions import PortsFree
from novaops.features.tunnel.settings import ResolvedForward, Tunnel, front_parts, options_of_key
from novaops.features.tunnel.status import use
from novaops.formats import names
from novaops.formats.names import pair
from novaops.model.plan import Resource
from novaops.resources.after_peer import AfterPeer
from novaops.resources.file import File
from novaops.resources.unit import OwnUnit

_SSH = 22

_AGAIN = """\
systemctl daemon-reload || exit
systemctl cat -- "$1" >/dev/null 2>&1 || exit 0
case $1 in *.socket) systemctl stop -- "${1%.socket}.service" 2>/dev/null ;; esac # or it is refused
systemctl try-restart -- "$1"
"""
"""A unit that does not run is not started by its file: that is for when the gateway lets it in."""


@dataclass(frozen=True)
class Client:
    """A tunnel as it is to be on the host that it begins on."""

    entry: Tunnel
    host: Any
    peers: Mapping[str, Any]

    def after_key(self, host: Any, resource: Resource) -> Resource:
        """What the gateway needs for it, once there is a key to let in: all of that in one go."""
        return AfterPeer(resource, host.name, TunnelKey(self.entry.name), f"{host.name}'s key")

    @property
    def passages(self) -> tuple[ResolvedForward, ...]:
        return self.entry.passages(_site(self.host, self.entry, self.peers) if self.entry.site else "")

    @property
    def via(self) -> str:
        return str(gateway_of(self.host, self.entry, self.peers).name)

    @property
    def comment(self) -> str:
        return comment(self.host.name, self.entry.name)

    @property
    def options(self) -> str:
        return options_of_key(self.passages)

    @property
    def listens(self) -> tuple[tuple[str, int], ...]:
        return tuple((passage.listen, passage.listen_port) for passage in self.passages)

    @property
    def public(self) -> tuple[str, ...]:
        return tuple(passage.listens for passage in self.passages if passage.is_public)

    @property
    def use(self) -> tuple[str, ...]:
        return tuple(
            line
            for passage in self.passages
            if not passage.reverse and (line := use(passage.target, passage.listens, passage.check, passage.front))
        )

    @property
    def _fronts(self) -> tuple[tuple[str, int], ...]:
        return tuple((passage.front, passage.port) for passage in self.passages if passage.transparent)

    @property
    def _hosts(self) -> tuple[tuple[str, str], ...]:
        return tuple(dict.fromkeys((passage.front, passage.host) for passage in self.passages if passage.transparent))

    @property
    def claims(self) -> Resource:
        listens = tuple(passage.asked_at for passage in self.passages) if self.entry.reverse else self.listens
        return PortsFree(self.entry.name, listens, self._fronts, self._hosts, () if self.entry.reverse else self.public)

    def files(self) -> Iterator[Resource]:
        """What its units read, and they themselves. A change is taken up by the unit that runs."""
        entry, name = self.entry, self.entry.name
        again = ("sh", "-c", _AGAIN, "again", unit(name))
        yield KeyPair(name, self.comment)
        yield PinnedHostKeys(name, self.via, again)
        # A connection has the rights that its key had when it was made: first the gateway, then this.
        yield self._permitted(File(own(name, "conf"), self._ssh_config(), check=("ssh", "-G", "-F", "{}", "gateway"), then=again))
        forwards = self._render(
            "forwards",
            via=self.via,
            supervisor=entry.supervisor,
            direction="-R" if entry.reverse else "-L",
            forwards=[_columns(passage) for passage in self.passages],
        )
        yield File(own(name, "forwards"), forwards)
        yield File(own(name, "check"), self._render("check", functions=ASK), "0755", check=("sh", "-n", "{}"))
        service = self._render("service", via=self.via, supervisor=entry.supervisor, user=USER, config=own(name, "conf"))
        yield File(f"{UNITS}/{unit(name)}", service, then=again)
        checking = unit(name, "check"), unit(name, "check", "timer")
        yield File(f"{UNITS}/{checking[0]}", self._render("check.service", script=own(name, "check")), then=("systemctl", "daemon-reload"))
        timer = self._render("check.timer", every=entry.every)
        yield File(f"{UNITS}/{checking[1]}", timer, then=("sh", "-c", _AGAIN, "again", checking[1]))
        kept = [own(name, end) for end in ("key", "key.pub", "known_hosts", "conf", "forwards", "check")]
        kept += [f"{UNITS}/{one}" for one in (unit(name), *checking)]
        for passage, part in self._fronted():
            socket, service = unit(name, part, "socket"), unit(name, part)
            listen = pair(passage.front, passage.port)
            text = self._render("front.socket", target=passage.target, listen=listen)
            yield File(f"{UNITS}/{socket}", text, then=("sh", "-c", _AGAIN, "again", socket))
            text = self._render("front.service", target=passage.target, socket=socket, user=USER, listener=pair(*passage.asked_at))
            yield File(f"{UNITS}/{service}", text, then=("sh", "-c", _AGAIN, "again", service))
            kept += [f"{UNITS}/{socket}", f"{UNITS}/{service}"]
        yield StaleTunnelFiles(name, tuple(kept))

    def started(self) -> Iterator[Resource]:
        """What begins when the gateway lets the key in."""
        name = self.entry.name
        units = [unit(name), unit(name, "check", "timer"), *(unit(name, part, "socket") for _, part in self._fronted())]
        for resource in map(OwnUnit, units):
            yield self._permitted(resource)

    def named(self) -> Resource:
        """Names lead into it when a request has come through it."""
        return self._permitted(HostsEntries(self.entry.name, self._hosts))

    def _permitted(self, resource: Resource) -> Resource:
        return after_permission(resource, self.entry.name, self.via, f"{self.options} {{}} {self.comment}")

    def _fronted(self) -> list[tuple[ResolvedForward, str]]:
        pairs = zip(self.passages, front_parts(self.passages), strict=True)
        return [(passage, part) for passage, part in pairs if passage.transparent]

    def _ssh_config(self) -> str:
        address, port = _reached_at(self.host, self.entry, self.peers)
        return self._render(
            "ssh_config",
            address=address,
            port=port,
            user=USER,
            key=key(self.entry.name),
            known_hosts=own(self.entry.name, "known_hosts"),
            forwards=[line for passage in self.passages for line in passage.ssh_forwards],
        )

    def _render(self, template: str, **values: Any) -> str:
        return str(self.host.templates.render(f"tunnel/{template}.j2", head=head(self.entry.name), name=self.entry.name, **values))


def _columns(passage: ResolvedForward) -> tuple[str, ...]:
    address, port = passage.asked_at
    url = passage.check if passage.kind != "tcp" else "-"
    asked = f"[{address}]" if ":" in address else address
    front = (passage.front, str(passage.port)) if passage.transparent else ("-", "-")
    return (asked, str(port), passage.kind, url, passage.target, passage.listens, *front)


def gateway_of(host: Any, entry: Tunnel, peers: Mapping[str, Any]) -> Any:
    """Raises UsageError for a gateway that is none."""
    try:
        gateway = peers[entry.via or ""]
    except UsageError as error:
        raise UsageError(f"{host.name}: tunnel {entry.name}: via: {error.what}", why=error.why, fix=error.fix) from None
    if gateway.name == host.name:
        raise UsageError(f"{host.name}: tunnel {entry.name}: via: that is the host itself", fix="a tunnel needs another host to go through")
    return gateway


def _reached_at(host: Any, entry: Tunnel, peers: Mapping[str, Any]) -> tuple[str, int]:
    """Raises UsageError for an address that would lead the client to itself."""
    gateway = gateway_of(host, entry, peers)
    if entry.via_address:
        address, port = names.address(entry.via_address)
        return address, port or _SSH
    address = gateway.address
    if address == "localhost" or (names.is_address(address) and ipaddress.ip_address(address).is_loopback):
        raise UsageError(
            f"{host.name}: tunnel {entry.name}: via: {gateway.name} has the address {address}, where the client would reach itself",
            fix="say how the client reaches it: via_address: HOST[:PORT]",
        )
    return address, gateway.port or gateway.access.port or _SSH


def _site(host: Any, entry: Tunnel, peers: Mapping[str, Any]) -> str:
    """ADDRESS:PORT of the gateway's site. Raises UsageError where that would not answer through the tunnel."""
    gateway = gateway_of(host, entry, peers)
    where = f"{host.name}: tunnel {entry.name}: site:"
    written = gateway.sections.get("proxy") or []
    found = next((one for one in written if isinstance(one, dict) and one.get("name") == entry.site), None)
    if found is None:
        raise UsageError(f"{where} {gateway.name} has no site {entry.site} in its proxy: section")
    try:
        site = TypeAdapter(Site).validate_python(found)
    except ValidationError as error:
        raise UsageError(f"{where} {gateway.name}: {entry.site}: {inventory.message(error.errors()[0])}") from None
    listen = next((one for one in site.listen if ipaddress.ip_address(one).is_loopback), "")
    if not listen or site.encrypted:
        raise UsageError(
            f"{where} {entry.site} does not listen for plain http on loopback",
            why="The tunnel itself encrypts; clients use http://127.0.0.1:PORT, and nobody else may reach the site.",
            fix=f"in {gateway.name}'s proxy: section: listen: 127.0.0.1, tls: off",
        )
    address = entry.passages(pair(listen, site.http_port))[0].asked_at[0]
    if address not in site.domain:
        raise UsageError(
            f"{where} {entry.site} does not answer for http://{address}",
            why=f"Its domain: is {', '.join(site.domain)}, and clients come with the address.",
            fix=f"add {address} to its domain:",
        )
    return pair(listen, site.http_port)
