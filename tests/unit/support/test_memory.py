"""The memory of a program is its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.memory import run_measured


def test_the_memory_is_that_of_the_program_alone(tmp_path: Path) -> None:
    ours = bytearray(200 << 20)
    ours[:: 1 << 12] = b"x" * len(range(0, len(ours), 1 << 12))
    small = [sys.executable, "-c", "print('here'); raise SystemExit(5)"]
    code, out, memory = run_measured(small, tmp_path, subprocess.DEVNULL)
    assert (code, out) == (5, "here\n")
    assert memory < 100
    large = [sys.executable, "-c", "one = bytearray(150 << 20); one[:: 1 << 12] = b'x' * len(range(0, len(one), 1 << 12))"]
    assert 150 <= run_measured(large, tmp_path, subprocess.DEVNULL)[2] < 250
    del ours
