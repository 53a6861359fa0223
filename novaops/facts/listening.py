"""Which programs listen on which TCP port."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from novaops.formats import ss
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, quote, sh_file

OF_SOCKETS = sh_file(__package__, "sockets.sh")

_FEWEST = 2
"""Lines of an answer: what ss said, and the end."""

_ANY = {4: frozenset({"0.0.0.0", "*"}), 6: frozenset({"::", "*"})}  # noqa: S104 - read, not bound


_OF_MORE = ("ssh", "user@", "docker", "containerd", "systemd-")
"""How units begin that do more than listen at one port: who stops one is locked out, or stops what is not meant."""


def stop_for_good(unit: str) -> str:
    """The command for a unit that is not to have a port any more: one that is only stopped comes back at the next boot. "" for none to be named."""
    return "" if not unit.endswith((".service", ".socket")) or unit.startswith(_OF_MORE) else f"systemctl disable --now {quote(unit)}"


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
    user: str = ""
    """Whose that process is."""

    @property
    def program(self) -> str:
        return self.programs[0] if self.programs else ""

    @property
    def stop_it(self) -> str:
        """What to do for the port to be free at the next boot too."""
        command = stop_for_good(self.unit)
        return f"stop it for good ({command})" if command else "stop it for good"

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
        return OF_SOCKETS + sh_file(__package__, "listening.sh")

    @classmethod
    def parse_one(cls, section: Section) -> tuple[Listener, ...] | Missing:
        lines = lines_of(section.stdout)
        if section.status or len(lines) < _FEWEST or lines[-1] != "end":
            return Missing.UNKNOWN
        about = {pid: owner for pid, *owner in (line.split(" ") for line in lines[1:-1])}
        printed = base64.b64decode(lines[0], validate=True).strip(b"\n")
        return tuple(_listener(one, about) for one in ss.listeners(printed))


def _listener(found: ss.Socket, about: Mapping[str, Sequence[str]]) -> Listener:
    pid = found.processes[0][1] if found.processes else 0
    programs = dict.fromkeys(name for name, _ in found.processes)
    return Listener(found.address, found.port, tuple(programs), pid, *about.get(str(pid), ()))
