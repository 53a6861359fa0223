"""Which programs listen on which TCP port."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import sh_file

_LINE = re.compile(r"LISTEN\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+:\S+(?:\s+users:\((?P<users>.*)\))?\s*")
_PROCESS = re.compile(r'\("(?P<program>.*?)",pid=(?P<pid>\d+),fd=\d+\)')

_ANY = {4: frozenset({"0.0.0.0", "*"}), 6: frozenset({"::", "*"})}  # noqa: S104 - read, not bound


@dataclass(frozen=True)
class Listener:
    address: str
    """As ss says it, without brackets: 0.0.0.0, 192.0.2.1, ::, or * for both kinds at once."""
    port: int
    programs: tuple[str, ...]
    """Names of processes, each once; none for what the kernel itself listens on."""
    pid: int = 0
    """Of the first process; 0 for none."""
    unit: str = ""
    """systemd's unit of that process; "" where it has none."""

    @property
    def program(self) -> str:
        return self.programs[0] if self.programs else ""

    def blocks(self, address: str, port: int) -> bool:
        """Whether nothing else can listen at `address` and `port`."""
        wanted = ipaddress.ip_address(address)
        if self.port != port:
            return False
        if self.address in {address, *_ANY[wanted.version]}:
            return True
        if not wanted.is_unspecified or self.address == "*":
            return False
        return ipaddress.ip_address(self.address).version == wanted.version


class Listening(Singleton[tuple[Listener, ...]]):
    family: ClassVar[str] = "listening"

    @classmethod
    def script_one(cls) -> str:
        return sh_file(__package__, "listening.sh")

    @classmethod
    def parse_one(cls, section: Section) -> tuple[Listener, ...] | Missing:
        sockets, found, rest = section.stdout.partition("\n=\n")
        if section.status or not found or not rest.endswith("end\n"):
            return Missing.UNKNOWN
        units = dict(line.split(" ", 1) for line in rest.splitlines()[:-1])
        return tuple(_listener(line, units) for line in sockets.splitlines() if line)


def _listener(line: str, units: Mapping[str, str]) -> Listener:
    """Raises ValueError for a line that is none."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(f"ss said: {line}")
    address, _, _ = found["address"].partition("%")  # 127.0.0.53%lo
    processes = list(_PROCESS.finditer(found["users"] or ""))
    pid = processes[0]["pid"] if processes else "0"
    programs = dict.fromkeys(process["program"] for process in processes)
    return Listener(address.strip("[]"), int(found["port"]), tuple(programs), int(pid), units.get(pid, ""))
