"""scripts/demo ends as README.md says, and leaves nothing running."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from novaops.lab.requirements import missing_packages

HERE = Path(__file__).parents[2]
QUICK = "login"
OTHERS = ("disk", "proxy", "tunnel", "vpn", "api", "eve")

NO_LAB = os.geteuid() != 0 or bool(missing_packages("container"))
pytestmark = [pytest.mark.minutes, pytest.mark.skipif(NO_LAB, reason="needs root, systemd-nspawn and mmdebstrap")]


@pytest.mark.parametrize("feature", [QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)])
def test_the_demo(feature: str) -> None:
    with subprocess.Popen(["scripts/demo", feature], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        try:
            said, _ = demo.communicate(timeout=900)
        finally:
            demo.terminate()  # it cleans up after itself
    assert demo.returncode == 0, said
    assert said.endswith("# Done.\x1b[0m\n"), said
