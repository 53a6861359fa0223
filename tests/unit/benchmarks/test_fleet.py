"""benchmarks/fleet.py believes no report that is not that of the host's kind, and no other exit code. Nothing is timed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.fleet import judged, measured
from tests.support.fleet import Fleet

DEAD = "dead: no answer from 127.0.0.1:22 within 20 s"
REFUSES = "refuses: nothing answers at 127.0.0.1:22"


def judge(code: int, **hosts: tuple[str, str]) -> bool:
    made = Fleet({kind: kind for kind in hosts}, {}, Path())
    told = [{"host": name, "status": status, "error": {"what": what} if what else None} for name, (status, what) in hosts.items()]
    return judged(made, json.dumps({"hosts": told}), code)


@pytest.mark.parametrize(
    ("code", "dead", "right"),
    [
        (5, ("unreachable", DEAD), True),
        (0, ("unreachable", DEAD), False),
        (5, ("unreachable", REFUSES), False),
        (5, ("failed", DEAD), False),
        (5, ("unchanged", ""), False),
    ],
)
def test_a_sick_host_has_the_reason_of_its_kind(code: int, dead: tuple[str, str], right: bool) -> None:  # noqa: FBT001 - a row
    assert judge(code, fine=("unchanged", ""), refuses=("unreachable", REFUSES), dead=dead) is right


@pytest.mark.parametrize(("code", "fine", "right"), [(0, "unchanged", True), (1, "unchanged", False), (0, "changed", False)])
def test_a_healthy_fleet_ends_well(code: int, fine: str, right: bool) -> None:  # noqa: FBT001 - a row
    assert judge(code, fine=(fine, ""), slow=("unchanged", "")) is right


def test_the_exit_code_is_kept(tmp_path: Path) -> None:
    assert measured([sys.executable, "-c", "raise SystemExit(5)"], tmp_path).code == 5
