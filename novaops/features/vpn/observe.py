"""What is seen of VPNs: where the kernel sends packets, a request, the bytes that it moves; of a server, its port and its rules."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509

from novaops.errors import HostFailed
from novaops.features.vpn.settings import Link, Server, Vpn
from novaops.shell import join, quote, sh_file
from novaops.verify import reach
from novaops.verify.backend import output
from novaops.verify.sections import SAY, CommandResult, read

if TYPE_CHECKING:
    from testinfra.host import Host

PATIENCE = 90
"""Seconds after a boot in which a link is to be up."""

ELSEWHERE = "203.0.113.7"
"""An address of TEST-NET-3 (RFC 5737), which nobody has: it is routed as everything else is."""

_REQUEST_SECONDS = 15

_AGAIN = """\
end=$(($(date +%s) + PATIENCE))
until request "$1" >/dev/null 2>&1 && [ -n "$(addresses)" ]; do
  [ "$(date +%s)" -lt "$end" ] || break
  echo "# waiting"; sleep 1
done
saw device addresses
saw request request "$1"
"""


@dataclass(frozen=True)
class ObservedRoute:
    """Where the kernel sends what is for an address."""

    address: str
    device: str = ""
    """"" where it is unreachable."""
    own: bool = False
    """Whether the host reaches it directly, without a gateway, or has it itself."""
    shut: bool = False
    """Whether it would be unreachable without the device."""


@dataclass(frozen=True)
class ObservedLink:
    wanted: Link
    device: CommandResult = field(default_factory=CommandResult)
    """The addresses of the device; a status where there is none."""
    routes: Mapping[str, tuple[ObservedRoute, ...]] = field(default_factory=dict)
    """Of each wanted name and network."""
    others: Mapping[str, ObservedRoute] = field(default_factory=dict)
    """Of what must not go through it, by what that is."""
    request: CommandResult = field(default_factory=CommandResult)
    moved: tuple[int, int] = (0, 0)
    """Bytes that the device sent and received during the request."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Owner and mode of the files that only root may read, by their paths."""
    enabled: CommandResult = field(default_factory=CommandResult)


@dataclass(frozen=True)
class ObservedServer:
    wanted: Server
    device: CommandResult = field(default_factory=CommandResult)
    files: Mapping[str, str] = field(default_factory=dict)
    enabled: CommandResult = field(default_factory=CommandResult)
    listening: bool = False
    """Whether something listens at its port."""
    forwards: bool = False
    masquerades: int = 0
    """How many rules masquerade its clients' network."""
    revoked: str = ""
    """What is wrong with the list of revoked certificates."""
    accepted: tuple[str, ...] = ()
    """Files of certificates that are revoked, and that openssl accepts by that list."""


@dataclass(frozen=True)
class ObservedAbsent:
    wanted: Vpn
    left: Mapping[str, CommandResult] = field(default_factory=dict)
    """What is still there, by its kind."""


Observed = ObservedLink | ObservedServer | ObservedAbsent


@dataclass(frozen=True)
class Rebooted:
    request: CommandResult = field(default_factory=CommandResult)
    device: CommandResult = field(default_factory=CommandResult)
    listening: bool = False
    masquerades: int = 0


def observe(host: Host, entries: Sequence[Vpn]) -> list[Observed]:
    """One exec for each entry, and one. Raises HostFailed where something cannot be seen."""
    here, _ = reach.addresses(host.backend.session)
    devices = {entry.device for entry in entries if entry.state == "present"}
    return [_observe(host, entry, here, devices) for entry in entries]


def before_reboot(host: Host, seen: Sequence[Observed]) -> None:
    """Nothing has to be left there."""


def after_reboot(host: Host, seen: Sequence[Observed]) -> list[Rebooted]:
    return [_rebooted(host, one) for one in seen]


def _rebooted(host: Host, before: Observed) -> Rebooted:
    if isinstance(before, ObservedLink):
        told = _run(host, before.wanted, _AGAIN, [before.wanted.url])
        return Rebooted(told["request"], told["device"])
    if isinstance(before, ObservedServer):
        after = _server(host, before.wanted)
        return Rebooted(device=after.device, listening=after.listening, masquerades=after.masquerades)
    return Rebooted()


def _observe(host: Host, entry: Vpn, here: str, devices: Container[str]) -> Observed:
    """`devices` are those of the entries that are to be present. Of two long names they may be the same."""
    if entry.state == "absent":
        told = _run(host, entry, sh_file(__package__, "observe_absent.sh"), [])
        left = {key.removeprefix("left:"): ended for key, ended in told.items() if key.startswith("left:")}
        if entry.device in devices:
            left = {kind: ended for kind, ended in left.items() if kind not in {"device", "routes"}}
        return ObservedAbsent(entry, left)
    return _link(host, entry, here) if isinstance(entry, Link) else _server(host, entry)


def _link(host: Host, link: Link, here: str) -> ObservedLink:
    networks = {one: ipaddress.ip_network(one) for one in link.networks}
    inside = {one: str(network[min(1, network.num_addresses - 1)]) for one, network in networks.items()}
    words = [link.url, here, ELSEWHERE, *link.hosts, "--", *inside.values()]
    told = _run(host, link, sh_file(__package__, "observe_link.sh"), words)
    routes = {name: tuple(_route(told, address) for address in told[f"name:{name}"].lines) for name in link.hosts}
    routes |= {network: (_route(told, address),) for network, address in inside.items()}
    others = {"everything else": ELSEWHERE, "the connection from here": here, **{f"the DNS server {one}": one for one in told["dns"].lines}}
    return ObservedLink(
        link,
        told["device"],
        routes,
        {what: _route(told, address) for what, address in others.items()},
        told["request"],
        _moved(told),
        dict(_files(told["files"])),
        told["enabled"],
    )


def _server(host: Host, server: Server) -> ObservedServer:
    told = _run(host, server, sh_file(__package__, "observe_server.sh"), [server.protocol[0], str(server.port)])
    return ObservedServer(
        server,
        told["device"],
        dict(_files(told["files"])),
        told["enabled"],
        listening=_listens(told, server),
        forwards=told["forwards"].said == "1",
        masquerades=_masquerades(told, server),
        revoked=_revoked(told["crl"], told["authority"]),
        accepted=tuple(told["accepted"].lines),
    )


def _run(host: Host, entry: Vpn, script: str, words: Sequence[str]) -> Mapping[str, CommandResult]:
    """What each command of the script printed, by its key."""
    settings = f"name={quote(entry.name)} device={quote(entry.device)} REQUEST_SECONDS={_REQUEST_SECONDS} PATIENCE={PATIENCE}\n"
    tools = sh_file(__package__, "observe_tools.sh")
    told = read(output(host, f"{SAY}{settings}{tools}{join(['set', '--', *words])}\n{script}saw end true\n"))
    if "end" not in told:
        raise HostFailed(f"{entry.name} could not be looked at: the script on {host.backend.get_hostname()} did not come to its end")
    return told


def _route(told: Mapping[str, CommandResult], address: str) -> ObservedRoute:
    ended = told[f"route:{address}"]
    shut = "unreachable" in told.get(f"below:{address}", CommandResult()).text
    device = re.search(r" dev (\S+)", ended.text)
    if ended.status or device is None or ended.text.startswith("unreachable"):
        return ObservedRoute(address, shut=shut)
    own = " via " not in ended.text or ended.text.startswith("local ")
    return ObservedRoute(address, device[1], own, shut)


def _moved(told: Mapping[str, CommandResult]) -> tuple[int, int]:
    before, after = ([int(line) for line in told[key].lines if line.isdecimal()] for key in ("before", "after"))
    return (after[0] - before[0], after[1] - before[1]) if len(before) == len(after) == 2 else (0, 0)  # noqa: PLR2004 - out and in


def _files(ended: CommandResult) -> Iterator[tuple[str, str]]:
    for line in ended.lines:
        permissions, _, path = line.partition(" /")
        if path:
            yield f"/{path}", permissions


def _listens(told: Mapping[str, CommandResult], server: Server) -> bool:
    places = [fields[3] for line in told["listening"].lines if len(fields := line.split()) > 3]  # noqa: PLR2004 - as ss prints it
    return any(place.endswith(f":{server.port}") for place in places)


def _masquerades(told: Mapping[str, CommandResult], server: Server) -> int:
    return sum("masquerade" in line.lower() and server.network in line for line in told["rules"].lines)


def _revoked(crl: CommandResult, authority: CommandResult) -> str:
    try:
        listed = x509.load_pem_x509_crl(crl.text.encode())
        issuer = x509.load_pem_x509_certificate(authority.text.encode())
    except ValueError as error:
        return f"it cannot be read: {crl.said if crl.status else error}"
    if not listed.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]  # an authority of ours has a key that can sign
        return "the authority did not sign it"
    until = listed.next_update_utc
    if until is not None and until < dt.datetime.now(dt.UTC):
        return f"it was valid until {until:%Y-%m-%d %H:%M} UTC, and OpenVPN lets nobody in with it"
    return ""
