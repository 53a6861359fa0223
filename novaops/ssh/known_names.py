"""What ssh's own configuration says of a host, asked of ssh itself."""

from __future__ import annotations

import re
import subprocess
from contextlib import nullcontext
from pathlib import Path

_NOBODY = "novaops-asks-for-a-name-that-nobody-has"


def ssh_knows(word: str, config: Path | None = None) -> bool:
    """Whether ssh_config(5) says something of this name: an address, or anything that it does not say of every name.

    `config` takes the place of the user's and the system's files. Without an ssh program nothing is known.
    """
    its = _answer(word, config)
    if not its:
        return False
    return its != _answer(_NOBODY, config).replace(_NOBODY, word) or bool(re.search(r"^hostname .*[.:]", its, re.MULTILINE))


def _answer(name: str, config: Path | None) -> str:
    """The settings for a host of that name; "" where there is no answer."""
    from novaops.ssh.ask_ssh import files_of

    try:
        with files_of(str(Path.home())) if config is None else nullcontext(["-F", str(config)]) as files:
            done = subprocess.run(["ssh", *files, "-G", "--", name], capture_output=True, stdin=subprocess.DEVNULL, timeout=10, check=False)
    except (OSError, RuntimeError, subprocess.TimeoutExpired, ValueError):
        return ""
    return "" if done.returncode else done.stdout.decode(errors="replace")
