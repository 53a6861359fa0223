"""What is said of a mount that fails: the kernel's own reason."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from novaops.facts.directory import Directory
from novaops.features.disk.resources import mount_options, mounting
from novaops.formats.fstab import FstabLine
from novaops.model.action import Command
from novaops.shell import join, quote
from tests.support.loop_mount import LoopMount, loop_mount


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[LoopMount]:
    yield from loop_mount("ext4", tmp_path)


def test_an_option_that_the_kernel_does_not_know_is_named(mounted: LoopMount) -> None:
    if subprocess.run(["dmesg"], capture_output=True, check=False).returncode:
        pytest.skip("dmesg says nothing here")
    other = mounted.at.parent / "other"
    other.mkdir()
    mounted.run("umount", "--", str(mounted.at))
    attach = ("losetup", "--find", "--show", str(mounted.image))  # any that is free now: another test may have taken the one of before
    device = subprocess.run(attach, capture_output=True, text=True, check=True).stdout.strip()
    line = FstabLine(device, str(other), "ext4", ("nodiscrad", "nofail"))
    said = mounted.run(*mounting.trial(line, str(other)).words, status=32)
    assert "the kernel: ext4: Unknown parameter 'nodiscrad'" in said
    mounted.run(*mounting.trial(FstabLine(device, str(other), "ext4", ("noatime", "nofail")), str(other)).words)
    said = mounted.run(*mounting.trial(line, str(other)).words, status=32)
    assert said.count("the kernel: ") == 1
    mounted.run("mount", "--", device, str(mounted.at))
    seen = mounted.seen()
    live = mount_options.live(seen)
    wrong = mounting.remount(seen, {**live, "commit": "commit=x"}, live, bound=False)
    assert "the kernel: ext4: Bad value for 'commit'" in mounted.run(*wrong.words, status=32)
    mounted.run("losetup", "-d", device)


def test_options_of_a_live_mount_are_proven_in_a_second_place(mounted: LoopMount) -> None:
    """A remount passes over those that it does not change; the next boot would mount nothing."""
    device = mounted.seen().source

    def line(*options: str) -> tuple[str, ...]:
        written = FstabLine(device, str(mounted.at), "ext4", (*options, "nofail"))
        return mounting.proof(written, read_only="ro" in mounted.seen().options).words

    release = tuple(int(number) for number in os.uname().release.split(".")[:2])
    if release < (5, 17):
        pytest.skip("this kernel does not look at the options of a second mount")
    mounted.run(*line("nodiscrad"), status=32)
    for live in ("remount,rw", "remount,ro", "remount,rw", "remount,bind,ro"):
        mounted.run("mount", "-o", live, *([] if "bind" in live else [device]), str(mounted.at))
        access = "ro" in mounted.seen().options
        mounted.run(*line("nodelalloc", "rw"))
        mounted.run(*line("data=journal", "ro"))
        assert ("ro" in mounted.seen().options) == access
    assert mounted.run("findmnt", "-n", "-o", "TARGET", "-S", device).splitlines() == [str(mounted.at)]


@pytest.mark.parametrize("owner", ["nobody", "65534", "nobody:nogroup", "65534:65534", "nobody:65534"])
def test_an_owner_is_told_by_name_and_by_number(owner: str, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root gives files away")
    command = mounting.chown(str(tmp_path), owner, "root:root")
    assert command.undo
    assert (holds(command), holds(command.undo)) == (False, True)
    subprocess.run(command.words, check=True)
    assert (holds(command), holds(command.undo)) == (True, False)


def holds(command: Command) -> bool:
    return subprocess.run(["sh", "-c", command.holds], check=False).returncode == 0


@pytest.mark.parametrize(
    ("below", "left"),
    [
        ("", ["top"]),
        ("touch srv/kept", ["top", "top/srv", "top/srv/kept"]),
        ("rmdir srv/db && mount -t tmpfs novaops srv && mkdir srv/db", ["top", "top/srv"]),
        ("mkdir other", ["top", "top/other"]),
    ],
)
def test_folders_that_were_made_are_taken_away_up_to_a_mount(below: str, left: list[str], tmp_path: Path) -> None:
    """A parent was made and mounted after the plan was; an xfs or a btrfs on it is empty without the child."""
    top = tmp_path / "top"
    (top / "srv" / "db").mkdir(parents=True)
    made = mounting.make_directory(Directory(f"{top}/srv/db", "absent", str(top)))
    assert made.undo
    if not isolated("mount -t tmpfs novaops /mnt"):
        pytest.skip("no mounts here")
    assert isolated(f"cd {quote(str(top))} && {below or ':'} && cd / && {join(made.undo.words)} && {made.undo.holds}")
    assert sorted(str(found.relative_to(tmp_path)) for found in tmp_path.rglob("*")) == left


def isolated(script: str) -> bool:
    return subprocess.run(["unshare", "--mount", "sh", "-c", script], check=False).returncode == 0


def test_an_rbind_is_taken_back_with_what_it_brought_along_and_the_originals_stay(mounted: LoopMount) -> None:
    """Where mounts are shared, as systemd has them, what is unmounted in the second place is unmounted in the first one too."""
    first, second = str(mounted.at), str(mounted.at.parent / "second")
    mounted.run("mkdir", second, f"{first}/sub")
    mounted.run("mount", "--make-shared", first)
    mounted.run("mount", "-t", "tmpfs", "sub", f"{first}/sub")
    line = FstabLine(first, second, "none", ("rbind", "nofail"))
    mounted.run(*mounting.trial(line, second).words)
    mounted.run("mount", "--rbind", first, second)
    undo = mounting.by_line(line, second).undo
    assert isinstance(undo, Command)
    mounted.run(*undo.words)
    mounted.run("findmnt", "--mountpoint", second, status=1)
    mounted.run("findmnt", "--mountpoint", f"{first}/sub")
