"""Where novaops keeps its journal on a host. Root's alone: it holds copies of the files that were changed."""

from __future__ import annotations

STATE = "/var/lib/novaops"

RUNS = f"{STATE}/runs"
"""A folder for each run: its plan, its events, the files it kept for undo."""

PENDING = f"{STATE}/pending"
"""Markers: the file is in place, and what must follow it (a reload) has not yet succeeded."""

KEPT_RUNS = 50
"""Older runs are forgotten, with what they kept for undo."""


def pending_marker(path: str) -> str:
    """The marker for the file at `path`: readable, and one word."""
    return f"{PENDING}/{path.replace('%', '%25').replace('/', '%2F')}"
