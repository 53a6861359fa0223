"""What a check says of one subject, and how that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

HEADERS = ("", "SUBJECT", "FINDING")


@dataclass(frozen=True)
class Finding:
    subject: str
    verdict: Literal["ok", "note", "problem"]
    """ok: right. note: worth knowing. problem: what was asked about cannot be done here."""
    text: str
    fix: str = ""


def rows(details: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The findings of a report's details as rows of a table with HEADERS."""
    glyphs = {"ok": "✓", "note": "!", "problem": "✘"}
    found = details["findings"]
    return [(glyphs[one["verdict"]], one["subject"], one["text"] + (f" → {one['fix']}" if one["fix"] else "")) for one in found]


def has_problem(details: Mapping[str, Any]) -> bool:
    return any(one["verdict"] == "problem" for one in details.get("findings", ()))
