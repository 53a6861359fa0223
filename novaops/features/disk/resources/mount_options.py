"""The options that the kernel shows of a live mount, and how a remount changes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from novaops.features.disk.facts.mounts import MountedAt

Switches = Mapping[str, str]
"""The state of a mount: for each switch the option that puts it so, "rw" or "ro" for the switch "ro"."""


@dataclass(frozen=True)
class _Switch:
    on: str
    off: str
    """The option for its default."""
    every_time: bool = False
    """Whether every remount says it. Others only where they change: old kernels and old mount(8) do not know them."""


_OF_A_MOUNT = (
    _Switch("ro", "rw", every_time=True),
    _Switch("noexec", "exec", every_time=True),
    _Switch("nosuid", "suid", every_time=True),
    _Switch("nodev", "dev", every_time=True),
    _Switch("nodiratime", "diratime"),
    _Switch("nosymfollow", "symfollow"),
)
_OF_A_FILE_SYSTEM = (_Switch("sync", "async", every_time=True), _Switch("lazytime", "nolazytime"))
_OF_A_KIND = {
    "ext4": (
        _Switch("discard", "nodiscard"),
        _Switch("nobarrier", "barrier"),
        _Switch("noauto_da_alloc", "auto_da_alloc"),
        _Switch("noblock_validity", "block_validity"),
        _Switch("noinit_itable", "init_itable"),
        _Switch("grpid", "nogrpid"),
        _Switch("minixdf", "bsddf"),
        _Switch("data_err=abort", "data_err=ignore"),
    ),
    "btrfs": (
        _Switch("autodefrag", "noautodefrag"),
        _Switch("flushoncommit", "noflushoncommit"),
        _Switch("nobarrier", "barrier"),
    ),
}
"""What these file systems show only where it is on, and change at a remount."""

_VALUES = {"ext4": {"commit": "5", "errors": "continue"}, "btrfs": {"commit": "30"}}
"""Of a kind: the options with a value that a remount changes, and their defaults."""

_ALIASES = {
    "atime": "relatime",
    "nostrictatime": "relatime",
    "norelatime": "strictatime",
    "barrier=0": "nobarrier",
    "barrier=1": "barrier",
    "auto_da_alloc=0": "noauto_da_alloc",
    "bsdgroups": "grpid",
    "sysvgroups": "nogrpid",
    "commit=0": "commit=5",
}
_IMPLIED = {
    **dict.fromkeys(("user", "users"), ("noexec", "nosuid", "nodev")),
    **dict.fromkeys(("owner", "group"), ("nosuid", "nodev")),
}
"""mount(8)."""


def live(mounted: MountedAt) -> Switches:
    """Those of a mount, as the kernel shows them. It shows neither noatime nor relatime of one with strictatime."""
    found = {switch.on: switch.on if switch.on in mounted.options else switch.off for switch in _switches(mounted)}
    found["atime"] = next((word for word in ("noatime", "relatime") if word in mounted.options), "strictatime")
    for name, default in _VALUES.get(mounted.filesystem, {}).items():
        found[name] = next((option for option in mounted.options if option.startswith(f"{name}=")), f"{name}={default}")
    return found


def wanted(options: Iterable[str], mounted: MountedAt, inherited: MountedAt | None = None, known: Iterable[str] = ()) -> Switches:
    """What `options` of fstab make of each; of contradicting ones the last counts. `known` are those of the line that is there already.

    A bind mount inherits those of the mount that holds its source, and leaves those of the file system as they are.
    """
    now = live(mounted)
    found = {switch.on: switch.off for switch in _switches(mounted)}
    found |= {"atime": "relatime", **{name: f"{name}={default}" for name, default in _VALUES.get(mounted.filesystem, {}).items()}}
    if inherited:
        found = {**now, **{key: option for key, option in live(inherited).items() if key in _BINDING}}
    for option in _spelled_out(options):
        key = _KEYS.get(option, option.partition("=")[0])
        if key in found and (not inherited or key in _BINDING):
            found[key] = option
    found["atime"] = _atime(options, found["atime"])
    if found.get("errors", "-") in known and not any(option.startswith("errors=") for option in mounted.options):
        found["errors"] = now["errors"]  # the default of this very file system may be the same, and is not shown
    return found


def _atime(options: Iterable[str], otherwise: str) -> str:
    """Two flags, as mount(2) has them: the order of noatime and relatime does not matter, and strictatime is stronger than both."""
    flags = {}
    for option in options:
        if option in {"noatime", "atime", "strictatime", "nostrictatime"}:
            flags[option.removeprefix("no") if "strict" in option else "noatime"] = option in {"noatime", "strictatime"}
        elif option == "relatime":
            otherwise = "relatime"
    if "noatime" in flags and not flags["noatime"]:
        otherwise = "relatime"
    return "strictatime" if flags.get("strictatime") else "noatime" if flags.get("noatime") else otherwise


def missing(standard: Iterable[str], options: Iterable[str]) -> tuple[str, ...]:
    """Those of `standard` that `options` say nothing about, whatever the value."""
    said = {option.split("=", 1)[0] for option in options} | {"defaults"}
    return tuple(option for option in standard if option.split("=", 1)[0] not in said)


def differing(one: Switches, other: Switches) -> list[str]:
    """The options of `one` that `other` has otherwise."""
    return [option for key, option in one.items() if other.get(key) != option]


def remount(mounted: MountedAt, switches: Switches, before: Switches, *, bound: bool) -> tuple[str, ...]:
    """The command that gives a live mount these switches, which has those of `before`.

    Device and path are both named: with the path alone mount(8) adds what fstab says, and what cannot be changed live makes
    it fail. A bind mount has no device of its own.
    """
    # With the path alone a noatime of before stays, unless "atime" takes it back.
    words = [*(["bind", "atime"] if bound else []), *written(switches, mounted, before)]
    where = (mounted.target,) if bound else (mounted.source, mounted.target)
    return ("mount", "-o", ",".join(["remount", *words]), "--", *where)


def shown(switches: Switches, other: Switches, mounted: MountedAt) -> tuple[list[str], list[str]]:
    """What the kernel shows of a mount with these switches, and what it does not, where `other` has them otherwise."""
    there, gone = [], []
    words = {switch.off: switch.on for switch in _switches(mounted)}
    words |= {f"{name}={default}": f"{name}=" for name, default in _VALUES.get(mounted.filesystem, {}).items()}
    for option in differing(switches, other):
        if option == "strictatime":
            gone += ["noatime", "relatime"]
        elif option in words:
            gone.append(words[option])
        else:
            there.append(option)
    return there, gone


def written(switches: Switches, mounted: MountedAt, before: Switches | None = None) -> list[str]:
    """The options that say so. What is at its default is named where it changes, or where leaving it out would mean something else."""
    changed = set(differing(switches, before)) if before else set()
    words = [switches[s.on] for s in _switches(mounted) if s.every_time or switches[s.on] == s.on or switches[s.on] in changed]
    words.append(switches["atime"])  # in every case: a remount that names none of the three keeps the old one
    defaults = _VALUES.get(mounted.filesystem, {})
    return words + [option for name in defaults if (option := switches[name]) in changed or option != f"{name}={defaults[name]}"]


_KEYS = {
    option: switch.on
    for switch in (*_OF_A_MOUNT, *_OF_A_FILE_SYSTEM, *(s for switches in _OF_A_KIND.values() for s in switches))
    for option in (switch.on, switch.off)
}
_BINDING = {"atime", *(switch.on for switch in _OF_A_MOUNT)}
"""The switches that each mount of a file system has for itself."""


def _switches(mounted: MountedAt) -> tuple[_Switch, ...]:
    return (*_OF_A_MOUNT, *_OF_A_FILE_SYSTEM, *_OF_A_KIND.get(mounted.filesystem, ()))


def _spelled_out(options: Iterable[str]) -> Iterator[str]:
    """The options, each after those that it implies."""
    for option in options:
        yield from _IMPLIED.get(option, ())
        yield _ALIASES.get(option, option)
