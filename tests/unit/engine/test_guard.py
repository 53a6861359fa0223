"""The two sides of the dead man's switch agree: what the operator's says, the host's recognises, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.engine.guard import Answer, Guard, confirm_dir, library
from novaops.engine.planner import fresh_logins, guarded_ranges
from novaops.engine.run_script import Run, manifest, runner, start_and_follow
from novaops.model.action import Command, WriteFile
from novaops.model.plan import FreshLogin, Risk, Step
from novaops.secret import Secret

SHELLS = ("dash", "bash")
TOKENS = st.text(st.characters(exclude_characters="\0\n", codec="utf-8"), min_size=1, max_size=43)
MEANING: dict[Answer, str] = {"keep": "keep", "roll back": "back"}


def step(risk: Risk, *logins: FreshLogin) -> Step:
    undo = Command(("rm", "/etc/a b"), holds="[ ! -e '/etc/a b' ]")
    actions = (Command(("touch", "/etc/a b"), undo=undo), WriteFile("/etc/it's", "x", then=("systemctl", "reload", "ssh")))
    return Step("file:/etc/a", (), actions, risk, fresh_logins=logins)


def run_of(risks: str, guard: Guard) -> Run:
    """A run with a step for each letter: L could lock somebody out."""
    steps = tuple(step(Risk.LOCKOUT if letter == "L" else Risk.NONE) for letter in risks)
    return Run("20260203T040506Z-1f2e3d", steps, "ana@laptop", "", guard=guard)


def sh(shell: str, *words: str, script: str = "") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([shell, *words], input=script.encode("utf-8", "surrogateescape"), capture_output=True, timeout=10, check=False)


@pytest.mark.parametrize(
    ("risks", "found"),
    [
        ("", []),
        ("..", []),
        ("L", [range(1)]),
        ("LLL", [range(3)]),
        (".LL.L..L", [range(1, 3), range(4, 5), range(7, 8)]),
        ("L.LL", [range(1), range(2, 4)]),
    ],
)
def test_neighbours_that_could_lock_out_are_one_range(risks: str, found: list[range]) -> None:
    assert guarded_ranges(run_of(risks, Guard(Secret("w"))).steps) == found


def test_data_that_could_be_lost_is_not_guarded() -> None:
    assert guarded_ranges([step(Risk.DATA_LOSS)]) == []


def test_a_range_is_confirmed_by_each_login_once_and_else_by_novaops_own() -> None:
    ana, nobody = FreshLogin("ana", Secret("pw")), FreshLogin(no_passwords=True)
    assert fresh_logins([step(Risk.LOCKOUT)]) == (FreshLogin(),)
    assert fresh_logins([step(Risk.LOCKOUT, ana), step(Risk.LOCKOUT), step(Risk.LOCKOUT, nobody, ana)]) == (ana, nobody)


def test_a_fresh_login_is_said_without_its_password() -> None:
    logins = (FreshLogin(), FreshLogin("ana"), FreshLogin("ana", Secret("pw")), FreshLogin(no_passwords=True))
    said = ["the same login by key", "ana by key", "ana by password", "the same login by key, with passwords turned down"]
    assert [str(login) for login in logins] == said


def heard(shell: str, guard: Guard, found: set[str], number: int, ranges: int = 3) -> str:
    """What the host reads from the names of the files that it finds in the confirm directory."""
    script = f'{library("RUN", guard, ranges)}answers_of {number}\nprintf "%s %s" "$keep" "$back"\n'
    done = sh(shell, script=script)
    assert (done.returncode, done.stderr) == (0, b"")
    keep, back = done.stdout.decode().split(" ")
    return "keep" if keep in found else "back" if back in found else ""


def said(shell: str, guard: Guard, folder: Path, number: int, answer: Answer) -> set[str]:
    """The names in the confirm directory after the operator's side has answered."""
    done = sh(shell, script=guard.answer("RUN", number, answer).replace(confirm_dir("RUN"), str(folder)))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("shell", SHELLS)
@given(token=TOKENS, number=st.integers(0, 2), answer=st.sampled_from(get_args(Answer)))
def test_what_one_side_says_the_other_recognises(
    tmp_path_factory: pytest.TempPathFactory, shell: str, token: str, number: int, answer: Answer
) -> None:
    guard = Guard(Secret(token))
    told = said(shell, guard, tmp_path_factory.mktemp("confirm"), number, answer)
    assert heard(shell, guard, told, number) == MEANING[answer]
    assert heard(shell, guard, told, (number + 1) % 3) == "", "the answer for another range"
    assert heard(shell, Guard(Secret(token + "x")), told, number) == "", "the answer of another run"


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_is_written_where_the_run_does_not_wait(shell: str, tmp_path: Path) -> None:
    file = tmp_path / "gone"
    done = sh(shell, script=Guard(Secret("w")).answer("RUN", 0, "keep").replace(confirm_dir("RUN"), str(file)))
    assert (done.returncode, done.stderr, file.exists()) == (0, b"", False)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("risks", [".", "L", "LL.", ".L.LL", "L" * 12])
def test_the_script_of_a_run_is_sh(shell: str, risks: str, tmp_path: Path) -> None:
    run = run_of(risks, Guard(Secret("w"), 10))
    for text in (runner(run), start_and_follow(run, 7)):
        file = tmp_path / "script"
        file.write_text(text)
        done = sh(shell, "-n", str(file))
        assert (done.returncode, done.stderr) == (0, b"")


@given(TOKENS)
def test_the_host_is_not_told_the_token(text: str) -> None:
    token = f"<<{text}>>"
    run = run_of("L.L", Guard(Secret(token)))
    for shown in (runner(run), start_and_follow(run, 0), str(manifest(run)), repr(run)):
        assert token not in shown


def test_without_anything_to_guard_there_is_no_guard_in_the_script() -> None:
    script = runner(run_of("..", Guard(Secret("w"))))
    assert "hold()" not in script
    assert "systemd-run" not in script


@pytest.mark.parametrize("shell", SHELLS)
def test_what_the_guard_kills_it_kills(shell: str) -> None:
    """As dash wants it: kill's options differ from shell to shell."""
    script = runner(run_of("L", Guard(Secret("w"))))
    (line,) = [line for line in script.splitlines() if "KILL" in line]
    kill = line[line.index("kill ") :]
    with subprocess.Popen(["sh", "-c", "sleep 1000 & wait"], start_new_session=True) as process:
        done = sh(shell, script=f"pid={process.pid}\n{kill}\n")
        if done.returncode:
            os.killpg(process.pid, signal.SIGKILL)
        assert (done.returncode, process.wait(10)) == (0, -signal.SIGKILL)
