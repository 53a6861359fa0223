"""The words of scripts/test and scripts/demo."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKERS = "-n 2 --dist loadfile --no-loadscope-reorder"
SHORTER = "-m not (long and minutes)"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree of scripts/test, with an install, a lint and a Python that only say what they were asked."""
    for file, script in {
        "scripts/install": "exit 0",
        "scripts/lint": "echo lint",
        ".venv/bin/python": 'echo "$@"',
    }.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    shutil.copy(ROOT / "scripts/test", tmp_path / "scripts/test")
    return tmp_path


def run(folder: Path, *words: str, ci: str = "", parent: str = "/") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CI": ci, "GIT_CEILING_DIRECTORIES": parent}
    return subprocess.run([folder / "scripts" / "test", *words], env=environment, capture_output=True, text=True, check=True)


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, check=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", f"lint\n-m pytest {WORKERS} -m not long\n"),
        ("--long", f"lint\n-m pytest {WORKERS}\n"),
        ("--share 2/5", f"-m pytest {WORKERS} -m long --share 2/5\n"),
        ("tests/unit -k fstab", "-m pytest tests/unit -k fstab\n"),
    ],
)
def test_what_scripts_test_runs(checkout: Path, words: str, expected: str) -> None:
    assert run(checkout, *words.split()).stdout == expected


def test_ci_runs_another_share_with_each_commit(checkout: Path) -> None:
    git(checkout, "init", "-q")
    shares = {1: 2, 2: 3, 149: 150, 150: 1, 151: 2}
    for commits in range(1, 152):
        git(checkout, "commit", "-q", "--allow-empty", "-m", "another")
        if commits in shares:
            done = run(checkout, ci="true")
            assert (done.stdout, done.stderr) == (f"lint\n-m pytest {WORKERS} {SHORTER} --share {shares[commits]}/150\n", "")


def test_ci_runs_the_first_share_where_commits_cannot_be_counted(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = run(checkout, ci="true", parent=str(checkout.parent))
    assert done.stdout == f"lint\n-m pytest {WORKERS} {SHORTER} --share 1/150\n"
    assert "not a whole git repository: CI runs share 1 of the long tests" in done.stderr

    git(checkout, "init", "-q")
    for _ in range(2):
        git(checkout, "commit", "-q", "--allow-empty", "-m", "another")
    shallow = tmp_path_factory.mktemp("shallow") / "clone"
    git(checkout, "clone", "-q", "--depth", "1", f"file://{checkout}", str(shallow))
    shutil.copytree(checkout / "scripts", shallow / "scripts")
    shutil.copytree(checkout / ".venv", shallow / ".venv")
    done = run(shallow, ci="true")
    assert done.stdout == f"lint\n-m pytest {WORKERS} {SHORTER} --share 1/150\n"
    assert "CI runs share 1 of the long tests" in done.stderr


def test_scripts_faults_runs_in_our_python(checkout: Path) -> None:
    """Any other one may have no pytest."""
    shutil.copy(ROOT / "scripts/faults", checkout / "scripts/faults")
    bare = [f"{sys.base_prefix}/bin/python3", "-S", f"{checkout}/scripts/faults"]
    assert subprocess.run(bare, capture_output=True, text=True, check=True).stdout == f"{checkout}/scripts/faults\n"


@pytest.mark.parametrize("words", [["disks"], ["disk", "login"], ["--help"]])
def test_scripts_demo_shows_one_feature_or_all(words: list[str]) -> None:
    done = subprocess.run([ROOT / "scripts" / "demo", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "usage: scripts/demo [disk | login | proxy | tunnel | vpn | api | eve]\n")


def test_images_are_built_without_any_library() -> None:
    """scripts/install builds them while pip still works."""
    command = [sys.executable, "-S", "-c", "import novaops.lab.image, novaops.lab.recipe"]
    subprocess.run(command, cwd=ROOT, check=True)
