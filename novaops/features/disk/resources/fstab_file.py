"""/etc/fstab on the host: its text, and the action that writes it."""

from __future__ import annotations

from novaops.facts.file import FileAt
from novaops.model.action import WriteFile
from novaops.model.question import Facts
from novaops.resources.file import rewrite

FSTAB = "/etc/fstab"

_VERIFY = """\
errors() { findmnt --verify --tab-file "$1" 2>&1 | awk '/\\[E\\]|parse error at/ { n++ } END { print n + 0 }'; }
[ "$(errors "$2")" -le "$(errors "$1")" ] || { findmnt --verify --tab-file "$2" 2>&1; exit 1; }"""
"""findmnt must find no more errors in the new text than in the old one: novaops does not mend lines of others."""

_RELOAD = "[ ! -d /run/systemd/system ] || systemctl daemon-reload"


def text(facts: Facts) -> bytes:
    """What is in fstab; nothing where the host has none."""
    return getattr(facts[FileAt(FSTAB)], "content", None) or b""


def write(facts: Facts, after: bytes) -> WriteFile:
    """Fstab with the text `after`. A file that is there keeps its mode and owner."""
    found = facts[FileAt(FSTAB)]
    check = ("sh", "-c", _VERIFY, "verify", FSTAB, "{}")
    return rewrite(FSTAB, found, after, check=check, then=("sh", "-c", _RELOAD))
