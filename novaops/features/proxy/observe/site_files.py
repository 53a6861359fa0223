"""What the host tells about its sites: who may read their files, what their logs say about requests, and where a secret can be read."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from novaops.errors import HostFailed
from novaops.secret import Secret
from novaops.shell import join, lines_of, quote, sh_file, whole
from novaops.verify.backend import output

if TYPE_CHECKING:
    from testinfra.host import Host

_LOOPBACK = re.compile(r"([0-9A-F]{16}FFFF0000)?[0-9A-F]{6}7F|0{24}01000000")
"""127.0.0.0/8 and ::1, as /proc/net/tcp writes them."""


@dataclass(frozen=True)
class ObservedFile:
    mode: int
    owner: str
    group: str

    def __str__(self) -> str:
        return f"{self.mode:04o} {self.owner}:{self.group}"


@dataclass(frozen=True)
class ObservedApi:
    """An API behind a site, as the host sees it."""

    asked: frozenset[str] = frozenset()
    """The addresses that nginx is to ask first."""
    answered: frozenset[str] = frozenset()
    """Those that the name has now."""
    keeps: bool = False
    """Whether the API answers two requests on one connection."""


@dataclass(frozen=True)
class Before:
    """The host before the first request."""

    files: Mapping[str, ObservedFile] = field(default_factory=dict)
    """By path; those that exist."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Certificates, by path."""
    hashes: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """By password file: each user, and the first characters of the hash."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Of logs, in bytes."""
    workers: frozenset[str] = frozenset()
    """The groups of nginx's workers, which are not root."""
    ports: frozenset[int] = frozenset()
    """TCP ports that a program listens on, loopback aside."""
    addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of names, as the host resolves them."""
    version: tuple[int, ...] = ()
    """Of nginx."""
    timers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Whether a site's timer is enabled and active, in systemd's words."""
    apis: Mapping[str, Mapping[str, ObservedApi]] = field(default_factory=dict)
    """Of each site, by HOST:PORT."""
    renewals: Mapping[str, str] = field(default_factory=dict)
    """What runs certbot by itself: timers, each with whether it is enabled, in systemd's words, and files, with the word cron."""
    leaves: frozenset[str] = frozenset()
    """certbot's files of certificates that it is told not to renew."""
    rivals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other web servers that start at the next boot and do not run: by unit, [ADDRESS:]PORT where they will listen, if known."""
    own_page: str = ""
    """The page that nginx's package made, where it is enabled and nobody uses it: a deployment takes it away."""


@dataclass(frozen=True)
class Logged:
    """A line of a site's access log, as templates/proxy/shared.conf.j2 has it.

    `… upstream=ADDRESS, … upstream_status=STATUS, … first=S total=S connect=S`
    """

    text: str = field(repr=False)
    path: str = ""
    upstreams: tuple[tuple[str, str], ...] = ()
    """Each upstream that was asked, and its status."""
    first: float | None = None
    """Seconds until the upstream began to answer."""
    total: float | None = None
    connect: float | None = None
    """Seconds until there was a connection to the last upstream: 0 for one that was kept."""

    @property
    def lasted(self) -> float | None:
        """Seconds from the beginning of the upstream's answer to its end."""
        return None if self.first is None or self.total is None else self.total - self.first


@dataclass(frozen=True)
class After:
    """The host after the last request."""

    logged: Mapping[str, tuple[Logged, ...]]
    """By log: the lines that contain one of its marks."""
    open: tuple[tuple[str, str], ...]
    """Each log, or other file that not only root may read, with a secret in it; with the secret's name."""
    verified: Mapping[str, str]
    """What openssl on the host says of each chain, by the name that it was shown for; "" when the host trusts it."""


# -- before -------------------------------------------------------------------------------------------------------------------


def before(host: Host, **asked: Iterable[str]) -> Before:
    """One exec: `files`, `certificates`, `passwords` and `logs` are paths, `names` and `apis` (SITE=HOST:PORT/PATH) are looked up.
    `renewals` are certbot's files of how certificates are renewed.

    Raises HostFailed.
    """
    calls = "\n".join(
        join([function, *words]) for function, words in {**asked, "rivals": (), "own_page": (), "workers": (), "ports": ()}.items()
    )
    return read_before(output(host, f"{sh_file(__package__, 'before.sh')}{calls}\ntrue"))


def read_before(text: str) -> Before:
    files: dict[str, ObservedFile] = {}
    texts: dict[str, str] = {}
    hashes: dict[str, list[tuple[str, str]]] = {}
    sizes: dict[str, int] = {}
    addresses: dict[str, set[str]] = {}
    ports: set[int] = set()
    version: tuple[int, ...] = ()
    timers: dict[str, tuple[str, str]] = {}
    apis: dict[str, dict[str, ObservedApi]] = {}
    others: dict[str, list[str]] = {}
    lines = iter(lines_of(text))
    for line in lines:
        kind, _, rest = line.partition(" ")
        match kind:
            case "file":
                mode, owner, group, path = rest.split(" ", 3)
                files[path] = ObservedFile(int(mode, 8), owner, group)
            case "text":
                texts[rest] = "".join(f"{each}\n" for each in iter(lambda: next(lines, "end text"), "end text"))
            case "hash":
                start, user, path = rest.split(" ", 2)
                hashes.setdefault(path, []).append((user, start))
            case "size":
                size, path = rest.split(" ", 1)
                sizes[path] = int(size)
            case "address":
                address, name = rest.split(" ", 1)
                addresses.setdefault(name, set()).add(address)
            case "version":
                version = tuple(map(int, rest.split(".")))
            case "timer":
                enabled, active, site = rest.split(" ")
                timers[site] = (enabled, active)
            case "asks" | "answer" | "keeps":
                said, site, api = rest.split(" ")
                known = apis.setdefault(site, {}).setdefault(api, ObservedApi())
                apis[site][api] = _more_of(known, kind, said)
            case "port":
                address, _, port = rest.partition(":")
                ports |= set() if _LOOPBACK.fullmatch(address) else {int(port, 16)}
            case _:
                others.setdefault(kind, []).append(rest)
    return Before(
        files,
        texts,
        {path: tuple(found) for path, found in hashes.items()},
        sizes,
        frozenset(others.get("worker", ())),
        frozenset(ports),
        {name: frozenset(found) for name, found in addresses.items()},
        version,
        timers,
        apis,
        {what: state for state, _, what in (line.partition(" ") for line in others.get("renews", ()))},
        frozenset(others.get("leaves", ())),
        {unit: tuple(places.split()) for unit, _, places in (line.partition(" ") for line in others.get("rival", ()))},
        "".join(others.get("own_page", ())),
    )


def _more_of(api: ObservedApi, kind: str, said: str) -> ObservedApi:
    match kind:
        case "asks":
            return replace(api, asked=api.asked | {said})
        case "answer":
            return replace(api, answered=api.answered | {said})
        case _:
            return replace(api, keeps=said == "10")


# -- after --------------------------------------------------------------------------------------------------------------------

_LOG = """\
size=$(wc -c 2>/dev/null <{log} || echo 0)
[ "$size" -ge {size} ] && from={size} || from=0
echo {title}
tail -c +"$((from + 1))" {log} 2>/dev/null | grep -F -e {marks} | head -n 2000
"""

_OPEN = """\
grep -rlsF -f - /etc/nginx /var/log/nginx /var/lib/nginx /var/cache/nginx <<'{end}' | while read -r path; do
{secret}
{end}
  case $path in /var/log/*) echo {title}"$path" ;; *) [ -z "$(find -L "$path" -perm /077)" ] || echo {title}"$path" ;; esac
done
"""
"""The secrets come on stdin, as the whole script does: no process has one among its arguments."""

_VERIFY = """\
said=$(openssl verify -purpose sslserver -untrusted /dev/fd/3 3<<'{end}' <<'{end}.leaf' 2>&1
{chain}
{end}
{leaf}
{end}.leaf
) && echo {title} || {{ echo {title}; printf '%s\\n' "$said" | grep -E '^error|^[^:]*: verification failed' | head -n 1; }}
"""


def after(
    host: Host,
    logs: Sequence[tuple[str, int, tuple[str, ...]]],
    kept: Sequence[tuple[str, Secret]],
    chains: Mapping[str, tuple[str, ...]],
) -> After:
    """One exec, which is not recorded because it contains secrets. `logs`: path, size before, marks. Raises HostFailed."""
    end = f"END_{secrets.token_hex(8)}"
    parts = [
        _LOG.format(log=quote(log), size=size, title=quote(f"= log {log}"), marks=" -e ".join(map(quote, marks)))
        for log, size, marks in logs
        if marks
    ]
    parts += [
        _OPEN.format(end=end, secret=secret.reveal(), title=quote(f"= open {name} in "))
        for name, secret in kept
        if secret.reveal() and "\n" not in secret.reveal()
    ]
    parts += [
        _VERIFY.format(end=end, chain="\n".join(chain), leaf=chain[0], title=quote(f"= chain {name}"))
        for name, chain in chains.items()
        if chain
    ]
    done = host.backend.session.run(whole("\n".join([*parts, "true"])))
    if done.status:
        raise HostFailed(f"{host.backend.get_hostname()} could not be looked at: its logs and files", why=done.stderr.strip())
    return read_after(done.stdout)


def read_after(text: str) -> After:
    logged: dict[str, tuple[Logged, ...]] = {}
    opened: list[tuple[str, str]] = []
    verified: dict[str, str] = {}
    for block in f"\n{text}".split("\n= ")[1:]:
        head, *lines = lines_of(block)
        kind, _, rest = head.partition(" ")
        match kind:
            case "log":
                logged[rest] = tuple(read_line(line) for line in lines if line)
            case "open":
                name, _, path = rest.partition(" in ")
                opened.append((path, name))
            case "chain":
                verified[rest] = " ".join(lines).strip()
    return After(logged, tuple(opened), verified)


def read_line(line: str) -> Logged:
    _, _, after_quote = line.partition('"')
    request, _, rest = after_quote.partition('" ')
    path = request.partition(" ")[2].rpartition(" ")[0]
    _, _, fields = rest.partition("upstream=")
    addresses, _, fields = fields.partition(" upstream_status=")
    statuses, _, fields = fields.partition(" first=")
    first, _, fields = fields.partition(" total=")
    total, _, connect = fields.partition(" connect=")
    pairs = zip(_each(addresses), _each(statuses), strict=False)
    return Logged(line, path, tuple(pairs), _seconds(_last(first)), _seconds(total), _seconds(_last(connect)))


def _each(text: str) -> list[str]:
    """Of one field: nginx writes several upstreams with commas between them, and colons after a redirect of its own."""
    return [one for part in text.split(", ") for one in part.split(" : ") if one not in {"", "-"}]


def _last(text: str) -> str:
    return (_each(text) or [""])[-1]


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
