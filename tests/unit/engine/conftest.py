"""A host's journal in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from novaops.engine import run_script
from novaops.facts import runs as facts
from novaops.model import journal


@pytest.fixture
def host_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the scripts of runs keep it; of three runs only."""
    for module in (run_script, facts, journal):
        for name in ("RUNS", "STATE", "PENDING", "KEPT_RUNS"):
            if hasattr(module, name):
                value = {"RUNS": f"{tmp_path}/runs", "STATE": str(tmp_path), "PENDING": f"{tmp_path}/pending", "KEPT_RUNS": 3}[name]
                monkeypatch.setattr(module, name, value)
    return tmp_path
