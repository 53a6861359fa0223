"""Every option that can be changed on a live mount: on, off again, and neither leaves anything to do.

By the mount(8) and the kernel of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

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
        *("data_err=abort", "commit=30", "commit=0", "errors=remount-ro", "errors=continue", "discard,commit=7,noatime"),
    ),
    "xfs": COMMON,
    "btrfs": (*COMMON, "autodefrag", "flushoncommit", "nobarrier", "commit=120"),
}


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


def test_from_each_to_each(mounted: LoopMount) -> None:
    some = ("noatime", "strictatime", "nodiratime,noexec", "ro", *OPTIONS[mounted.kind][-1:])
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
