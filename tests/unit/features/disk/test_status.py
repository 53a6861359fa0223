"""What `disk ls` says of a disk: by the same rule of what is in use as the plan."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from novaops.facts.file import FileAt
from novaops.features.disk.facts.block_devices import BlockDevices
from novaops.features.disk.facts.mounts import Mounts
from novaops.features.disk.status import list_disks, state, to_grow
from tests.unit.test_cases import answer

AUTOMOUNT = ["systemd-1 /data autofs rw,relatime"]
LINE = "PARTLABEL=store /data ext4 x-systemd.automount,nofail 0 2\n"
STORE = {"ext4": "U-1", "links": ["/dev/disk/by-partlabel/store"]}


@pytest.mark.parametrize(
    ("case", "says", "idle"),
    [
        ({"disks": {"vdb": {}}}, "idle: nothing uses it", True),
        ({"disks": {"vdb": STORE}, "fstab": LINE, "mounts": AUTOMOUNT}, "mounted at /data when that is used", False),
        ({"disks": {"vdb": {**STORE, "at": "/data"}}, "fstab": LINE, "mounts": AUTOMOUNT}, "mounted at /data", False),
        ({"disks": {"vdb": STORE}, "fstab": LINE}, "not mounted, although fstab has it for /data", True),
        (
            {"disks": {"vdb": {"btrfs": "U-1", "users": ["is part of the mounted btrfs file system U-1"]}}},
            "it is part of the mounted btrfs",
            False,
        ),
        ({"disks": {"vdb": {"swap": "S-1"}}, "fstab": "UUID=S-1 none swap sw 0 0\n"}, "it is swap space by fstab", False),
        ({"disks": {"vdb": {"swap": "S-1", "swapping": True}}, "fstab": "UUID=S-1 none swap sw 0 0\n"}, "it is swap space in use", False),
        ({"disks": {"vdb": {"parts": {"vdb1": {"swap": "S-1"}}}}, "fstab": "/dev/vdb1 none swap sw 0 0\n"}, "", False),
        ({"disks": {"vdb": {"users": ["is opened by process 7 (qemu)"]}}}, "it is opened by process 7 (qemu)", False),
    ],
)
def test_state(case: dict[str, Any], says: str, idle: bool) -> None:  # noqa: FBT001 - a column of the table
    fstab = answer(FileAt("/etc/fstab"), case).content
    lines = list_disks(answer(BlockDevices(), case), answer(Mounts(), case), fstab, None)
    (disk,) = (line for line in lines if line.device == "/dev/vdb")
    assert (state(disk).startswith(says), disk.idle) == (True, idle), state(disk)


DISK = {"depth": 0, "content": "a GPT partition table", "mounted": ()}
ROOT = {"depth": 1, "content": "an ext4 file system named root (UUID U-1)", "mounted": ("/", "/chroot")}
BOOT = {"depth": 1, "content": "a vfat file system (UUID U-2)", "mounted": ("/boot/efi",)}
HOME = {"depth": 1, "content": "an xfs file system (UUID U-3)", "mounted": ("/home",)}


@pytest.mark.parametrize(
    ("lines", "fix"),
    [
        ([DISK, ROOT, BOOT], "novaops disk grow HOST --path /"),
        ([DISK, ROOT, HOME], "novaops disk grow HOST --path /, or novaops disk grow HOST --path /home"),
        ([DISK, BOOT, DISK, ROOT], ""),
        ([{**HOME, "depth": 0, "mounted": ("/my disk",)}, DISK], "novaops disk grow HOST --path '/my disk'"),
    ],
)
def test_what_takes_the_room_is_named_by_its_path(lines: list[dict[str, Any]], fix: str) -> None:
    assert to_grow(lines, 0) == fix


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_file_system_that_grows_is_known_by_what_is_said_of_it(kind: str) -> None:
    case = {"disks": {"vdb": {kind: "U-1", "label": "data", "at": "/data"}}}
    lines = list_disks(answer(BlockDevices(), case), answer(Mounts(), case), b"", None)
    (number,) = (number for number, line in enumerate(lines) if line.device == "/dev/vdb")
    assert to_grow([asdict(line) for line in lines], number) == "novaops disk grow HOST --path /data"
