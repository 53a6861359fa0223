"""Whether the events of an answer arrive one by one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from novaops.features.api.facts import RouteProbe, StreamResult
from novaops.formats.curl import TIMED_OUT
from novaops.providers.answer import read_error

APART = 20
"""Milliseconds between two events that did not arrive together."""
SEPARATE = 3
"""So many arrivals, each apart from the one before, are a stream."""
_OK = 200

_RULES: tuple[tuple[Callable[[StreamResult], bool], bool | None, str], ...] = (
    (lambda s: not s.events and s.exit_code == TIMED_OUT, False, "no event within {seconds} s"),
    (lambda s: not s.events and s.exit_code != 0, False, "no event came: {error}"),
    (lambda s: not s.events, None, "not measured: the answer is no stream of events, but {content_type}"),
    (lambda s: s.exit_code not in {0, TIMED_OUT}, False, "it broke off after {counted}: {error}"),
    (lambda s: arrivals(s.events) >= SEPARATE, True, ""),
    (lambda s: len(s.events) < SEPARATE, None, "not measured: only {counted} came"),
    (lambda _: True, False, "{counted} came in {lumps}, after {first} ms"),
)
"""Of a stream that the API began: what is so, whether it streams (None: that cannot be told), and why. The first that applies."""


def streaming(probe: RouteProbe, result: StreamResult) -> dict[str, Any]:
    """What `api check --json` says of the stream. `streams` is None where nothing can be said of the route."""
    if result.status not in {0, _OK}:
        message = read_error(result.body).message
        return unmeasured(f"not measured: the API answers {result.status}{f': {message}' if message else ''}")
    events, lumps = result.events, arrivals(result.events)
    streams, why = next((streams, why) for applies, streams, why in _RULES if applies(result))
    why = why.format(
        seconds=probe.streaming_seconds,
        error=result.error,
        content_type=result.content_type or "of no type",
        counted=_count(len(events), "event"),
        lumps=_count(lumps, "lump"),
        first=events[0] if events else None,
    )
    ends = {"first_ms": events[0], "last_ms": events[-1]} if events else {}
    return {**unmeasured(why), "streams": streams, "events": len(events), "arrivals": lumps, **ends}


def unmeasured(why: str) -> dict[str, Any]:
    """The same where no stream was measured."""
    return {"streams": None, "why": why, "events": 0, "arrivals": 0, "first_ms": None, "last_ms": None}


def arrivals(events: Sequence[int]) -> int:
    """How often something arrived, apart from what came before."""
    counted, last = 0, None
    for time in events:
        if last is None or time - last >= APART:
            counted += 1
            last = time
    return counted


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
