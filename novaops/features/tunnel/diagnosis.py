"""Why nothing comes through a tunnel, in plain words: from what ssh wrote, and what the request ran into. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    why: str
    fix: str


@dataclass(frozen=True)
class TunnelRef:
    """The tunnel that has it."""

    name: str
    via: str
    to: str
    listen: str


_Cure = Callable[[re.Match[str], TunnelRef], Diagnosis]


def _changed(where: str, place: TunnelRef) -> Diagnosis:
    return Diagnosis(
        f"{place.via} shows another host key than the pinned one, and the tunnel does not connect{where and f': {where}'}",
        f"find out why it has changed. If that is meant: novaops host trust {place.via}, then novaops tunnel up pins the new one",
    )


_UP = "novaops tunnel up lets it in again"

_OF_SSH: Sequence[tuple[str, _Cure]] = (
    (r"Offending \S+ key in (?P<where>\S+)", lambda found, place: _changed(found["where"], place)),
    (r"Host key verification failed|IDENTIFICATION HAS CHANGED", lambda _, place: _changed("", place)),
    (r"Permission denied", lambda _, place: Diagnosis(f"{place.via} does not let the tunnel's key in any more", _UP)),
    (
        r"open failed: administratively prohibited",
        lambda _, place: Diagnosis(
            f"{place.via} refuses to forward to {place.to}",
            "novaops tunnel up writes what the key may do; AllowTcpForwarding or PermitOpen of the gateway's sshd may forbid it",
        ),
    ),
    (
        r"open failed: connect failed: (?P<said>[^\r\n]*)",
        lambda found, place: Diagnosis(f"{place.via} does not reach {place.to}: {found['said']}", _beyond(found["said"], place)),
    ),
    (
        r"bind \[?(?P<where>[^\]\s]+)\]?:(?P<port>\d+): Address already in use|cannot listen to port: (?P<other>\d+)",
        lambda found, place: Diagnosis(f"port {found['port'] or found['other']} is taken by another program", _port(place)),
    ),
    (
        r"remote port forwarding failed for listen (?:port|path) (?P<port>\S+)",
        lambda found, place: Diagnosis(
            f"{place.via} does not listen on port {found['port']}: it is taken there, or not permitted",
            "a tunnel that was cut sets it free within 40 s; else see there: ss -ltnp",
        ),
    ),
    (
        r"Could not resolve hostname (?P<host>\S+): (?P<said>.*)",
        lambda found, place: Diagnosis(
            f"the name {found['host']} of {place.via} cannot be looked up here: {found['said']}",
            "write its address, or via_address:, when DNS here cannot be relied on",
        ),
    ),
    (
        r"connect to (?:host|address) (?P<host>\S+) port (?P<port>\d+): (?P<said>.*)",
        lambda found, place: Diagnosis(
            f"{place.via} is not reached at {found['host']} port {found['port']}: {found['said']}",
            "is it up, and does a firewall let this host in? The tunnel comes by itself when it can",
        ),
    ),
    (
        r"Not allowed at this time",
        lambda _, place: Diagnosis(
            f"{place.via} turns this host away for a while, after too many failed logins", "it comes by itself; the cause stands above"
        ),
    ),
    (
        r"kex_exchange_identification: (?P<said>.*)|Connection (?:closed|reset) by (?P<who>.*)",
        lambda _, place: Diagnosis(f"{place.via} closes the connection before the login", "its sshd's journal says why: journalctl -u ssh"),
    ),
    (
        r"Timeout, server (?P<host>\S+) not responding",
        lambda _, place: Diagnosis(f"the link to {place.via} went dead", "it is made again by itself"),
    ),
)


def _beyond(said: str, place: TunnelRef) -> str:
    if "resolve" in said.lower() or "not known" in said:
        return f"is the name right, and does DNS work on {place.via}?"
    return f"try it there: curl -v https://{place.to}/" if place.to.endswith(":443") else f"does it listen, as {place.via} sees it?"


def _port(place: TunnelRef) -> str:
    return f"see who has it: ss -ltnp; or choose another port: listen: (now {place.listen})"


_OF_CURL: Sequence[tuple[str, str]] = (
    (r"curl: \((?:60|51|58|77|35)\).*", "the certificate, or TLS, is not right"),
    (r"curl: \(7\).*|onnection refused", "nothing listens"),
    (r"curl: \(28\).*", "no answer came in time"),
    (r"curl: \((?:52|56)\).*|closed at once", "the connection was closed without an answer"),
)


def of_ssh(lines: Iterable[str], place: TunnelRef) -> Diagnosis | None:
    """What the last line that says something wrong means; None where no line does."""
    for line in reversed(list(lines)):
        for pattern, cure in _OF_SSH:
            found = re.search(pattern, line)
            if found:
                return cure(found, place)
    return None


def of_request(said: str) -> str:
    """What became of a request, in a few words, with curl's own."""
    for pattern, words in _OF_CURL:
        if re.search(pattern, said):
            return f"{words} ({said})"
    return said or "no answer came"


def since_begun(lines: Sequence[str]) -> list[str]:
    """The lines of the connection that there is now."""
    begins = [number for number, line in enumerate(lines) if "starting ssh (count" in line or "Started " in line]
    return list(lines[begins[-1] :]) if begins else list(lines)


def latest(lines: Sequence[str]) -> list[str]:
    """The lines since ssh last began: what is older has been got over. At least those of the last attempt that said anything."""
    begins = [number for number, line in enumerate(lines) if "starting ssh (count" in line or "Started " in line]
    recent = since_begun(lines)
    if any(re.search(pattern, line) for line in recent for pattern, _ in _OF_SSH):
        return recent
    return list(lines[begins[-2] :]) if len(begins) > 1 else list(lines)
