"""Where a host is and how to log in: what the inventory says, in the form that a connection needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from novaops.secret import Secret


@dataclass(frozen=True)
class Target:
    """Where a host is and how to log in. What is empty comes from ssh's own configuration."""

    name: str
    address: str
    port: int | None = None
    user: str | None = None
    identity: str | None = None
    known_hosts: str | None = None
    sudo_password: Secret | None = field(default=None, repr=False)
    password: Secret | None = field(default=None, repr=False)
    """Log in by it, and by nothing else; None: by key."""
    timeout: float = 30.0
    """Seconds a host may keep silent: for the connection, the greeting, the login, and each answer."""

    def __str__(self) -> str:
        return self.name if self.name == self.address else f"{self.name} ({self.address})"
