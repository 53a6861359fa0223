"""What a host reaches over its own network devices: its gateways, and the networks that it is in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of

PROTOCOL = 86
"""The `proto` of novaops' own routes, by which they can be told and removed. Not one of a routing daemon, such as BGP's 186: FRR would
remove them."""

_NO_NETWORK = frozenset({"default", "unreachable", "blackhole", "prohibit", "multicast", "nexthop"})
"""First words of lines of `ip route` that name no network of the host's own."""


@dataclass(frozen=True)
class Near:
    gateways: tuple[str, ...]
    networks: tuple[tuple[str, str], ...]
    """Those that are reached without a gateway, and the device of each."""
    routed: tuple[tuple[str, str], ...] = ()
    """Those that are reached by a gateway, and the device that leads to it."""


class Nearby(Singleton[Near]):
    family: ClassVar[str] = "nearby"

    @classmethod
    def script_one(cls) -> str:
        return "for family in 4 6; do ip -N -$family route show table main; done; echo end\n"

    @classmethod
    def parse_one(cls, section: Section) -> Near | Missing:
        lines = [line.split() for line in lines_of(section.stdout)]
        if not lines or lines[-1] != ["end"]:
            return Missing.UNKNOWN
        gateways, networks, routed = [], [], []
        for words in lines[:-1]:
            after = dict(pairwise(words))
            if "via" in after:
                gateways.append(after["via"])
                if words[0] not in _NO_NETWORK:
                    routed.append((words[0], after.get("dev", "")))
            elif words[0] not in _NO_NETWORK and after.get("proto") != str(PROTOCOL):
                networks.append((words[0], after.get("dev", "")))
        return Near(tuple(dict.fromkeys(g for g in gateways if g != "inet6")), tuple(networks), tuple(routed))
