"""What benchmarks/run makes of its measurements: tables, goals, the picture; and its command line. Nothing is timed."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.compare import PICTURE, README, RECORDED, arguments, main
from benchmarks.compare_hosts import HERE
from benchmarks.compare_picture import draw
from benchmarks.compare_table import BEGIN, END, FAR, FIRST, LABELS, MANY, Goal, Measurement, Result, goals, missed, text, times, written
from benchmarks.compare_tools import ANSIBLE, NOVAOPS, PYINFRA, TOOLS, Command, run
from novaops.lab.process import wait_until

RESULT = Result(
    {"machine": "two processors"},
    [
        Measurement(FAR, "ssh", [2.0, 9.0, 2.2]),
        Measurement(FAR, "novaops", [2.0, 2.1, 2.2]),
        Measurement(FAR, "pyinfra", [21.0]),
        Measurement(FIRST, "novaops", [10.0]),
        Measurement(FIRST, "ansible", [], "exit 2: unreachable"),
        Measurement(MANY, "novaops", [5.0]),
        Measurement(MANY, "ssh", [10.0]),
    ],
)
WANTED = (Goal(FAR, "ssh", 1.0), Goal(FAR, "pyinfra", 8, faster=True), Goal(FIRST, "ansible", 5, faster=True), Goal(MANY, "ssh", 0.4))


def test_a_row_has_the_medians_and_a_failure_has_its_reason_below() -> None:
    assert list(times(RESULT)) == [
        "| seconds, medians | `ssh host true` | novaops | pyinfra | Ansible |",
        "|---|---|---|---|---|",
        "| no-op, 1 host, 200 ms | 2.20 | 2.10 | 21.00 |  |",
        "| first apply, 1 host, 0 ms |  | 10.00 |  | failed |",
        "| no-op of 13 resources, 100 hosts, 0 ms | 10.00 | 5.00 |  |  |",
        "",
        "- Ansible, first apply, 1 host, 0 ms: failed: exit 2: unreachable",
    ]


def test_a_goal_is_met_or_not_and_one_without_both_sides_is_left_out() -> None:
    assert list(goals(RESULT, WANTED))[2:] == [
        "| no-op, 1 host, 200 ms | novaops | `ssh host true` | ≤ 1 × | 0.95 × | yes |",
        "| no-op, 1 host, 200 ms | novaops | pyinfra | ≥ 8 × faster | 10.00 × | yes |",
        "| no-op of 13 resources, 100 hosts, 0 ms | novaops | `ssh host true` | ≤ 0.4 × | 0.50 × | no |",
    ]
    assert missed(RESULT, WANTED) == [WANTED[-1]]


def test_a_time_of_what_failed_later_does_not_count() -> None:
    result = Result({}, [Measurement(FAR, "novaops", [1.0], "changed=2"), Measurement(FAR, "ssh", [2.0])])
    assert result.median(FAR, "novaops") is None
    assert WANTED[0].ratio(result) is None


def test_a_result_is_read_as_it_was_kept() -> None:
    assert Result.load(RESULT.dump()) == RESULT


def test_the_tables_take_the_place_of_those_of_the_run_before() -> None:
    page = f"before\n{BEGIN}old\n{END}after\n"
    once = written(page, RESULT)
    assert once.startswith(f"before\n{BEGIN}")
    assert once.endswith(f"{END}after\n")
    assert text(RESULT) in once
    assert "old" not in once
    assert written(once, RESULT) == once
    with pytest.raises(ValueError, match="no place"):
        written("before\n", RESULT)


def test_the_picture_has_a_bar_for_each_median_and_the_longest_fills_its_group() -> None:
    picture = ET.fromstring(draw(RESULT))  # noqa: S314 - our own
    bars = [one for one in picture.iter("{http://www.w3.org/2000/svg}rect") if "bar" in one.get("class", "")]
    assert len(bars) == sum(one.median is not None for one in RESULT.measurements)
    assert [one.get("width") for one in bars[:3]] == ["46", "44", "440"]
    _, _, *size = map(int, picture.get("viewBox", "").split())
    assert all(int(one.get("y", "0")) < size[1] for one in bars)


def test_readme_and_picture_are_those_of_the_recorded_run() -> None:
    recorded = Result.load(RECORDED.read_text("utf-8"))
    assert written(README.read_text("utf-8"), recorded) == README.read_text("utf-8")
    assert draw(recorded) == PICTURE.read_text("utf-8")


def test_every_tool_has_a_column() -> None:
    assert TOOLS.keys() <= LABELS.keys()


def test_parts_can_be_chosen() -> None:
    given = arguments().parse_args(["--rounds", "2", "--hosts", "1,10", "--only", "novaops,pyinfra", "--work", "no-op", "--links", "0"])
    assert (given.rounds, given.hosts, given.only, given.work, given.links) == (2, [1, 10], ["novaops", "pyinfra"], ["no-op"], [0])


@pytest.mark.parametrize("words", [["--only", "chef"], ["--hosts", "one"], ["--hosts", "-1"], ["--rounds", "0"], ["--work", "noop"]])
def test_what_it_does_not_know_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_a_recorded_run_is_shown_without_a_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(RESULT.dump())
    assert main(["--recorded", str(tmp_path / "run.json")]) == 1  # something failed
    assert capsys.readouterr().out == text(RESULT) + "\n"


def ended(process: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{process}/stat").read_text()
    except OSError:  # it is gone, and not even a zombie
        return True


def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    words = ["sh", "-c", "sleep 97 & echo $! >child; wait"]
    with pytest.raises(subprocess.TimeoutExpired):
        run(Command(words, tmp_path, {}), 3)
    child = int((tmp_path / "child").read_text())
    assert wait_until(lambda: ended(child), 20)


def test_a_command_has_ended_when_a_child_goes_on(tmp_path: Path) -> None:
    ended = run(Command(["sh", "-c", "sleep 600 & echo $!; echo why >&2; exit 3"], tmp_path, {}), 60)
    os.kill(int(ended.stdout), signal.SIGKILL)
    assert (ended.returncode, ended.stderr) == (3, "why\n")


def done(out: str = "", err: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], 0, out, err)


def test_what_each_tool_changed_is_read_from_its_own_report() -> None:
    recap = "PLAY RECAP ***\nbox : ok=22 changed={} unreachable=0 failed=0\ngate : ok=2 changed=0 unreachable=0 failed=0\n"
    assert ANSIBLE.changes(done(recap.format(0))) == ""
    assert ANSIBLE.changes(done(recap.format(3))) == "changed=3"
    assert ANSIBLE.changes(done("PLAY [Hosts] ***\n")) == "it has no recap"
    assert PYINFRA.changes(done(err="    Grand total    31      -         -       31          \n")) == ""
    assert (
        PYINFRA.changes(done(err="    Grand total    31      2         -       29          \n"))
        == "2 operations changed something, - failed"
    )
    assert PYINFRA.changes(done()) == "it has no results"
    assert NOVAOPS.changes(done('{"hosts": [{"host": "box", "status": "unchanged"}]}', "box: looking")) == ""
    assert NOVAOPS.changes(done('{"hosts": [{"host": "box", "status": "changed"}]}')) == "box: changed"


def test_the_peers_write_the_same_file_as_novaops() -> None:
    ours = runpy.run_path(str(HERE / "playbooks/reference.py"))["_TEXT"]
    assert (HERE / "peers/templates/reference.conf").read_text("utf-8") == ours
