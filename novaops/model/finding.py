"""What a check says of one subject, and how that is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

HEADERS = ("", "SUBJECT", "FINDING")


@dataclass(frozen=True)
class Finding:
    subject: str
    verdict: Literal["ok", "note", "problem"]
    """ok: right. note: worth knowing. problem: what was asked about cannot be done here."""
    text: str
    fix: str = ""


def rows(findings: Iterable[Mapping[str, str]]) -> list[tuple[str, ...]]:
    """Findings, as mappings, as rows of a table with HEADERS."""
    glyphs = {"ok": "✓", "note": "!", "problem": "✘"}
    return [(glyphs[f["verdict"]], f["subject"], f["text"] + (f" → {f['fix']}" if f["fix"] else "")) for f in findings]


def has_problem(findings: Iterable[Mapping[str, str]]) -> bool:
    return any(f["verdict"] == "problem" for f in findings)
