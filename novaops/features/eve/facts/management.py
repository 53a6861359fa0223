"""The network card by which the host is reached, and what has its address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of


@dataclass(frozen=True)
class ManagementFacts:
    device: str
    """What the default route leads through."""
    mac: str
    kind: str
    """"" for a card, else what `ip link` calls it: bridge, vlan, bond, veth."""
    network: str
    """The text of the file by which systemd-networkd gives it its address; "" where networkd does not."""
    bridge: bool
    """Whether there is something named pnet0."""
    other_eth0: bool = False
    """Whether another card has the name that this one is to get."""


class Management(Singleton[ManagementFacts]):
    """ABSENT where there is no default route."""

    family: ClassVar[str] = "eve-management"

    @classmethod
    def script_one(cls) -> str:
        return """\
device=$(ip -4 route show default 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)
[ -n "$device" ] || { echo '[]'; exit 0; }
ip -d -j link show dev "$device" || exit
[ ! -e /sys/class/net/pnet0 ] || echo bridge
[ "$device" = eth0 ] || [ ! -e /sys/class/net/eth0 ] || echo eth0
file=$(networkctl status --no-pager "$device" 2>/dev/null | sed -n 's/^ *Network File: //p')
case $file in /*) echo file; cat "$file" ;; esac
"""

    @classmethod
    def parse_one(cls, section: Section) -> ManagementFacts | Missing:
        head, _, text = section.stdout.partition("\nfile\n")
        first, _, more = head.strip().partition("\n")
        try:
            links = json.loads(first)
        except ValueError:
            return Missing.UNKNOWN
        if not links:
            return Missing.ABSENT
        match links:
            case [{"ifname": str(device), **link}]:
                linkinfo = link.get("linkinfo")
                kind = str(linkinfo.get("info_kind", "")) if isinstance(linkinfo, dict) else ""
                named = set(lines_of(more))
                mac = str(link.get("address", ""))
                return ManagementFacts(device, mac, kind, text, "bridge" in named, "eth0" in named)
        return Missing.UNKNOWN
