"""Whose a file or folder is, where that user or group has no name on the host: stat says UNKNOWN, which chown does not know."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from novaops.engine import probe
from novaops.facts.directory import Directory, DirectoryAt
from novaops.facts.file import FileAt, FileState
from novaops.model.action import Command
from novaops.model.question import Facts
from novaops.resources.directory import Directory as DirectoryResource

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def asked(path: Path) -> Facts:
    families = probe.families([FileAt(str(path)), DirectoryAt(str(path))])
    mark = probe.boundary()
    done = subprocess.run(["sh"], input=probe.script(families, mark), capture_output=True, text=True, check=True)
    return probe.read(families, mark, done.stdout)


@pytest.mark.parametrize(("uid", "gid", "shown"), [(54321, 54322, "54321:54322"), (0, 54322, "root:54322"), (54321, 0, "54321:root")])
def test_an_owner_without_a_name_is_told_and_given_back_by_number(uid: int, gid: int, shown: str, tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    os.chown(path, uid, gid)
    facts = asked(path)
    file, folder = facts[FileAt(str(path))], facts[DirectoryAt(str(path))]
    assert isinstance(file, FileState)
    assert isinstance(folder, Directory)
    assert f"{file.owner}:{file.group}" == f"{folder.owner}:{folder.group}" == shown
    [step] = DirectoryResource(str(path), file.mode, "nobody", "nogroup").plan(facts)
    [action] = step.actions
    assert isinstance(action, Command)
    assert action.undo
    holds = ["sh", "-c", action.undo.holds]
    assert subprocess.run(holds, check=False).returncode == 0
    subprocess.run(action.words, check=True)
    assert subprocess.run(holds, check=False).returncode == 1
    subprocess.run(action.undo.words, check=True)
    assert (path.stat().st_uid, path.stat().st_gid) == (uid, gid)
    assert subprocess.run(holds, check=False).returncode == 0
