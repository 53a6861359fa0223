"""A file that may be missing is read in silence: the shell complains itself, unless its errors are sent away before it opens the file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent.parent
LATE = re.compile(r"(?<![<&\d])<(?![<(&]|/dev/null\b)[^<>|;)]+ 2>/dev/null")
"""`<file 2>/dev/null`: a shell takes the two from left to right."""


@pytest.mark.parametrize(("words", "says"), [("<'{}' 2>/dev/null", "missing"), ("2>/dev/null <'{}'", "")])
def test_what_a_shell_says_of_a_missing_file(words: str, says: str, tmp_path: Path) -> None:
    text = f"wc -c {words.format(tmp_path / 'missing')} || true"
    assert bool(LATE.search(text)) == bool(says)
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    assert says in done.stderr
    assert bool(done.stderr) == bool(says)


@pytest.mark.parametrize("text", ['tr a b <"/proc/$1/cmdline" 2>/dev/null', "n=$(wc -c <{log} 2>/dev/null || echo 0)"])
def test_a_late_silence_is_found(text: str) -> None:
    assert LATE.search(text)


@pytest.mark.parametrize(
    "text", ["ssh-keygen -y 2>/dev/null </dev/null", "x </dev/null 2>/dev/null", "cat <<E 2>/dev/null", "a <b | c 2>/dev/null"]
)
def test_what_is_in_order(text: str) -> None:
    assert not LATE.search(text)


def test_no_shell_of_ours_is_silent_too_late() -> None:
    files = [
        path
        for folder in ("novaops", "templates", "playbooks")
        for path in (HERE / folder).rglob("*")
        if path.suffix in {".py", ".j2", ".sh"}
    ]
    assert len(files) > 100
    found = [
        f"{path.relative_to(HERE)}: {line.strip()}" for path in files for line in path.read_text("utf-8").splitlines() if LATE.search(line)
    ]
    assert found == []
