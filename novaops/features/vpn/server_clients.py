"""The clients of a VPN server, as a list for people and machines. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from novaops.features.vpn.facts.server_clients import Clients, VpnClients
from novaops.features.vpn.resources.server_client import no_server
from novaops.formats.size import human
from novaops.formats.x509 import day
from novaops.model.question import Facts, Missing
from novaops.shell import quote


def details(facts: Facts, server: str) -> dict[str, Any]:
    """Raises HostFailed where there is no such server."""
    clients = facts[VpnClients(server)]
    if clients is Missing.ABSENT:
        raise no_server(server)
    listed = clients.revocations
    until = day(listed.until) if listed.until is not None else None
    return {
        "server": server,
        "list": {"until": until, "trouble": listed.trouble},
        "clients": [_client(clients, name) for name in clients.newest],
    }


def broken(details: dict[str, Any]) -> bool:
    """Whether somebody is let in who is revoked, or is still in, or nobody is let in."""
    return any(one["why"] for one in details.get("clients", []))


def lines_to_mend(details: dict[str, Any], host: str) -> list[str]:
    """What to type where something is broken."""
    if not broken(details):
        return []
    serve = f"novaops vpn serve {quote(host)} --name {details['server']}"
    return [f"to make the list anew and cut off who is revoked: {serve} (with the flags that it was made with, if no inventory has it)"]


def _client(clients: Clients, name: str) -> dict[str, Any]:
    one = clients.newest[name]
    through = next((found for found in clients.connected if found.name == name), None)
    return {
        "name": name,
        "state": one.state,
        "let_in": _let_in(clients, name),
        "why": _why(clients, name, is_inside=through is not None),
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


def _let_in(clients: Clients, name: str) -> bool:
    """Whether a certificate of that name is let in, revoked or not."""
    listed = clients.revocations
    return not listed.trouble and (clients.valid(name) is not None or any(one.name == name for one in listed.lacking))


def _why(clients: Clients, name: str, *, is_inside: bool) -> str:
    """Why the client does not get what the state of its certificate says; "" where it does."""
    listed = clients.revocations
    lacking = [one.serial for one in listed.lacking if one.name == name]
    if lacking and not listed.trouble:
        return f"the list of revoked certificates lacks serial {', '.join(lacking)}, which is let in"
    if clients.newest[name].state == "revoked":
        return "still in" if is_inside else ""
    return f"nobody is let in: the list of revoked certificates: {listed.trouble}" if listed.trouble else ""


def rows(details: dict[str, Any]) -> list[tuple[str, ...]]:
    return [_row(one) for one in details["clients"]]


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    left = f"{one['days_left']} days" if one["state"] == "valid" else ""
    through = one["connected"]
    state = f"{one['state']}, but {one['why']}" if one["why"] else one["state"]
    if through is None:
        return one["name"], state, one["serial"], left, "no"
    moved = f"{human(through['received'])} in, {human(through['sent'])} out"
    return (
        one["name"],
        state,
        one["serial"],
        left,
        f"from {through['from']} as {through['inside']} since {through['since']}, {moved}",
    )
