"""The options that the kernel shows of a live mount, each of them on or off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from novaops.features.disk.facts.mounts import MountedAt

_SWITCHES = {"ro": "rw", "noexec": "exec", "nosuid": "suid", "nodev": "dev", "noatime": "atime", "sync": "async"}
"""Each with its opposite."""

_IMPLIED = {
    **dict.fromkeys(("user", "users"), ("noexec", "nosuid", "nodev")),
    **dict.fromkeys(("owner", "group"), ("nosuid", "nodev")),
}
"""mount(8)."""


def live(mounted: MountedAt) -> list[str]:
    """Those of a mount, as the kernel shows them."""
    return _written({on: on in mounted.options for on in _SWITCHES})


def wanted(options: Iterable[str], inherited: frozenset[str]) -> list[str]:
    """What `options` of fstab make of each; of contradicting ones the last counts. A bind mount inherits those of its source."""
    switches = {on: on in inherited for on in _SWITCHES}
    for option in _spelled_out(options):
        for on, off in _SWITCHES.items():
            if option in {on, off}:
                switches[on] = option == on
    return _written(switches)


def remount(path: str, options: Iterable[str], switches: Iterable[str]) -> tuple[str, ...]:
    """The command that gives a live mount these switches. All of them are written: a remount keeps what is left out."""
    known = {*_SWITCHES, *_SWITCHES.values(), "defaults"}
    others = [option for option in options if option not in known and not option.startswith(("x-", "nofail"))]
    return ("mount", "-o", ",".join(["remount", *switches, *others]), "--", path)


def _written(switches: dict[str, bool]) -> list[str]:
    return [on if switches[on] else off for on, off in _SWITCHES.items()]


def _spelled_out(options: Iterable[str]) -> Iterator[str]:
    """The options, each after those that it implies."""
    for option in options:
        yield from _IMPLIED.get(option, ())
        yield option
