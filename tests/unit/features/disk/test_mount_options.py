"""Every option that can be changed on a live mount: on, off again, and neither leaves anything to do.

By the mount(8) and the kernel of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from novaops.features.disk.facts.mounts import MountedAt
from novaops.features.disk.resources import mount_options, mounting
from novaops.model.action import Command
from tests.support.loop_mount import LoopMount, loop_mount

COMMON = (
    *("ro", "noexec", "nosuid", "nodev", "sync", "noatime", "strictatime", "nodiratime", "lazytime", "nosymfollow", "user", "owner"),
    *("noatime,nodiratime", "noatime,relatime", "relatime,noatime", "rw,noatime,nodev,noexec", "dev,users", "users,dev"),
)
OPTIONS = {
    "ext4": (
        *(*COMMON, "discard", "nobarrier", "barrier=0", "noauto_da_alloc", "noblock_validity", "noinit_itable", "grpid", "minixdf"),
        *("data_err=abort", "commit=30", "commit=0", "errors=remount-ro", "errors=continue", "max_batch_time=5"),
        *("min_batch_time=5", "inode_readahead_blks=64", "max_dir_size_kb=64", "warn_on_error", "discard,commit=7,noatime"),
    ),
    "xfs": (*COMMON, "inode32", "inode64"),
    "btrfs": (
        *(*COMMON, "autodefrag", "flushoncommit", "nobarrier", "commit=120", "noacl", "notreelog", "metadata_ratio=4", "nodatasum"),
        *("compress", "compress=lzo", "compress=zstd:9", "compress-force=zlib", "compress-force", "compress=none", "nodatacow"),
        *("compress=zstd,nodatacow", "nodatacow,datasum", "nodatacow,compress=lzo"),
    ),
}
CHOSEN = {
    "ext4": ("stripe=8", "stripe=16", "stripe=0"),
    "xfs": (),
    "btrfs": ("ssd", "nossd", "ssd_spread", "ssd", "discard", "discard=async", "discard=sync", "nodiscard"),
}
"""What the kernel has by the kind of disk, where fstab says nothing."""


def become(host: LoopMount, options: str, known: str = "") -> mount_options.Switches:
    """A remount to the options, where one is needed, proven by a second look. What was before."""
    mounted = host.seen()
    before = mount_options.live(mounted)
    wanted = mount_options.wanted(options.split(","), mounted, known=known.split(","))
    if mount_options.differing(wanted, before):
        carried_out(host, mounting.remount(mounted, wanted, before, bound=False))
    settled(host, options)
    return before


def carried_out(host: LoopMount, command: Command) -> None:
    """And the tests of what is done and what is undone say so, before and after it."""
    assert command.undo
    host.run("sh", "-c", f"! {{ {command.holds}\n}} && {{ {command.undo.holds}\n}}")
    host.run(*command.words)
    host.run("sh", "-c", f"{command.holds}\n{command.undo.holds}", status=1)


def settled(host: LoopMount, options: str) -> None:
    mounted = host.seen()
    now = mount_options.live(mounted)
    assert mount_options.differing(mount_options.wanted(options.split(","), mounted, known=options.split(",")), now) == []


@pytest.mark.parametrize(
    ("kind", "live", "options", "said"),
    [
        ("btrfs", "compress=zstd:3", "compress=lzo", "compress=lzo"),
        ("btrfs", "compress=zstd:3", "compress=zstd", None),
        ("btrfs", "compress-force=zlib:3", "defaults", "compress=no"),
        ("btrfs", "nodatacow,nodatasum", "compress=zstd:3", "compress=zstd:3"),
        ("btrfs", "ssd", "nossd", "nossd"),
        ("btrfs", "ssd_spread", "ssd", "nossd,ssd"),
        ("btrfs", "ssd", "defaults", None),
        ("btrfs", "", "nossd", None),
        ("btrfs", "discard=async", "nodiscard", "nodiscard"),
        ("btrfs", "discard", "discard=sync", None),
        ("btrfs", "", "defaults", None),
        ("ext4", "stripe=4", "stripe=8", "stripe=8"),
        ("ext4", "stripe=4", "defaults", None),
        ("ext4", "max_batch_time=5", "defaults", "max_batch_time=15000"),
        ("ext4", "data=ordered", "data=writeback", None),
        ("xfs", "inode32", "defaults", "inode64"),
        ("xfs", "inode64", "defaults", None),
        ("xfs", "", "inode32", "inode32"),
    ],
)
def test_what_a_remount_says(kind: str, live: str, options: str, said: str | None) -> None:
    mounted = MountedAt("/data", "/dev/vdb", kind, frozenset(f"rw,relatime,{live}".split(",")), "/", "254:16")
    before = mount_options.live(mounted)
    wanted = mount_options.wanted(options.split(","), mounted)
    assert bool(mount_options.differing(wanted, before)) is (said is not None)
    if said is not None:
        words = mount_options.remount(mounted, wanted, before, bound=False)
        assert words[2] in {f"remount,rw,exec,suid,dev,async{also},relatime,{said}" for also in ("", ",datasum,datacow")}


@pytest.mark.parametrize(
    ("live", "old", "options", "later"),
    [
        ("rw,data=ordered", "defaults", "data=journal", ["data=journal"]),
        ("rw,data=journal", "data=journal", "data=journal", []),
        ("rw,data=journal", "defaults", "data=journal", []),
        ("rw,data=journal", "data=journal,nofail", "nofail", ["without data=journal"]),
        ("rw,usrquota", "usrquota", "data=writeback", ["data=writeback", "without usrquota"]),
        ("rw,stripe=4", "stripe=4", "defaults", ["without stripe=4"]),
        ("rw,noatime", "noatime", "ro,user,nofail,x-systemd.mount-timeout=9,_netdev,commit=9,errors=panic,comment=x,loop", []),
    ],
)
def test_what_counts_from_the_next_mount_on(live: str, old: str, options: str, later: list[str]) -> None:
    mounted = MountedAt("/data", "/dev/vdb", "ext4", frozenset(live.split(",")), "/", "254:16")
    assert mount_options.later(options.split(","), old.split(","), mounted) == later


@pytest.mark.parametrize(
    ("kind", "live", "options"),
    [
        ("ext4", "rw,relatime,seclabel,stripe=4", []),
        ("ext4", "ro,nosuid,nodev,noexec,noatime,discard", ["ro", "noexec", "nosuid", "nodev", "discard", "noatime"]),
        ("ext4", "rw,relatime,data=writeback,commit=60,usrquota", ["commit=60", "data=writeback", "usrquota"]),
        ("xfs", "rw,relatime,attr2,inode64,logbufs=8,logbsize=32k,noquota", []),
        ("xfs", "rw,relatime,inode32,nouuid,discard,prjquota", ["inode32", "discard", "nouuid", "prjquota"]),
        ("btrfs", "rw,relatime,ssd,discard=async,space_cache=v2,subvolid=5,subvol=/", []),
        ("btrfs", "rw,relatime,compress=zstd:3,subvolid=256,subvol=/@data", ["compress=zstd:3", "subvol=/@data"]),
        ("btrfs", "rw,relatime,nodatacow,nodatasum,subvol=/", ["nodatasum", "nodatacow"]),
    ],
)
def test_the_options_that_somebody_mounted_it_with(kind: str, live: str, options: list[str]) -> None:
    mounted = MountedAt("/data", "/dev/vdb", kind, frozenset(live.split(",")), "/", "254:16")
    assert mount_options.given(mounted) == options


@pytest.fixture(params=OPTIONS)
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LoopMount]:
    yield from loop_mount(request.param, tmp_path)


def test_on_and_off_and_undone(mounted: LoopMount) -> None:
    for options in OPTIONS[mounted.kind]:
        first = mount_options.live(mounted.seen())
        before = become(mounted, options)
        now = mount_options.live(mounted.seen())
        mounted.run(*mount_options.remount(mounted.seen(), before, now, bound=False))
        assert mount_options.live(mounted.seen()) == first, f"{options} undone"
        become(mounted, options)
        become(mounted, "defaults", known=options)
        assert mount_options.live(mounted.seen()) == first, f"{options} left"


def test_what_the_kernel_chooses_changes_where_fstab_says_so(mounted: LoopMount) -> None:
    for options in CHOSEN[mounted.kind]:
        before = become(mounted, options)
        now = mount_options.live(mounted.seen())
        become(mounted, "defaults", known=options)
        assert mount_options.live(mounted.seen()) == now, f"{options} left"
        mounted.run(*mount_options.remount(mounted.seen(), before, now, bound=False))
        assert mount_options.live(mounted.seen()) == before, f"{options} undone"
        become(mounted, options)


def test_from_each_to_each(mounted: LoopMount) -> None:
    some = ("noatime", "strictatime", "nodiratime,noexec", "ro", *OPTIONS[mounted.kind][-3:])
    for one, other in permutations(some, 2):
        become(mounted, one, known=other)
        become(mounted, other, known=one)


def test_what_was_mounted_with_options_has_them(mounted: LoopMount) -> None:
    for options in OPTIONS[mounted.kind]:
        mounted.run("umount", str(mounted.at))
        mounted.mount(options)
        settled(mounted, options)
        kept = mount_options.live(mounted.seen())
        words = mount_options.written(kept, mounted.seen())
        mounted.run("umount", str(mounted.at))
        mounted.mount(",".join(words))
        assert mount_options.live(mounted.seen()) == kept, f"{options} mounted again by hand"
    become(mounted, "defaults")


def test_a_folder_shown_in_a_second_place(mounted: LoopMount) -> None:
    """What belongs to each mount changes there, and nothing at the first place; what belongs to the file system changes nowhere."""
    first, second = mounted.at, mounted.at.parent / "second"
    second.mkdir()
    mounted.run("mount", "--bind", "--", str(first), str(second))
    holder = mounted.seen()
    for options in (
        "bind,noatime",
        "bind,ro,noexec",
        "bind,nodiratime",
        "bind,strictatime",
        "bind,sync",
        "bind",
        "bind,nosymfollow",
        "bind",
    ):
        mounted.at = second
        now = mounted.seen()
        wanted = mount_options.wanted(options.split(","), now, holder)
        if mount_options.differing(wanted, before := mount_options.live(now)):
            carried_out(mounted, mounting.remount(now, wanted, before, bound=True))
        assert mount_options.live(mounted.seen()) == wanted, options
        mounted.at = first
        assert mounted.seen() == holder, options
    mounted.run("umount", "--", str(second))
