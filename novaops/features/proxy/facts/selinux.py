"""SELinux: its mode, and what it allows nginx."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of

MAY_CONNECT = "httpd_can_network_connect"

_AT_BOOT = re.compile(r"SELINUX=\s*(enforcing|permissive|disabled)", re.IGNORECASE)
"""As libselinux reads /etc/selinux/config: the first such line counts."""
_PORTS = re.compile(r"(?P<type>\w+_port_t)\s+tcp\s+(?P<ports>\d[\d, -]*)")


@dataclass(frozen=True)
class Selinux:
    mode: str
    """enforcing, permissive or disabled."""
    booleans: Mapping[str, bool] = field(default_factory=dict)
    """Those that were asked for, and that the host's policy has."""
    ports: Mapping[str, tuple[tuple[int, int], ...]] | None = None
    """TCP ports by their type, as ranges; None where there is no semanage to ask."""
    at_boot: str = ""
    """The mode from the next boot on, as the host's configuration says it; "" where it says none."""

    @property
    def enforcing(self) -> bool:
        """Whether it is, or will be from the next boot on."""
        return self.mode == "enforcing" or (self.mode == "permissive" and self.at_boot == "enforcing")

    def types_of(self, port: int) -> tuple[str, ...]:
        """The port's types, most specific first, without those that every port of a range has, such as unreserved_port_t."""
        found = [
            (name, last - first)
            for name, spans in (self.ports or {}).items()
            if name not in _RANGES
            for first, last in spans
            if first <= port <= last
        ]
        return tuple(dict.fromkeys(name for name, _ in sorted(found, key=lambda one: one[1])))


_RANGES = ("unreserved_port_t", "reserved_port_t", "hi_reserved_port_t", "ephemeral_port_t")


class SelinuxState(Singleton[Selinux]):
    """ABSENT on a host without SELinux's tools, such as Debian and Ubuntu."""

    family: ClassVar[str] = "selinux"

    @classmethod
    def script_one(cls) -> str:
        return f"""\
if ! command -v getenforce >/dev/null; then echo absent; exit 0; fi
getenforce
at_boot=$(grep '^SELINUX=' /etc/selinux/config 2>/dev/null)
[ -z "$at_boot" ] || printf '%s\\n' "$at_boot"
getsebool {MAY_CONNECT} 2>/dev/null
case $(getenforce)$at_boot in
  Enforcing* | Permissive*[Ee]nforcing*) ;;
  *) echo no semanage; echo end; exit ;;
esac
if command -v semanage >/dev/null; then semanage port -l && echo ports; else echo no semanage; fi
echo end
"""

    @classmethod
    def parse_one(cls, section: Section) -> Selinux | Missing:
        lines = lines_of(section.stdout)
        if lines == ["absent"]:
            return Missing.ABSENT
        mode, *rest, told, end = lines
        if end != "end" or mode.lower() not in {"enforcing", "permissive", "disabled"} or told not in {"ports", "no semanage"}:
            return Missing.UNKNOWN
        booleans = {name: value == "on" for name, arrow, value in (line.partition(" --> ") for line in rest) if arrow}
        ports: dict[str, tuple[tuple[int, int], ...]] = {}
        for found in filter(None, (_PORTS.fullmatch(line.strip()) for line in rest)):
            ports[found["type"]] = (*ports.get(found["type"], ()), *map(_span, found["ports"].split(",")))
        at_boot = next((found[1].lower() for found in map(_AT_BOOT.match, rest) if found), "")
        return Selinux(mode.lower(), booleans, ports if told == "ports" else None, at_boot)


def _span(ports: str) -> tuple[int, int]:
    first, _, last = ports.strip().partition("-")
    return int(first), int(last or first)
