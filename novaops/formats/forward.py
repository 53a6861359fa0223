"""A port that leads to another one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from novaops.formats.names import pair, reached

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class PortForward:
    """A listener, and where what comes in there is forwarded to."""

    host: str
    """The target, as the end that connects to it resolves the name."""
    port: int
    listen: str = LOOPBACK
    listen_port: int = 0
    """0: any free port."""

    @property
    def target(self) -> str:
        return pair(self.host, self.port)

    @property
    def listens(self) -> str:
        return pair(self.listen, self.listen_port)

    @property
    def entrance(self) -> tuple[str, int]:
        """Where the host with the listener connects to it itself."""
        return reached(self.listen), self.listen_port

    @property
    def ways(self) -> tuple[Self, ...]:
        """Where it may lead, the best one first."""
        return (self,)

    def at(self, port: int) -> Self:
        return replace(self, listen_port=port)
