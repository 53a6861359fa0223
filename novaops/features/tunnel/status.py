"""The tunnels of a host, for people: whether each works now, how many bytes it has carried, and its last error. Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from novaops.features.tunnel.diagnosis import TunnelRef, ssh_error
from novaops.features.tunnel.facts.state import ForwardState, TunnelFacts, Tunnels
from novaops.features.tunnel.resources.connection import diagnose
from novaops.features.tunnel.settings import Tunnel, split, url_target
from novaops.formats.names import pair, reached
from novaops.formats.size import human
from novaops.model.question import Facts, Question

HEADERS = ("TUNNEL", "FORWARD", "STATE", "ANSWER", "THROUGH IT", "LAST ERROR")

_NOT_SET_UP = "not set up"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def questions() -> tuple[Question[Any], ...]:
    return (Tunnels(),)


def details(facts: Facts) -> dict[str, Any]:
    """What `tunnel status --json` says of a host."""
    return {"tunnels": [_tunnel(tunnel) for tunnel in facts.known(Tunnels())]}


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The same as rows of a table."""
    lines: list[tuple[str, ...]] = []
    for tunnel in found["tunnels"]:
        about = [f"{tunnel['tunnel']} via {tunnel['via']}", f"{tunnel['supervisor']}, {_since(tunnel)}"]
        carried = [_carried(tunnel)]
        for number, forward in enumerate(tunnel["forwards"]):
            to = f"SOCKS, asked for {forward['to']}" if forward["socks"] else forward["to"]
            route = f"{forward['listen']} {'←' if tunnel['reverse'] else '→'} {to}"
            error = forward["why"] or (tunnel["last_error"] if number == 0 else "")
            state = "UP" if forward["up"] else "DOWN"
            lines.append((about.pop(0) if about else "", route, state, _answer(forward), carried.pop(0) if carried else "", error))
        lines += [(text, "", "", "", "", "") for text in about]
        if not tunnel["checked"] and tunnel["state"] != _NOT_SET_UP:
            lines.append(("", "its check does not run: novaops tunnel up starts it", "", "", "", ""))
    return lines or [("", "novaops has set up no tunnel here", "", "", "", "")]


def lines_to_use(found: dict[str, Any]) -> list[str]:
    """What to type, or to set, to use the forwards that are up."""
    forwards = [forward for tunnel in found.get("tunnels", []) for forward in tunnel["forwards"]]
    return [forward["use"] for forward in forwards if forward["use"] and forward["up"]]


def is_down(found: dict[str, Any]) -> bool:
    return any(not forward["up"] for tunnel in found.get("tunnels", []) for forward in tunnel["forwards"])


def not_set_up(entry: Tunnel, host: str) -> dict[str, Any]:
    """The same as `details` for a tunnel that the inventory has and the host has not."""
    fix = f"novaops tunnel up {host} --name {entry.name}"
    down = {"up": False, "proven": False, "why": f"not set up: {fix}", "fix": fix}
    nothing = {"listener": "", "status": None, "ms": None, "front": "", "use": ""}
    forwards = [
        {"to": to, "listen": listen, "asked": check or "", "socks": bool(entry.socks), **nothing, **down}
        for to, listen, check in _written(entry)
    ]
    about = {"tunnel": entry.name, "via": entry.via, "reverse": entry.reverse, "supervisor": entry.supervisor, "state": _NOT_SET_UP}
    numbers = {"since_s": None, "connected_s": None, "restarts": 0, "checked": False, "sent": 0, "received": 0}
    return {**about, **numbers, "last_error": "", "forwards": forwards}


def _written(entry: Tunnel) -> list[tuple[str, str | None, str | None]]:
    """Target, listener and check of each forward, as the inventory has them."""
    if entry.socks:
        return [(pair(*url_target(entry.check or "")), entry.socks, entry.check)]
    return [(one.to or f"site {entry.site}", one.listen, one.check) for one in entry.forwards or (entry,)]


def usage(to: str, listens: str, check: str, local_alias: str, *, socks: bool = False) -> str:
    """What to type, or to set, to use a forward; "" where the protocol is not known. The certificate is always checked."""
    host, port = split(to)
    address, listen_port = split(listens)
    here = pair(reached(address), listen_port)
    url = urlsplit(check)
    if socks:
        return f"ALL_PROXY=socks5h://{here} curl {check}"
    if url.scheme == "http" and url.netloc == here:
        return f"base URL: http://{here}/v1"
    if url.scheme not in {"http", "https"}:
        return ""
    path = "/v1/models" if url.path in {"", "/"} and host.startswith("api.") else url.path or "/"
    shown = f"{url.scheme}://{url.netloc}{path}"
    return f"curl {shown}" if local_alias else f"curl --connect-to {pair(host, port)}:{here} {shown}"


def _tunnel(tunnel: TunnelFacts) -> dict[str, Any]:
    return {
        "tunnel": tunnel.name,
        "via": tunnel.via,
        "reverse": tunnel.reverse,
        "supervisor": tunnel.supervisor,
        "state": tunnel.active,
        "since_s": None if tunnel.since is None else round(tunnel.since),
        "connected_s": tunnel.ssh_age if tunnel.ssh and tunnel.sent >= 0 else None,
        "restarts": _restarts(tunnel),
        "checked": tunnel.checked,
        "sent": max(tunnel.sent, 0),
        "received": max(tunnel.received, 0),
        "last_error": _last_error(tunnel),
        "forwards": [_forward(tunnel, forward) for forward in tunnel.forwards],
    }


def _forward(tunnel: TunnelFacts, forward: ForwardState) -> dict[str, Any]:
    found = diagnose(tunnel, forward)
    return {
        "to": forward.to,
        "listen": forward.listen,
        "socks": forward.socks,
        "up": found is None,
        "proven": forward.up,
        "listener": forward.listener,
        "asked": forward.url or "tcp",
        "status": forward.status or None,
        "ms": round(forward.seconds * 1000) if forward.status else None,
        "front": forward.local_alias,
        "use": "" if tunnel.reverse else usage(forward.to, forward.listen, forward.url or "tcp", forward.local_alias, socks=forward.socks),
        "why": found.cause if found else "",
        "fix": found.fix if found else "",
    }


def _restarts(tunnel: TunnelFacts) -> int:
    """How often ssh was started again: by systemd, and by the autossh that runs now."""
    counts = [int(found[1]) for _, text in tunnel.journal if (found := re.search(r"starting ssh \(count (\d+)\)", text))]
    return tunnel.restarts + (counts[-1] - 1 if counts else 0)


def _last_error(tunnel: TunnelFacts) -> str:
    if not tunnel.forwards:
        return ""
    first = tunnel.forwards[0]
    found = ssh_error([text for _, text in tunnel.journal], TunnelRef(tunnel.via, first.to, first.listen))
    return f"before: {found.cause}" if found else ""


def _since(tunnel: dict[str, Any]) -> str:
    since = "" if tunnel["since_s"] is None else f" for {_long(tunnel['since_s'])}"
    restarts = f", {tunnel['restarts']} restarts" if tunnel["restarts"] else ""
    return f"{tunnel['state']}{since}{restarts}"


def _long(seconds: int) -> str:
    return next(f"{seconds // size} {word}" for size, word in _UNITS if seconds >= size or size == 1)


def _carried(tunnel: dict[str, Any]) -> str:
    return f"{human(tunnel['sent'])} there, {human(tunnel['received'])} back"


def _answer(forward: dict[str, Any]) -> str:
    if forward["status"]:
        return f"{forward['status']} in {forward['ms']} ms"
    if forward["up"] and not forward["proven"]:
        return "not allowed to ask"
    return "connects" if forward["up"] else "none"
