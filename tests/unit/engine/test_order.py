"""The order of runs is the host's: whatever clock an operator has. The scripts really run, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from novaops.engine.undo import choose
from novaops.model.action import Command
from novaops.model.journal import BORN
from novaops.model.plan import Change, Step
from tests.unit.engine.real_runs import carry_out, journal

STEP = Step("x", (Change("x", None, "y"),), (Command(("true",), undo=Command(("true",), holds="true")),))
IDS = ["20260203T000000Z-aa", "20260202T000000Z-bb", "20260204T000000Z-cc", "20260201T000000Z-dd", "20200101T000000Z-ee"]
"""The clocks of those who began them differ by days and years."""


def test_the_order_is_the_hosts_and_no_run_prunes_itself(host_state: Path) -> None:
    for number, run in enumerate(IDS, 1):
        assert carry_out(run, host_state, STEP)[-1] == "end ok"
        assert [one.id for one in journal()] == IDS[max(0, number - 3) : number]
        newest = choose(journal(), "", "box")
        assert newest is not None
        assert newest.id == run


def test_a_run_that_is_only_now_being_stored_is_not_pruned(host_state: Path) -> None:
    """It has no place among the others yet. One that never began goes after an hour."""
    stored = host_state / "runs/20260101T000000Z-ff"
    stored.mkdir(parents=True)
    for run in IDS:
        assert carry_out(run, host_state, STEP)[-1] == "end ok"
    assert stored.is_dir()
    hours_ago = time.time() - 2 * 3600
    os.utime(stored, (hours_ago, hours_ago))
    assert carry_out("20260205T000000Z-gg", host_state, STEP)[-1] == "end ok"
    assert not stored.exists()


def test_neither_the_run_at_work_nor_one_under_guard_is_pruned(host_state: Path) -> None:
    """Those that find the host locked have the place of the run at work, and the ids of other clocks."""
    at_work, armed = (host_state / "runs" / run for run in ("20190101T000000Z-ff", "20190101T000000Z-gg"))
    armed.mkdir(parents=True)
    hours_ago = time.time() - 2 * 3600
    waits = Command(("sh", "-c", f"until [ -e {host_state}/go ]; do sleep 0.05; done"))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(carry_out, at_work.name, host_state, Step("x", (Change("x", None, "y"),), (waits,)))
        while not (at_work / "place").is_file() or "action" not in (at_work / "events").read_text():
            time.sleep(0.05)
        (armed / "armed").write_text("0 0\n")
        os.utime(armed, (hours_ago, hours_ago))
        try:
            ends = [carry_out(run, host_state, STEP, wait=False)[-1] for run in IDS]
            there = [place.is_dir() for place in (at_work, armed)]
        finally:
            (host_state / "go").touch()
        assert (ends, there) == (["end locked"] * len(IDS), [True, True])
        assert first.result(20)[-1] == "end ok"


@pytest.mark.parametrize(
    ("pid", "born", "status"),
    [
        ("$$", '"$(born $$)"', 0),
        ("$$", '"$(born 1)"', 1),
        ("$$", "''", 1),
        ("99999999", "''", 1),
        ("99999999", '"$(born $$)"', 1),
        ("''", "''", 1),
    ],
)
def test_a_process_of_which_nothing_is_known_does_not_live(pid: str, born: str, status: int, tmp_path: Path) -> None:
    script = f"{BORN}cd {tmp_path}; echo {pid} >pid; echo {born} >born; lives {tmp_path}"
    assert subprocess.run(["sh", "-c", script], check=False).returncode == status
