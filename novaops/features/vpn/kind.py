"""What an entry of `vpn:` is, told from the unread section. Imports nothing heavy: the command line needs it to start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_server(entry: Mapping[str, Any]) -> bool:
    """Whether it is a server of one's own; else it is a link to somebody's."""
    return str(entry.get("serve")).lower() == "true"


def by_name(section: Any) -> dict[str, Mapping[str, Any]]:
    """The entries of an unread section that have a name."""
    entries = [entry for entry in section if isinstance(entry, dict)] if isinstance(section, list) else []
    return {str(entry["name"]): entry for entry in entries if "name" in entry}
