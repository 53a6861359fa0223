"""What `host check` says of one subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    subject: str
    verdict: Literal["ok", "note", "problem"]
    """ok: right. note: worth knowing. problem: novaops cannot do its work here."""
    text: str
    fix: str = ""
