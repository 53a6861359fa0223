"""What flags alone do not change of a tunnel that is there: where it leads, and what it may reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from novaops.engine.desired import DesiredState
from novaops.engine.inventory import Host
from novaops.features.tunnel.resources.authorized_key import AuthorizedKey
from novaops.features.tunnel.resources.reach_kept import ReachKept
from novaops.features.tunnel.resources.tunnel_kept import TunnelKept
from novaops.features.tunnel.settings import Tunnel


def not_turned(of: Callable[[Any], DesiredState], _: Host, entries: list[Tunnel]) -> DesiredState:
    """What the entries want, and that none of them turns a tunnel that only has the same name."""
    kept = [TunnelKept(entry.name, tuple(forward.target for forward in entry.resolved_forwards())) for entry in entries]
    state = of(entries)
    return replace(state, own=[*kept, *state.own])


def not_widened(of: Callable[[Any], DesiredState], _: Host, entries: list[Tunnel]) -> DesiredState:
    """What the entries want, and that a SOCKS proxy of which nobody said what it may reach is not let reach more than before."""
    state = of(entries)
    reach = {entry.name: entry.permitted for entry in entries if "reaches" not in entry.model_fields_set}
    kept = [
        (gateway, ReachKept(resource.client, resource.name, resource.comment, reach[resource.name]))
        for gateway, resource in state.of_peers
        if isinstance(resource, AuthorizedKey) and resource.name in reach
    ]
    return replace(state, of_peers=[*kept, *state.of_peers])
