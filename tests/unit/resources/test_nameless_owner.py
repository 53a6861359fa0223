"""What belongs to a number that no account has, as on a disk of another machine, or in an image that somebody else has built."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from novaops.facts.file import FileAt, FileState
from novaops.model.action import Command
from novaops.model.question import Facts, Section
from novaops.resources.directory import Directory
from novaops.resources.file import File
from tests.unit.engine.real_runs import carry_out

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
NUMBERS = (54321, 54322)


def state(path: Path) -> FileState:
    done = subprocess.run(["sh", "-c", FileAt.script([FileAt(str(path))])], capture_output=True, text=True, check=True)
    found = FileAt.parse([FileAt(str(path))], Section(done.stdout, "", 0))[FileAt(str(path))]
    assert isinstance(found, FileState)
    return found


def owner(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


def test_a_file_keeps_it_when_its_content_is_changed(tmp_path: Path, host_state: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("one\n")
    os.chown(file, *NUMBERS)
    found = state(file)
    wanted = File(str(file), "two\n", found.mode, found.owner, found.group)
    assert carry_out("r1", host_state, *wanted.plan(Facts({FileAt(str(file)): found}, {})))[-1] == "end ok"
    assert file.read_text() == "two\n"
    assert owner(file) == NUMBERS
    assert not list(wanted.plan(Facts({FileAt(str(file)): state(file)}, {})))


def test_a_directory_gets_it_back(tmp_path: Path, host_state: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir(mode=0o755)
    os.chown(folder, *NUMBERS)
    (step,) = Directory(str(folder)).plan(Facts({FileAt(str(folder)): state(folder)}, {}))
    assert carry_out("r1", host_state, step)[-1] == "end ok"
    assert owner(folder) == (0, 0)
    (action,) = step.actions
    assert isinstance(action, Command)
    undo = action.undo
    assert undo is not None
    assert subprocess.run(["sh", "-c", undo.holds], check=False).returncode == 1
    assert carry_out("r2", host_state, replace(step, actions=(undo,)))[-1] == "end ok"
    assert owner(folder) == NUMBERS
    assert subprocess.run(["sh", "-c", undo.holds], check=False).returncode == 0
