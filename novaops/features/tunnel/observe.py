"""What is observed of tunnels: requests from the client through them, and what the gateway does when their key is really tried.

novaops' own files are not read, only used: ssh is started as the tunnel's unit starts it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from novaops.errors import HostFailed
from novaops.features.tunnel import paths
from novaops.features.tunnel.settings import ANY_SITE, ResolvedForward, Tunnel
from novaops.formats import names
from novaops.shell import join, quote, sh_file
from novaops.verify.backend import output
from novaops.verify.sections import SAY, CommandResult, read

if TYPE_CHECKING:
    from testinfra.host import Host

PATIENCE = 60
"""Seconds after which a tunnel is to be back: after a boot, and after its ssh was killed."""

GOT_IN = "novaops-verify-got-in"
"""What a command on the gateway would print."""

Results = Mapping[str, CommandResult]


@dataclass(frozen=True)
class ExpectedTunnel:
    """An entry of `tunnel:`."""

    tunnel: Tunnel
    others: frozenset[tuple[str, int]] = frozenset()
    """Addresses and ports of the other tunnels of the host."""

    @property
    def present(self) -> bool:
        return self.tunnel.state == "present"

    @cached_property
    def forwards(self) -> tuple[ResolvedForward, ...]:
        return self.tunnel.resolved_forwards(ANY_SITE if self.tunnel.site else "") if self.present else ()

    @property
    def places(self) -> frozenset[tuple[str, int]]:
        """Addresses and ports at which its ssh listens on the client."""
        return frozenset(one.probe_address if one.reverse else (one.listen, one.listen_port) for one in self.forwards)

    @property
    def ports(self) -> tuple[int, ...]:
        """Where it must not listen any more when it is absent."""
        written = [self.tunnel.listen, self.tunnel.socks, *(forward.listen for forward in self.tunnel.forwards)]
        return tuple(int(listen.rpartition(":")[2]) for listen in written if listen and not self.tunnel.reverse)


@dataclass(frozen=True)
class ObservedTunnel:
    expected: ExpectedTunnel
    listening: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The addresses at which the tunnels' user listens, by port. Other programs may have the same port at other addresses."""
    requests: Results = field(default_factory=dict)
    """A request through each forward, by where the forward leads."""
    names: Results = field(default_factory=dict)
    """What each name with a local alias resolves to."""
    unchanged: Results = field(default_factory=dict)
    """The request of a client that knows nothing of the tunnel."""
    opens: Results = field(default_factory=dict)
    """How tries with the key ended: shell, sftp, port (another one), back (a listener on the gateway); with what ssh said, but for sftp."""
    pinned: Results = field(default_factory=dict)
    """How logins ended with another host key in known_hosts (another), and with an empty one (none)."""
    key: CommandResult = field(default_factory=CommandResult)
    """Owner and mode of the private key, or why there are none."""
    left: Results = field(default_factory=dict)
    """What is left of a tunnel that is to be absent: files, units, processes, names."""
    enabled: CommandResult = field(default_factory=CommandResult)


@dataclass(frozen=True)
class Rebooted:
    """Requests after the boot, and again after the ssh was killed."""

    requests: Results
    killed: CommandResult
    healed: Results
    names: Results = field(default_factory=dict)
    unchanged: Results = field(default_factory=dict)
    """Both as before the boot."""


def entries_of(settings: Sequence[Tunnel]) -> list[tuple[str, ExpectedTunnel]]:
    places = {tunnel.name: ExpectedTunnel(tunnel).places for tunnel in settings}
    others = {name: frozenset().union(*(its for other, its in places.items() if other != name)) for name in places}
    return [(tunnel.name, ExpectedTunnel(tunnel, others[tunnel.name])) for tunnel in settings]


def observe(host: Host, entries: Sequence[ExpectedTunnel]) -> list[ObservedTunnel]:
    """One exec for each tunnel. Raises HostFailed where it cannot be observed."""
    return [_present(host, one) if one.present else _absent(host, one) for one in entries]


def before_reboot(host: Host, seen: Sequence[ObservedTunnel]) -> None:
    """Nothing has to be prepared."""


def after_reboot(host: Host, seen: Sequence[ObservedTunnel]) -> list[Rebooted]:
    """Kills the ssh of each tunnel. That cuts its users off, as the reboot before it did."""
    found = []
    for one in seen:
        if not one.expected.present:
            found.append(Rebooted({}, CommandResult(), {}))
            continue
        results = _run(host, one.expected, _REBOOT)
        tried = (_of(results, kind) for kind in ("healed", "name", "unchanged"))
        found.append(Rebooted(_of(results, "boot"), results.get("killed", CommandResult(1)), *tried))
    return found


def _present(host: Host, expected: ExpectedTunnel) -> ObservedTunnel:
    found = _run(host, expected, _PRESENT)
    ports = {forward.probe_address[1] for forward in expected.forwards}
    return ObservedTunnel(
        expected,
        {port: _addresses(found["listening"], port) for port in ports},
        _of(found, "request"),
        _of(found, "name"),
        _of(found, "unchanged"),
        _of(found, "opens"),
        _of(found, "pinned"),
        found["key"],
        enabled=found["enabled"],
    )


def _absent(host: Host, expected: ExpectedTunnel) -> ObservedTunnel:
    found = _run(host, expected, _ABSENT)
    listening = {port: _addresses(found["listening"], port) for port in expected.ports}
    return ObservedTunnel(expected, listening, left=_of(found, "left"))


def _run(host: Host, expected: ExpectedTunnel, script: str) -> Results:
    name = expected.tunnel.name
    variables = {
        "name": name,
        "user": paths.USER,
        "conf": paths.config_file(name, "conf"),
        "key": paths.key_file(name),
        "unit": paths.unit(name),
        "hosts_comment": paths.hosts_comment(name),
        "got_in": GOT_IN,
        "patience": str(PATIENCE),
    }
    assignments = " ".join(f"{variable}={quote(value)}" for variable, value in variables.items())
    found = read(output(host, f"{SAY}{assignments}\n{_TOOLS}{_requests(expected)}{script}"))
    if "end" not in found:
        raise HostFailed(f"{name} could not be observed: the script on {host.backend.get_hostname()} was cut off")
    return found


def _requests(expected: ExpectedTunnel) -> str:
    """sh: `ask KIND` makes a request through each forward, `ask_unchanged` those of clients that know nothing of the tunnel."""
    asked, unchanged = ["ask() {"], ["ask_unchanged() {"]
    for forward in expected.forwards:
        address, port = forward.probe_address
        target, is_tcp = quote(forward.target), forward.kind == "tcp"
        if is_tcp:
            words = ["stays_open", names.bracketed(address), str(port)]
        elif forward.reaches:
            words = ["request", "--noproxy", "", "--socks5-hostname", names.pair(address, port), forward.check]
        elif forward.to_site:
            words = ["request", forward.check]
        else:
            words = ["request", "--connect-to", f"{forward.target}:{names.pair(address, port)}", forward.check]
        asked.append(f'saw "$1:"{target} {join(words)}')
        if forward.transparent:
            words = ["stays_open", forward.host, str(forward.port)] if is_tcp else ["request", forward.check]
            unchanged.append(f"saw name:{target} getent ahosts -- {quote(forward.host)}")
            unchanged.append(f"saw unchanged:{target} {join(words)}")
    return "\n".join([*asked, ":", "}", *unchanged, ":", "}", ""])


def _of(results: Results, kind: str) -> Results:
    return {key.removeprefix(f"{kind}:"): found for key, found in results.items() if key.startswith(f"{kind}:")}


def _addresses(listening: CommandResult, port: int) -> frozenset[str]:
    """Of lines as ss prints them."""
    places = [fields[3] for line in listening.lines if len(fields := line.split()) > 3]  # noqa: PLR2004 - State Recv-Q Send-Q Local
    split = [re.fullmatch(r"\[?(.*?)\]?(?:%\w+)?:(\d+)", place) for place in places]
    return frozenset(match[1] for match in split if match and int(match[2]) == port)


_TOOLS, _PRESENT, _ABSENT, _REBOOT = (sh_file(__package__, f"observe_{part}.sh") for part in ("tools", "present", "absent", "reboot"))
