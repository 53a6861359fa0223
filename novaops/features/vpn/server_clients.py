"""The clients of a VPN server, as a list for people and machines. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from novaops.features.vpn.facts.server_clients import Clients, VpnClients
from novaops.features.vpn.resources.server_client import no_server
from novaops.formats.size import human
from novaops.formats.x509 import day
from novaops.model.question import Facts, Missing


def details(facts: Facts, server: str) -> dict[str, Any]:
    """Raises HostFailed where there is no such server."""
    clients = facts[VpnClients(server)]
    if clients is Missing.ABSENT:
        raise no_server(server)
    return {"server": server, "clients": [_client(clients, name) for name in clients.newest]}


def _client(clients: Clients, name: str) -> dict[str, Any]:
    one = clients.newest[name]
    through = next((found for found in clients.connected if found.name == name), None)
    return {
        "name": name,
        "state": one.state,
        "serial": one.serial,
        "until": day(one.until),
        "days_left": one.days_left(clients.now),
        "revoked_before": [other.serial for other in clients.issued if other.name == name and other.serial != one.serial],
        "connected": None
        if through is None
        else {
            "from": through.address,
            "inside": through.inside,
            "received": through.received,
            "sent": through.sent,
            "since": datetime.fromtimestamp(through.since, UTC).isoformat(),
        },
    }


def rows(details: dict[str, Any]) -> list[tuple[str, ...]]:
    return [_row(one) for one in details["clients"]]


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    left = f"{one['days_left']} days" if one["state"] == "valid" else ""
    through = one["connected"]
    if through is None:
        return one["name"], one["state"], one["serial"], left, "no"
    moved = f"{human(through['received'])} in, {human(through['sent'])} out"
    return (
        one["name"],
        one["state"],
        one["serial"],
        left,
        f"from {through['from']} as {through['inside']} since {through['since']}, {moved}",
    )
