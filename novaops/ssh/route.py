"""The way to a host: itself, and the hosts to jump over, each with what ssh's configuration says about it."""

from __future__ import annotations

from novaops.errors import UsageError
from novaops.ssh.ask_ssh import ask, circle
from novaops.ssh.client_config import ClientConfig, Destination
from novaops.ssh.target import Target

LONGEST = 16
"""Hosts on the way. A configuration that makes more of them makes ever more."""


def destination(target: Target) -> Destination:
    """The target as it is typed after `ssh`."""
    return Destination(target.address, target.user, target.port, target.identity)


def route(target: Target) -> tuple[ClientConfig, ...]:
    """Every host on the way, the first one to connect to first and the target last.

    Raises UsageError for jump hosts that lead in a circle, and where ssh refuses its configuration; Unreachable.
    """
    return _to(destination(target), (), target)


def _to(asked: Destination, trail: tuple[Destination, ...], target: Target) -> tuple[ClientConfig, ...]:
    if asked in trail or len(trail) == LONGEST:
        again = trail.index(asked) if asked in trail else 0
        raise circle(asked, " jumps over ".join(map(str, (*trail[again:], asked))))
    config = ask(asked, target.timeout)
    try:
        jumps = config.jumps
    except ValueError as error:
        raise UsageError(f"{target}: ssh's configuration is not understood", why=str(error)) from None
    return (*(_to(jumps[-1], (*trail, asked), target) if jumps else ()), config)
