"""curl, as hosts are told to use it: its exit codes, and the file that it reads its options from. Pure."""

from __future__ import annotations

from collections.abc import Iterable

TIMED_OUT = 28
"""Exit code for a request that took too long."""

TOO_LONG = 63
"""Exit code for an answer longer than it was to fetch. Its beginning says enough."""


def config(options: Iterable[tuple[str, str]]) -> str:
    """A configuration file: one option a line, its value in double quotes."""
    return "".join(f'{name} = "{_escaped(value)}"\n' for name, value in options)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
