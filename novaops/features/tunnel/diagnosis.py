"""Why a tunnel does not work, in plain words: from what ssh wrote to the journal, and from how a request failed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

PROHIBITED = "administratively prohibited"
"""What ssh says where the gateway does not allow a forward."""


@dataclass(frozen=True)
class Diagnosis:
    cause: str
    fix: str
    """What to type, or where to look."""


@dataclass(frozen=True)
class TunnelRef:
    """The forward that a diagnosis is about."""

    gateway: str
    target: str
    """HOST:PORT"""
    listener: str
    """ADDRESS:PORT"""


_REFUSED = "{gateway} does not let the tunnel's key in any more"
_CLOSED = "{gateway} closes the connection before the login"
"""Also what an sshd does for a while with whom it has refused: OpenSSH 9.8 and later (PerSourcePenalties), and fail2ban."""

_TRUST = "find out why it has changed. If that is meant: novaops host trust {gateway}, then novaops tunnel up pins the new one"
_CHANGED_KEY = "{gateway} shows another host key than the pinned one, and the tunnel does not connect"
_TAKEN = "port {port} is taken by another program"
_SEE_WHO = "see who has it: ss -ltnp; or choose another port: listen: (now {listener})"
_UNREACHED_TARGET = "{gateway} does not reach {target}: {said}"

_SSH_ERRORS: Sequence[tuple[str, str, str]] = (
    (r"Offending \S+ key in (?P<where>\S+)", f"{_CHANGED_KEY}: {{where}}", _TRUST),
    (r"Host key verification failed|IDENTIFICATION HAS CHANGED", _CHANGED_KEY, _TRUST),
    (r"Permission denied", _REFUSED, "novaops tunnel up lets it in again"),
    (
        r"open failed: administratively prohibited",
        "{gateway} refuses to forward to {target}",
        "novaops tunnel up writes what the key may do; AllowTcpForwarding or PermitOpen of the gateway's sshd may forbid it",
    ),
    (
        r"open failed: connect failed: (?P<said>[^\r\n]*((?i:resolve)|not known)[^\r\n]*)",
        _UNREACHED_TARGET,
        "is the name right, and does DNS work on {gateway}?",
    ),
    (r"open failed: connect failed: (?P<said>[^\r\n]*)", _UNREACHED_TARGET, "{test_target}"),
    (r"bind \[?(?P<where>[^\]\s]+)\]?:(?P<port>\d+): Address already in use", _TAKEN, _SEE_WHO),
    (r"cannot listen to port: (?P<port>\d+)", _TAKEN, _SEE_WHO),
    (
        r"remote port forwarding failed for listen (?:port|path) (?P<port>\S+)",
        "{gateway} does not listen on port {port}: it is taken there, or not permitted",
        "a tunnel that was cut sets it free within 40 s; else see there: ss -ltnp",
    ),
    (
        r"Could not resolve hostname (?P<host>\S+): (?P<said>.*)",
        "the name {host} of {gateway} cannot be looked up here: {said}",
        "write its address, or via_address:, when DNS here cannot be relied on",
    ),
    (
        r"connect to (?:host|address) (?P<host>\S+) port (?P<port>\d+): (?P<said>.*)",
        "{gateway} is not reached at {host} port {port}: {said}",
        "is it up, and does a firewall let this host in? The tunnel connects by itself as soon as it can",
    ),
    (
        r"Not allowed at this time",
        "{gateway} refuses connections of this host for a while, after too many failed logins",
        "the tunnel connects by itself later; the lines before this one in its journal say why logins failed",
    ),
    (
        r"kex_exchange_identification: |Connection (?:closed|reset) by ",
        _CLOSED,
        "its sshd's journal says why: journalctl -u ssh",
    ),
    (r"Timeout, server \S+ not responding", "the link to {gateway} went dead", "it is made again by itself"),
)
"""What ssh writes, the cause, and the fix. The texts are given the pattern's groups, the fields of TunnelRef, and `test_target`."""

_CURL_ERRORS: Sequence[tuple[str, str]] = (
    (r"curl: \((?:60|51|58|77|35)\).*", "the certificate, or TLS, is not right"),
    (r"curl: \(7\).*|onnection refused", "nothing listens"),
    (r"curl: \(28\).*", "no answer came in time"),
    (r"curl: \(97\).*", "the SOCKS proxy did not get there"),
    (r"curl: \((?:52|56)\).*|closed at once", "the connection was closed without an answer"),
)


def ssh_error(lines: Iterable[str], tunnel: TunnelRef) -> Diagnosis | None:
    """What the last line that reports an error means; None where no line does."""
    by_curl = f"try it there: curl -v https://{tunnel.target}/"
    test_target = by_curl if tunnel.target.endswith(":443") else f"does it listen, as {tunnel.gateway} sees it?"
    if (last := _last_error(lines)) is None:
        return None
    found, cause, fix = last
    words = {**found.groupdict(), **vars(tunnel), "test_target": test_target}
    return Diagnosis(cause.format(**words), fix.format(**words))


def request_error(said: str) -> str:
    """How a request failed, in a few words and with curl's own."""
    for pattern, words in _CURL_ERRORS:
        if re.search(pattern, said):
            return f"{words} ({said})"
    return said or "no answer came"


def lines_of_connection(lines: Sequence[str]) -> list[str]:
    """The journal's lines since ssh last began."""
    return _tries(lines)[-1]


def lines_since_last_failure(lines: Sequence[str]) -> list[str]:
    """The same; where they report no error, those of the connection before too. What is older has been got over.

    Where the gateway closes one connection after the other, these are the lines of the last one that it refused before that.
    """
    tries = _tries(lines)
    failed = tries if _cause(tries[-1]) else tries[:-1]
    closed = len(list(takewhile(lambda one: _cause(one) == _CLOSED, reversed(failed))))
    if closed and closed < len(failed) and _cause(before := failed[-1 - closed]) in {_REFUSED, _CHANGED_KEY}:
        return before
    return [line for one in (failed[-1:] if failed is tries else tries[-2:]) for line in one]


def _tries(lines: Sequence[str]) -> list[list[str]]:
    """The lines by connection; those before the first one began are a connection of their own."""
    begins = [number for number, line in enumerate(lines) if "starting ssh (count" in line or "Started " in line]
    ends = [*begins, len(lines)]
    return [list(lines[begin:end]) for begin, end in pairwise([0, *ends]) if begin < end] or [[]]


def _cause(lines: Iterable[str]) -> str:
    """What the last line that reports an error says, as _SSH_ERRORS has it; "" where no line does."""
    last = _last_error(lines)
    return last[1] if last else ""


def _last_error(lines: Iterable[str]) -> tuple[re.Match[str], str, str] | None:
    """The last line that reports an error, as its row of _SSH_ERRORS matches it; and that row's cause and fix."""
    for line in reversed(list(lines)):
        for pattern, cause, fix in _SSH_ERRORS:
            if found := re.search(pattern, line):
                return found, cause, fix
    return None
