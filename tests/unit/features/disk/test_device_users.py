"""Who uses a device without a mount, swap or holder that names it: on real loop devices of this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from novaops.features.disk.facts.block_devices import USERS

Attach = Callable[[str], str]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def attach(stack: ExitStack, tmp_path: Path) -> Attach:
    """Makes a loop device of 200 MiB, or of another device; its path."""

    def loop(of: str) -> str:
        if not of.startswith("/"):
            of = str(tmp_path / of)
            with Path(of).open("wb") as file:
                file.truncate(200 * 1024**2)
        done = subprocess.run(["losetup", "--find", "--show", of], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no loop devices here: {done.stderr}")
        device = done.stdout.strip()
        stack.callback(subprocess.run, ["losetup", "--detach", device], check=True)
        return device

    return loop


def started(stack: ExitStack, script: str) -> int:
    """The process id of a shell that has done `script`, and stays."""
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", f"{script}\necho\nread -r end"], stdin=-1, stdout=-1, text=True)

    def end() -> None:
        process.communicate("\n", timeout=30)

    stack.callback(end)
    assert process.stdout
    assert process.stdout.readline() == "\n"
    return process.pid


def used(*devices: str, shell: str = "dash") -> list[str]:
    done = subprocess.run([shell, "-c", f"{USERS}device_users"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [use for name, use in rows if f"/dev/{name}" in devices]


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_nobody(attach: Attach, shell: str) -> None:
    assert used(attach("image"), shell=shell) == []


def test_a_loop_device_made_of_it(attach: Attach) -> None:
    device = attach("image")
    outer = attach(device)
    assert used(device) == [f"is what {outer} is made of"]


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_process_that_may_write(stack: ExitStack, attach: Attach, shell: str) -> None:
    device, only_read = attach("image"), attach("other")
    pid = started(stack, f"exec 5<>{device} 6<{only_read}")
    assert used(device, only_read, shell=shell) == [f"is opened by process {pid} (sh)"]


def test_a_mount_that_only_a_container_sees(stack: ExitStack, attach: Attach, tmp_path: Path) -> None:
    device = attach("image")
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    pid = started(stack, f"mount {device} '{tmp_path}'; printf 'a\\nvdb\\tb' >/proc/$$/comm")
    assert used(device) == [f"is mounted at {tmp_path} in a container or service: process {pid} (avdbb)"]


def test_the_journal_of_a_mounted_file_system(stack: ExitStack, attach: Attach, tmp_path: Path) -> None:
    """No mount, holder or list of swap names it; blkid alone tells what it is."""
    journal, device, inside = attach("journal"), attach("image"), attach("own")
    subprocess.run(["mke2fs", "-q", "-b", "4096", "-O", "journal_dev", journal], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-J", f"device={journal}", device], check=True)
    subprocess.run(["mkfs.ext4", "-q", inside], check=True)
    assert used(journal, device, inside) == []
    (tmp_path / "at").mkdir()
    (tmp_path / "inside").mkdir()
    for one, at in ((device, "at"), (inside, "inside")):
        subprocess.run(["mount", one, tmp_path / at], check=True)
        stack.callback(subprocess.run, ["umount", str(tmp_path / at)], check=True)
    assert used(journal, device, inside) == ["holds the journal of a mounted ext4 file system"]


def test_every_member_of_a_btrfs(stack: ExitStack, attach: Attach, tmp_path: Path) -> None:
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("no mkfs.btrfs here")
    devices, alone = [attach("one"), attach("two")], attach("three")
    uuid = "8a65bd05-1d2c-4b3a-9a4b-5d6e7f809102"
    subprocess.run(["mkfs.btrfs", "-q", "-U", uuid, *devices], check=True)
    subprocess.run(["mkfs.btrfs", "-q", alone], check=True)
    assert used(*devices, alone) == []
    started(stack, f"mount {devices[0]} '{tmp_path}'")
    assert used(*devices, alone) == [f"is part of the mounted btrfs file system {uuid}"] * 2
    started(stack, f"mount {alone} '{tmp_path}'")
    assert len(used(alone)) == 1
