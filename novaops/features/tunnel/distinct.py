"""That no two tunnels of a host want the same listener, name or unit. Pure."""

from __future__ import annotations

from novaops.features.tunnel.settings import ANY_SITE, ResolvedForward, Tunnel
from novaops.formats import names


def distinct(tunnels: list[Tunnel]) -> list[Tunnel]:
    """The tunnels, if no two of them need the same listener, name or unit. Raises ValueError."""
    names.each_once("name", [tunnel.name for tunnel in tunnels])
    listeners: dict[str, str] = {}
    names_taken: dict[str, str] = {}
    units: dict[str, str] = {}
    for tunnel in tunnels:
        for stem in _unit_stems(tunnel):
            if (other := units.setdefault(stem, tunnel.name)) != tunnel.name:
                raise ValueError(f"{other} and {tunnel.name} would both have a unit {stem}: choose another name")
        if tunnel.state == "absent":
            continue
        for forward in tunnel.resolved_forwards(ANY_SITE if tunnel.site else ""):
            listener = f"{tunnel.via if forward.reverse else ''} {forward.listens}"
            if (other := listeners.setdefault(listener, tunnel.name)) != tunnel.name:
                raise ValueError(f"listen: {other} and {tunnel.name} both have {forward.listens}")
            if forward.transparent and (other := names_taken.setdefault(forward.target, tunnel.name)) != tunnel.name:
                raise ValueError(f"transparent: {other} and {tunnel.name} both take {forward.target}")
    return tunnels


def _unit_stems(tunnel: Tunnel) -> tuple[str, ...]:
    """The names of its units, without `novaops-tunnel-` and the suffix."""
    aliases: tuple[str, ...] = ()
    if tunnel.transparent and tunnel.state == "present":
        aliases = tuple(f"{tunnel.name}-{part}" for part in alias_parts(tunnel.resolved_forwards()))
    return (tunnel.name, f"{tunnel.name}-check", *aliases)


def alias_parts(forwards: tuple[ResolvedForward, ...]) -> tuple[str, ...]:
    """What tells the units of local aliases apart: the port; where two have the same port, the forward's number before it."""
    ports = [forward.port for forward in forwards]
    return tuple(str(port) if ports.count(port) == 1 else f"{number}-{port}" for number, port in enumerate(ports, 1))
