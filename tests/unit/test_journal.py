"""How the journal is asked. Of `--since` and `-n N` without `-r`, systemd before 254 takes the first lines, not the last ones."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASKED = re.compile(r"journalctl\b[^|;\n]*")


def takes_the_first(text: str) -> list[str]:
    asked = (found[0] for found in ASKED.finditer(text))
    return [one for one in asked if "--since" in one and re.search(r" (-n|--lines)\b", one) and not re.search(r" (-r|--reverse)\b", one)]


def test_the_last_lines_are_asked_for() -> None:
    files = [path for suffix in ("py", "sh", "j2") for folder in ("novaops", "templates") for path in (ROOT / folder).rglob(f"*.{suffix}")]
    assert [(path.relative_to(ROOT), found) for path in files if (found := takes_the_first(path.read_text("utf-8")))] == []


def test_what_is_found() -> None:
    assert takes_the_first("journalctl -u a -b --since=@1 -n 60 -o cat | tac") != []
    assert takes_the_first("journalctl -q --since '-5 min' --lines=5") != []
    assert takes_the_first("journalctl -u a --since=@1 -r -n 60 | tac; journalctl -n 5; journalctl --since=-60s") == []
