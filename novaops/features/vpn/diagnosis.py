"""Why a link does not work. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from novaops.features.vpn.facts.link import LinkState


@dataclass(frozen=True)
class Diagnosis:
    what: str
    why: str = ""


def diagnose(link: LinkState) -> Diagnosis | None:
    """The first thing that is wrong with a link; None where it works."""
    if not link.addresses:
        return Diagnosis("the link is down" if link.running else "OpenVPN does not run", link.error)
    ipv6 = any(":" in address for address in link.addresses)
    for route in link.routes:
        named = f"{route.route} ({route.address})"
        if route.device and route.device != link.device:
            what = f"{named} goes over {route.device}, not through the link"
            return Diagnosis(what, "Another route is in the way: ip route get shows it.")
        if not route.device and (ipv6 or ":" not in route.address):  # IPv6 addresses are unreachable on purpose where the link has none
            return Diagnosis(f"there is no way to {named}", link.error)
    if not link.status and link.error:
        return Diagnosis(f"the link is down: {link.error}", link.complaint)
    if not link.status:
        return Diagnosis(f"the link is there, but {link.url} does not answer through it", link.complaint or link.error)
    if link.source and link.source not in link.addresses:
        return Diagnosis(f"{link.url} answers, but not through the link: the request left from {link.source}")
    return None
