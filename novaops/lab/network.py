"""The containers' network: a bridge of the lab's own, and a masquerade in an nft table of its own; root only."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.errors import NovaopsError
from novaops.lab.initrd import Entry
from novaops.lab.requirements import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PREFIX = "nova-"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
STAYS_ON = "net.ipv4.ip_forward stays 1, it was 0 before the lab: others may rely on it by now (off: sysctl -w net.ipv4.ip_forward=0)"
_RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
"""The first is where systemd-resolved keeps the real servers: its own 127.0.0.53 is no use to a container."""


@dataclass(frozen=True)
class Network:
    """A lab's bridge; `subnet` is a /24, its first address the bridge's own, `forwarded` what ip_forward was before."""

    bridge: str
    subnet: str
    forwarded: str = "0"

    @property
    def gateway(self) -> str:
        return f"{ipaddress.ip_network(self.subnet)[1]}/24"

    def free_address(self, taken: Iterable[str]) -> str:
        """The first address that no host of the lab has."""
        used = set(taken)
        for address in list(ipaddress.ip_network(self.subnet))[10:250]:
            if str(address) not in used:
                return str(address)
        raise NovaopsError(f"the lab's network {self.subnet} is full", fix="novaops lab down NAME")


def network_up(lab: Path) -> Network:
    """Make the lab's bridge and masquerade, as far as they are not there (a reboot of the machine took them away)."""
    record = lab / "network.json"
    if record.exists():
        network = Network(**json.loads(record.read_text()))
    else:
        bridge = _PREFIX + hashlib.sha256(str(lab).encode()).hexdigest()[:8]
        network = Network(bridge, _free_subnet(bridge), _FORWARDING.read_text().strip())
        record.write_text(json.dumps(asdict(network)))
    if not _exists(network.bridge):
        _run(["ip", "link", "add", network.bridge, "type", "bridge"])
        _run(["ip", "address", "add", network.gateway, "dev", network.bridge])
        _run(["ip", "link", "set", network.bridge, "up"])
    _run(["nft", "-f", "-"], masquerade(network))
    if not _forwards():
        _FORWARDING.write_text("1")
    return network


def network_down(lab: Path) -> str:
    """Take the bridge and the table away; what is left behind, in a sentence, or "".

    Forwarding stays on where this lab turned it on: others (docker, libvirt) find it on and do not turn it on themselves,
    so nobody can tell whether they rely on it by now.
    """
    record = lab / "network.json"
    if not record.exists():
        return ""
    network = Network(**json.loads(record.read_text()))
    if _exists(network.bridge):
        _run(["ip", "link", "delete", network.bridge])
    # Adding a table that is there is no error, deleting one that is not is: so both.
    _run(["nft", "-f", "-"], f"add table ip {network.bridge}\ndelete table ip {network.bridge}\n")
    record.unlink()
    return STAYS_ON if network.forwarded == "0" and _forwards() else ""


def masquerade(network: Network) -> str:
    """The nft table that lets the subnet out under the machine's own address, and nobody but this machine in."""
    return f"""\
add table ip {network.bridge}
delete table ip {network.bridge}
table ip {network.bridge} {{
    chain out {{
        type nat hook postrouting priority srcnat;
        ip saddr {network.subnet} ip daddr != {network.subnet} masquerade
    }}
    chain others {{
        type filter hook forward priority filter;
        oifname "{network.bridge}" iifname != "{network.bridge}" ct state new drop
    }}
}}
"""


def fleet_up(bridge: str, name: str, address: str, ports: Sequence[int]) -> None:
    """Lead these neighbouring ports of a container to its sshd, for this machine alone. Those of before are gone."""
    table = f"{bridge}-{name}"
    rules = f"""\
add table ip {table}
delete table ip {table}
table ip {table} {{
    chain fleet {{
        type nat hook output priority -100;
        ip daddr {address} tcp dport {ports[0]}-{ports[-1]} dnat to {address}:22
    }}
}}
"""
    _run(["nft", "-f", "-"], rules)


def fleet_down(bridge: str, name: str) -> None:
    """Take those ports away. Nothing happens when there are none."""
    _run(["nft", "-f", "-"], f"add table ip {bridge}-{name}\ndelete table ip {bridge}-{name}\n")


def network_files(address: str, network: Network) -> list[Entry]:
    """What a container needs to have this address, and the name servers that the masquerade lets it reach."""
    unit = (
        "[Match]\nName=host0\n[Network]\n"
        f"Address={address}/24\nGateway={network.gateway.partition('/')[0]}\n"
        "DHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n"
    )
    resolver = next((path for path in _RESOLVERS if path.exists()), None)
    lines = resolver.read_text().splitlines(keepends=True) if resolver else []
    servers = "".join(line for line in lines if line.startswith("nameserver"))
    return [Entry("etc/systemd/network/10-lab.network", unit.encode()), Entry("etc/resolv.conf", servers.encode())]


def _free_subnet(bridge: str) -> str:
    """A /24 of 10.213.0.0/16 that the machine has no route to yet; where the search begins depends on the lab."""
    routes = json.loads(_run(["ip", "-json", "route", "show", "table", "all", "type", "unicast"]) or "[]")
    known = [ipaddress.ip_network(route["dst"]) for route in routes if route["dst"] != "default" and ":" not in route["dst"]]
    first = int(bridge[-2:], 16)
    for offset in range(256):
        subnet = ipaddress.ip_network(f"10.213.{(first + offset) % 256}.0/24")
        if not any(subnet.overlaps(other) for other in known):
            return str(subnet)
    raise NovaopsError("no free /24 in 10.213.0.0/16 for the lab's network")


def _forwards() -> bool:
    return _FORWARDING.read_text().strip() == "1"


def _exists(interface: str) -> bool:
    return Path("/sys/class/net", interface).exists()


def _run(command: list[str], stdin: str = "") -> str:
    done = subprocess.run(  # the lab's own command lines
        [program(command[0]), *command[1:]], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NovaopsError(f"the lab's network: `{' '.join(command)}` failed", why=done.stderr.strip())
    return done.stdout
