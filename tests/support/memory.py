"""How much memory a program needs, apart from what the process has that starts it.

Linux counts as a process's most memory also what it had before it became the program: that of a copy of whoever started it. A test
runner that has grown to 500 MiB would so find 500 MiB in everything. So a small process of its own stands between.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

_BETWEEN = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=file)
sys.exit(code)
"""


def run_measured(command: Sequence[str], folder: Path, stderr: IO[Any] | int) -> tuple[int, str, int]:
    """The exit code, the output, and the most memory that it had, in MiB."""
    kept = folder / "memory"
    done = subprocess.run(
        [sys.executable, "-c", _BETWEEN, str(kept), *command], stdout=subprocess.PIPE, stderr=stderr, text=True, check=False
    )
    return done.returncode, done.stdout, int(kept.read_text()) >> 10
