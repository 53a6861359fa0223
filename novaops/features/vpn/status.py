"""The VPN links of a host, for people: whether traffic goes through each, by which routes, and since when. Pure."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from novaops.features.vpn.diagnosis import diagnose
from novaops.features.vpn.facts.link import LinkState, LinkStates
from novaops.formats.size import human
from novaops.model.question import Facts, Question

HEADERS = ("LINK", "STATE", "DEVICE", "HANDSHAKE", "IN/OUT", "ROUTES", "API", "LAST ERROR")


def questions() -> tuple[Question[Any], ...]:
    return (LinkStates(),)


def details(facts: Facts) -> dict[str, Any]:
    """What `vpn status --json` says of a host."""
    found = facts.known(LinkStates())
    return {"links": [_link(link, found.now) for link in found.links]}


def broken(found: dict[str, Any]) -> bool:
    """Whether one of the links does not work."""
    return any(not link["works"] for link in found.get("links", []))


def not_set_up(name: str, device: str, url: str, host: str) -> dict[str, Any]:
    """The same for a link of the inventory that the host does not have."""
    return {**_link(LinkState(name, device, url=url), 0), "trouble": f"not set up: novaops vpn up {host} --name {name}"}


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The same as rows of a table."""
    lines: list[tuple[str, ...]] = []
    for link in found["links"]:
        answer = link["api"]
        api = f"{answer['status']} in {answer['milliseconds']} ms" if answer["status"] else answer["complaint"] or "no answer"
        columns = (
            [link["link"]],
            ["works" if link["works"] else link["trouble"]],
            [link["device"], *link["addresses"]],
            [_age(link["handshake_s"])],
            [f"{human(link['received'])} / {human(link['sent'])}", *([f"{link['restarts']} restarts"] if link["restarts"] else [])],
            [f"{route['route']} {route['address']} over {route['device'] or 'nothing'}" for route in link["routes"]]
            + [f"{name} leads nowhere" for name in link["unresolved"]],
            [api],
            [link["last_error"]],
        )
        lines += zip_longest(*columns, fillvalue="")
    return lines or [("", "no link of novaops' is set up here", *[""] * (len(HEADERS) - 2))]


def _link(link: LinkState, now: int) -> dict[str, Any]:
    diagnosis = diagnose(link)
    return {
        "link": link.name,
        "works": diagnosis is None,
        "trouble": "" if diagnosis is None else diagnosis.what,
        "device": link.device,
        "addresses": list(link.addresses),
        "server": link.server,
        "handshake_s": max(0, now - link.handshake) if link.handshake else None,
        "received": link.received,
        "sent": link.sent,
        "restarts": link.restarts,
        "routes": [{"route": route.route, "address": route.address, "device": route.device} for route in link.routes],
        "unresolved": list(link.unresolved),
        "api": {"url": link.url, "status": link.status or None, "milliseconds": link.milliseconds, "complaint": link.complaint},
        "last_error": link.error,
    }


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "never"
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{seconds // 3600} h ago"  # noqa: PLR2004 - two hours
