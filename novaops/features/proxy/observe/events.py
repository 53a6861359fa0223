"""Server-sent events, as they arrive."""

from __future__ import annotations

from novaops.verify.http_answer import HttpAnswer

APART = 0.005
"""Seconds between two arrivals, at the least: events that were held back and released together arrive in less."""


def bursts(answer: HttpAnswer) -> list[tuple[float, int]]:
    """When events arrived, in seconds after the request, and how many together. Parts without an event count to the burst before."""
    found: list[tuple[float, int]] = []
    last = -1.0
    pending = b""
    for at, part in answer.arrivals:
        *complete, pending = (pending + part).replace(b"\r\n", b"\n").split(b"\n\n")
        events = sum(any(map(_is_data, event.split(b"\n"))) for event in complete)
        if events and (not found or at - last >= APART):
            found.append((at, events))
        elif events:
            found[-1] = (found[-1][0], found[-1][1] + events)
        last = at
    return found


def _is_data(line: bytes) -> bool:
    return line.startswith(b"data:") and line.removeprefix(b"data:").strip() != b"[DONE]"
