"""What is said of a mount that fails: the kernel's own reason."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from novaops.features.disk.resources import mounting
from novaops.formats.fstab import FstabLine
from tests.support.loop_mount import LoopMount, loop_mount


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[LoopMount]:
    yield from loop_mount("ext4", tmp_path)


def test_an_option_that_the_kernel_does_not_know_is_named(mounted: LoopMount) -> None:
    if subprocess.run(["dmesg"], capture_output=True, check=False).returncode:
        pytest.skip("dmesg says nothing here")
    other = mounted.at.parent / "other"
    other.mkdir()
    device = mounted.seen().source
    line = FstabLine(device, str(other), "ext4", ("nodiscrad", "nofail"))
    mounted.run("umount", "--", str(mounted.at))
    mounted.run("losetup", "--", device, str(mounted.image))
    said = mounted.run(*mounting.trial(line, str(other)).words, status=32)
    assert "the kernel: ext4: Unknown parameter 'nodiscrad'" in said
    mounted.run(*mounting.trial(FstabLine(device, str(other), "ext4", ("noatime", "nofail")), str(other)).words)
    said = mounted.run(*mounting.trial(line, str(other)).words, status=32)
    assert said.count("the kernel: ") == 1
    mounted.run("mount", "--", device, str(mounted.at))
    bad = ("mount", "-o", "remount,commit=x", "--", device, str(mounted.at))
    assert "the kernel: ext4: Bad value for 'commit'" in mounted.run(*mounting.remount(bad, bad).words, status=32)
    mounted.run("losetup", "-d", device)
