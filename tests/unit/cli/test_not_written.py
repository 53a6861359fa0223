"""Standard output that cannot be written, and standard error: a sentence where somebody can read it, and no exit code 0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (["--help"], ["--version"], ["disk", "--help"], ["host", "ls"], ["--json", "host", "ls"], ["--json", "host", "ls", "nosuch"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With an inventory of so many hosts that their list is larger than any buffer."""
    hosts = {f"host-{number}": {"address": "192.0.2.1"} for number in range(500)}
    (tmp_path / "inventory.yaml").write_text(json.dumps({"hosts": hosts}))
    return tmp_path


def novaops(words: list[str], folder: Path, shell: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`shell` says where its output goes."""
    command = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", sys.executable, "-m", "novaops", *words]
    whole = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment}
    return subprocess.run(command, cwd=folder, env=whole, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk(words: list[str], unbuffered: str, folder: Path) -> None:
    done = novaops(words, folder, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == "✘ the results could not be written to standard output: No space left on device"
    assert len(done.stderr.splitlines()) == 3


@pytest.mark.parametrize("words", COMMANDS[3:], ids=" ".join)
def test_a_reader_that_has_seen_enough(words: list[str], folder: Path) -> None:
    done = novaops(words, folder, "| true")
    assert (done.returncode in {0, 1, 2}, done.stderr) == (True, "")


@pytest.mark.parametrize("words", COMMANDS[3:], ids=" ".join)
@pytest.mark.parametrize("closed", ["2>&-", "<&-", "2>/dev/full"])
def test_what_is_closed_is_not_wanted(words: list[str], closed: str, folder: Path) -> None:
    """Nor does work end because nobody hears what it says beside the results."""
    done = novaops(words, folder, closed)
    expected = 2 if "nosuch" in words else 0
    assert (done.returncode, done.stderr if "2>" not in closed and not expected else "") == (expected, "")
    assert done.stdout or expected


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_is_closed(words: list[str], unbuffered: str, folder: Path) -> None:
    """What was to be said is lost, so it is no success."""
    done = novaops(words, folder, ">&-", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == "✘ the results could not be written to standard output: it is closed"
    assert novaops(words, folder, ">&- 2>&-").returncode == 1


def test_nothing_is_lost_where_nothing_was_to_be_said(folder: Path) -> None:
    assert novaops(["host", "ls", "nosuch"], folder, ">&-").returncode == 2
