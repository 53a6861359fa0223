"""Target: the address of a host and how to log in, from the inventory."""

from __future__ import annotations

from dataclasses import dataclass, field

from novaops.secret import Secret


@dataclass(frozen=True)
class Target:
    """The address of a host and how to log in. What is None is left to the configuration of ssh."""

    name: str
    address: str
    port: int | None = None
    user: str | None = None
    identity: str | None = None
    known_hosts: str | None = None
    sudo_password: Secret | None = field(default=None, repr=False)
    password: Secret | None = field(default=None, repr=False)
    """Log in with it only; None: by key."""
    timeout: float = 30.0
    """Seconds to wait for the connection, the banner, the login, and each answer."""
    persist: float = 0.0
    """Seconds for which a connection is kept after its last use; 0 for not at all."""

    def __str__(self) -> str:
        return self.name if self.name == self.address else f"{self.name} ({self.address})"
