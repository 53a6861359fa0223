"""The options that the kernel shows of a live mount, and how a remount changes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from novaops.features.disk.facts.mounts import MountedAt
from novaops.features.disk.resources.option_tables import (
    ALIASES,
    CHOICES,
    GIVEN,
    IMPLIED,
    OF_A_FILE_SYSTEM,
    OF_A_KIND,
    OF_A_MOUNT,
    OF_MOUNT,
    OF_MOUNT_BEGIN,
    Choice,
    Switch,
    is_word,
)
from novaops.formats.fstab import unescape

Switches = Mapping[str, str]
"""The state of a mount: for each switch the option that puts it so, "rw" or "ro" for the switch "ro"."""


def live(mounted: MountedAt) -> Switches:
    """Those of a mount, as the kernel shows them. It shows neither noatime nor relatime of one with strictatime."""
    found = {switch.on: switch.on if switch.on in mounted.options else switch.off for switch in _switches(mounted)}
    found["atime"] = next((word for word in ("noatime", "relatime") if word in mounted.options), "strictatime")
    options = _as_shown(mounted)
    for name, choice in _choices(mounted).items():
        found[name] = next((option for option in options if option != choice.hidden and choice.takes(option)), choice.hidden)
    return found


def given(mounted: MountedAt) -> list[str]:
    """The options that somebody gave a mount, as far as the kernel shows them: a line of fstab with them mounts it so again."""
    words = GIVEN.get(mounted.filesystem, ())
    whole = {"subvol=/"}
    fixed = sorted(unescape(option) for option in mounted.options - whole if any(is_word(option, word) for word in words))
    return [*differing(live(mounted), wanted((), mounted)), *fixed]


def later(options: Iterable[str], old: Iterable[str], mounted: MountedAt, *, shared: bool = False) -> list[str]:
    """What counts from the next mount on, where `options` of fstab take the place of `old`: no remount changes it."""
    new, before, shown = list(_spelled_out(options)), list(_spelled_out(old)), _as_shown(mounted)
    told = {name for name in live(mounted) if name not in _choices(mounted) or _choices(mounted)[name].usual}
    told = told & _BINDING if shared else told
    said = {_key(option, mounted) for option in new}
    left = [option for option in before if not _is_of_mount(option) and _key(option, mounted) not in told | said]
    return [
        *unproven(options, old, mounted),
        *(f"without {option}" for option in left if option in shown),
    ]


def unproven(options: Iterable[str], old: Iterable[str], mounted: MountedAt) -> list[str]:
    """Those that no remount gives a live mount, and that neither `old` has nor the kernel shows: whether it knows them at all is not seen."""
    before, shown = {*_spelled_out(old)}, _as_shown(mounted)
    fixed = [option for option in _spelled_out(options) if not _is_of_mount(option) and _key(option, mounted) not in live(mounted)]
    return [option for option in fixed if option not in before and option not in shown]


def wanted(
    options: Iterable[str], mounted: MountedAt, inherited: MountedAt | None = None, known: Iterable[str] = (), *, shared: bool = False
) -> Switches:
    """What `options` of fstab make of each; of contradicting ones the last counts. `known` are those of the line that is there already.

    A bind mount inherits those of the mount that holds its source, and leaves those of the file system as they are. `shared`: other
    subvolumes of it are mounted too, and what this line does not say of the file system may be what theirs do.
    """
    now = live(mounted)
    found = {switch.on: switch.off for switch in _switches(mounted)}
    found |= {"atime": "relatime"}
    found |= {name: choice.hidden if choice.usual else now[name] for name, choice in _choices(mounted).items()}
    if shared:
        found |= {key: option for key, option in now.items() if key not in _BINDING}
    if inherited:
        found = {**now, **{key: option for key, option in live(inherited).items() if key in _BINDING}}
    for option in _spelled_out(options):
        key = _key(option, mounted)
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
    there: list[str] = []
    gone: list[str] = []
    words: dict[str, tuple[str, ...]] = {switch.off: (switch.on,) for switch in _switches(mounted)}
    words |= {choice.hidden: choice.words for choice in _choices(mounted).values()}
    words["strictatime"] = ("noatime", "relatime")
    for option in differing(switches, other):
        if option in words:
            gone += words[option]
        else:
            there.append(option)
    return there, gone


def written(switches: Switches, mounted: MountedAt, before: Switches | None = None) -> list[str]:
    """The options that say so. What is at its default is named where it changes, or where leaving it out would mean something else."""
    changed = set(differing(switches, before)) if before else set()
    words = [switches[s.on] for s in _switches(mounted) if s.every_time or switches[s.on] == s.on or switches[s.on] in changed]
    words.append(switches["atime"])  # in every case: a remount that names none of the three keeps the old one
    for name, choice in _choices(mounted).items():
        option = switches[name]
        if option in changed or (option != choice.hidden and (choice.usual or before is None)):
            words += [choice.hidden, option] if choice.resets and option != choice.hidden else [option]
    return words


_KEYS = {
    option: switch.on
    for switch in (*OF_A_MOUNT, *OF_A_FILE_SYSTEM, *(s for switches in OF_A_KIND.values() for s in switches))
    for option in (switch.on, switch.off)
}
_BINDING = {"atime", *(switch.on for switch in OF_A_MOUNT)}
"""The switches that each mount of a file system has for itself."""


def _switches(mounted: MountedAt) -> tuple[Switch, ...]:
    return (*OF_A_MOUNT, *OF_A_FILE_SYSTEM, *OF_A_KIND.get(mounted.filesystem, ()))


def _choices(mounted: MountedAt) -> Mapping[str, Choice]:
    return CHOICES.get(mounted.filesystem, {})


def _key(option: str, mounted: MountedAt) -> str:
    """The switch or choice that the option is of; else its name."""
    chosen = next((name for name, choice in _choices(mounted).items() if choice.takes(option)), None)
    return chosen or _KEYS.get(option, option.partition("=")[0])


def _as_shown(mounted: MountedAt) -> set[str]:
    return {ALIASES.get(option, option) for option in mounted.options}


def _is_of_mount(option: str) -> bool:
    return option in OF_MOUNT or option.startswith(OF_MOUNT_BEGIN)


def _spelled_out(options: Iterable[str]) -> Iterator[str]:
    """The options, each after those that it implies."""
    for option in options:
        meant = ALIASES.get(option, option)
        compresses = meant.startswith(("compress=", "compress-force=")) and meant != "compress=no"
        yield from IMPLIED.get("compress" if compresses else meant, ())
        yield meant
