"""Every file below tests/cases/{disk,file,directory,growth,package} is one case; its name is the sentence.

want       what is asked for: an entry of the section (disk: one or several), or the fields of the resource
disks      NAME: {size, serial, KIND: UUID, label, at, options, parts, …}; a blank disk has no KIND. vda, with /, is always there
           sub: btrfs's number of a member; users: who else uses it
           beside: {KIND: UUID} are signatures that blkid passes over
fstab      its text; the line for / is there by default
mounts     "SOURCE TARGET KIND OPTIONS ROOT", beyond those of the disks
places     PATH: absent | empty | filled | other, or {state, real, owner, nearest}
units      PATH: {mount: own | vendor | masked, automount: …, started: true, drop_in: FILE}, systemd's own
rooms      PATH: {filesystem, unit, DEVICE: size, …}, how large the file systems are; layers and volumes: see tests/support/storage.py
then one of
steps      "RESOURCE  FIELD: BEFORE → AFTER", a line for each change; [] when all is right already
refused    what (and why, fix), as the user reads it
unknown    the question that the host could not answer
wrong      what is wrong with `want` itself
and, where they are the point: actions, undo, fstab after, notes, risk, cannot undo. NEW stands for the UUID of a new file system.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from novaops.engine import inventory
from novaops.engine.planner import make_plan, questions_of
from novaops.engine.playbooks import Playbook
from novaops.errors import HostFailed
from novaops.facts.directory import Directory, DirectoryAt
from novaops.facts.file import FileAt, FileState
from novaops.facts.package import PackageNamed
from novaops.facts.succeeds import Succeeds, has
from novaops.features.disk.facts.block_devices import BlockDevices
from novaops.features.disk.facts.device import Device, DeviceAt
from novaops.features.disk.facts.device_table import BlockDevice, DeviceTable, Signature
from novaops.features.disk.facts.filesystem_size import Extent, FilesystemExtent, FilesystemSize
from novaops.features.disk.facts.mount_units import MountUnit, MountUnits, MountUnitsOf
from novaops.features.disk.facts.mounts import MountedAt, Mounts, MountTable
from novaops.features.disk.facts.storage_layers import StorageLayers
from novaops.features.disk.resources.growth import growths
from novaops.model.action import Action, Command, WriteFile
from novaops.model.plan import Change, Plan, Resource
from novaops.model.question import Facts, Missing, Question
from novaops.resources.directory import Directory as DirectoryResource
from novaops.resources.file import File as FileResource
from novaops.resources.package import Package
from novaops.secret import Secret
from tests.support.storage import layers

CASES = Path(__file__).parent.parent / "cases"
KEYS = {
    *(
        "want",
        "disks",
        "fstab",
        "mounts",
        "places",
        "units",
        "devices",
        "files",
        "packages",
        "commands",
        "rooms",
        "layers",
        "volumes",
        "unanswered",
    ),
    *("steps", "refused", "unknown", "wrong", "actions", "undo", "fstab after", "notes", "risk", "cannot undo", "known bug"),
}
FRESH = str(uuid.UUID(int=0))
UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}
KINDS = {"ext4", "xfs", "btrfs", "vfat", "minix", "swap", "LVM2_member", "linux_raid_member", "crypto_LUKS", "zfs_member", "gpt", "dos"}
FILESYSTEMS = {"ext4", "xfs", "btrfs", "vfat", "minix"}
SYSTEM = {"size": "10G", "serial": "SYS", "gpt": "", "parts": {"vda1": {"size": "10G", "ext4": "ROOT", "at": "/"}}}
KERNEL = ("proc /proc proc rw", "sysfs /sys sysfs rw", "udev /dev devtmpfs rw", "tmpfs /run tmpfs rw,nosuid,nodev,noexec")


def files(*nouns: str) -> Iterator[Any]:
    for noun in nouns:
        for file in sorted((CASES / noun).glob("*.yaml")):
            case = read(file)
            yield pytest.param(noun, case, id=f"{noun}-{file.stem}", marks=_known_bug(case))


def read(file: Path) -> Any:
    """YAML by libyaml where it is there: ten times as fast."""
    return yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe


def _known_bug(case: Mapping[str, Any]) -> list[pytest.MarkDecorator]:
    why = case.get("known bug")
    return [pytest.mark.xfail(reason=why)] if why else []


@pytest.mark.parametrize(("noun", "case"), list(files("disk", "file", "directory", "growth", "package")))
def test_case(noun: str, case: Mapping[str, Any]) -> None:
    assert set(case) <= KEYS, f"the case has unknown keys: {set(case) - KEYS}"
    if "wrong" in case:
        with pytest.raises(ValidationError) as error:
            wanted(noun, case["want"])
        assert case["wrong"] in inventory.message(error.value.errors()[0])
        return
    resources = wanted(noun, case["want"])
    facts = Facts({q: answer(q, case) for q in questions_of(resources) if type(q).__name__ not in case.get("unanswered", ())}, {})
    if "unknown" in case:
        with pytest.raises(HostFailed, match="could not say") as failed:
            make_plan(resources, facts)
        assert case["unknown"] in failed.value.what
        return
    check(case, make_plan(resources, facts))


def check(case: Mapping[str, Any], plan: Plan) -> None:
    refusals = [refusal for _, refusal in plan.refusals]
    if "refused" in case:
        said = case["refused"] if isinstance(case["refused"], dict) else {"what": case["refused"]}
        assert refusals, f"not refused, but {shown(plan)}"
        assert {key: getattr(refusals[0], key) for key in said} == said
    else:
        assert not refusals, refusals
        assert shown(plan) == case["steps"]
    actions = [action for step in plan.steps for action in step.actions]
    writes_follow_each_other(actions)
    undoing_can_be_told(actions)
    if "actions" in case:
        assert [short(action) for action in actions] == case["actions"]
    if "undo" in case:
        assert [short(action.undo) for action in actions if isinstance(action, Command) and action.undo] == case["undo"]
    if "fstab after" in case:
        assert new_fstab(actions) == case["fstab after"]
    if "notes" in case:
        assert [note.text for note in plan.notes] == case["notes"]
    assert {step.risk.value for step in plan.steps} - {"none"} == set(case.get("risk", "").split())
    if "cannot undo" in case:
        assert [step.cannot_undo for step in plan.steps if step.cannot_undo] == case["cannot undo"]


def writes_follow_each_other(actions: Sequence[Action]) -> None:
    """Of two writes to one file the second expects what the first leaves; else the host refuses it."""
    left: dict[str, Any] = {}
    for action in actions:
        if isinstance(action, WriteFile):
            assert left.get(action.path, action.before) == action.before, f"the second write to {action.path} does not know of the first"
            left[action.path] = action.content


def undoing_can_be_told(actions: Sequence[Action]) -> None:
    """A later `novaops undo` leaves out what nobody could tell to be undone, and says nothing of it."""
    for action in actions:
        if isinstance(action, Command) and action.undo:
            assert action.undo.holds, f"{action}: its undo has no test"


def wanted(noun: str, want: Any) -> list[Resource]:
    match noun:
        case "disk":
            playbook = load_playbook("disk")
            settings = _adapter().validate_python(want if isinstance(want, list) else [want])
            return list(playbook.desired(None, settings, {}))
        case "file":
            content = Secret(want["secret"]) if "secret" in want else want.get("content")
            given: dict[str, Any] = {key: value for key, value in want.items() if key not in {"content", "secret", "then"}}
            return [FileResource(content=content, then=tuple(want.get("then", ())), **given)]
        case "directory":
            return [DirectoryResource(**want)]
        case "growth":
            return list(growths(want if isinstance(want, list) else [want]))
        case _:
            return [Package(**want) if isinstance(want, dict) else Package(want)]


@cache
def load_playbook(name: str) -> Any:
    """The playbook as `desired` would load it."""
    return Playbook(name, CASES.parent.parent / "playbooks" / f"{name}.py").module


@cache
def _adapter() -> TypeAdapter[Any]:
    settings: Any = load_playbook("disk").Settings
    return TypeAdapter(settings)


# -- what the plan says -----------------------------------------------------------------------------------------------


def shown(plan: Plan) -> list[str]:
    return [f"{step.resource}  {_change(change)}" for step in plan.steps for change in step.changes]


def _change(change: Change) -> str:
    before = "" if change.before is None else f"{change.before} → "
    return _with_new(f"{change.field}: {before}{'gone' if change.after is None else change.after}")


def short(action: Action) -> str:
    """A command as it is; a script by its name and arguments."""
    if isinstance(action, Command) and action.words[:2] == ("sh", "-c"):
        return _with_new(" ".join(("sh", *action.words[3:])))
    return _with_new(str(action))


def _with_new(text: str) -> str:
    for number in "abcdefgh":
        for name in (f"/dev/vd{number}", f"/dev/vd{number}1", f"/dev/vd{number}2"):
            text = re.sub(f"{str(uuid.uuid5(uuid.UUID(FRESH), name))[:8]}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}", "NEW", text)
    return text


def new_fstab(actions: Sequence[Action]) -> str | None:
    written = [action for action in actions if isinstance(action, WriteFile) and action.path == "/etc/fstab"]
    if not written:
        return None
    assert isinstance(written[0].content, bytes)
    return _with_new(written[0].content.decode())


# -- what the host answered -------------------------------------------------------------------------------------------


def answer(question: Question[Any], case: Mapping[str, Any]) -> Any:
    return _ANSWERS[type(question)](question, case)


def _devices(case: Mapping[str, Any]) -> list[tuple[BlockDevice, Mapping[str, Any]]]:
    found: dict[str, tuple[BlockDevice, Mapping[str, Any]]] = {}

    def visit(name: str, about: Mapping[str, Any], parent: str, kind: str) -> None:
        path = f"/dev/{name}"
        if path in found:
            known = found[path][0]
            found[path] = BlockDevice(**{**vars(known), "parents": (*known.parents, parent)}), about
            return
        found[path] = _device(path, about, parent, kind, f"254:{len(found)}"), about
        for child, its in about.get("parts", {}).items():
            visit(child, its or {}, path, (its or {}).get("kind", "part"))

    for name, about in {"vda": SYSTEM, **case.get("disks", {})}.items():
        visit(name, about or {}, "", (about or {}).get("kind", "disk"))
    return list(found.values())


def _device(path: str, about: Mapping[str, Any], parent: str, kind: str, number: str) -> BlockDevice:
    on = [(key, about[key]) for key in about if key in KINDS]
    filesystems = [(key, its) for key, its in on if key in FILESYSTEMS]
    probed: dict[str, str] = {}
    if len(on) == 1:
        what, identity = on[0]
        usage = "filesystem" if what in FILESYSTEMS else "other"
        file_system = {"TYPE": what, "USAGE": usage, "UUID": identity, "LABEL": about.get("label", "")}
        file_system |= {"UUID_SUB": about["sub"]} if "sub" in about else {}
        probed = {"PTTYPE": what} if what in {"gpt", "dos"} else file_system
    assert len(filesystems) < 2, "a device has one file system"
    return BlockDevice(
        path=path,
        kind=kind,
        size=_bytes(about.get("size", "20G")),
        number=number,
        parents=(parent,) if parent else (),
        read_only=about.get("read only", False),
        serial=about.get("serial", ""),
        table_uuid=about.get("table", ""),
        signatures=tuple(
            Signature(kind=key, uuid=its or "", label=about.get("label", "")) for key, its in [*on, *about.get("beside", {}).items()]
        ),
        probed=probed,
        blank=None if about.get("unreadable") else not on and not about.get("data"),
        fingerprint="f1f1f1" if about.get("data") else "",
        holders=tuple(about.get("holders", ())),
        links=tuple(about.get("links", ())),
        users=tuple(about.get("users", ())),
    )


def _block_devices(_: BlockDevices, case: Mapping[str, Any]) -> DeviceTable:
    devices = _devices(case)
    return DeviceTable(tuple(d for d, _ in devices), tuple(d.path for d, about in devices if about.get("swapping")), FRESH)


def _mounts(_: Mounts, case: Mapping[str, Any]) -> MountTable:
    mounts = []
    for device, about in _devices(case):
        places = about.get("at", [])
        for place in [places] if isinstance(places, str) else places:
            options = frozenset(about.get("options", "rw,relatime").split(","))
            mounts.append(MountedAt(place, device.path, device.filesystem, options, "/", device.number))
    for line in (*KERNEL, *case.get("mounts", ())):
        source, target, kind, options, *more = line.split(" ")
        number = next((d.number for d, _ in _devices(case) if d.path == source), f"0:{len(mounts)}")
        mounts.append(MountedAt(target, source, kind, frozenset(options.split(",")), more[0] if more else "/", number))
    return MountTable(tuple(mounts))


def _file(question: FileAt, case: Mapping[str, Any]) -> FileState | Missing:
    if question.path == "/etc/fstab":
        text = case.get("fstab", "UUID=ROOT / ext4 defaults 0 1\n")
        return Missing.ABSENT if text is None else FileState("regular file", "0644", "root", "root", text.encode())
    about = case.get("files", {}).get(question.path)
    if about is None:
        return Missing.ABSENT
    content = about.get("content")
    given = {"kind": "regular file", "mode": "0644", "owner": "root", "group": "root", **about}
    return FileState(**{**given, "content": None if content is None else content.encode()})


def _directory(question: DirectoryAt, case: Mapping[str, Any]) -> Directory:
    about = case.get("places", {}).get(question.path)
    if about is None:
        about = "filled" if _mounts(Mounts(), case).at(question.path.rstrip("/") or "/") else "absent"
    fields = about if isinstance(about, dict) else {"state": about}
    real = fields.get("real", question.path)
    state = fields.get("state", "absent")
    nearest = fields.get("nearest", (real.rpartition("/")[0] or "/") if state == "absent" else real)
    user, _, group = fields.get("owner", "root:root").partition(":")
    return Directory(real, state, nearest, "0755", user, group, *({"root": "0"}.get(name, "1000") for name in (user, group)))


def _units(question: MountUnitsOf, case: Mapping[str, Any]) -> MountUnits:
    about = case.get("units", {}).get(question.path, {})
    name = question.path.strip("/").replace("/", "-")

    def unit(kind: str) -> MountUnit:
        if kind not in about:
            return MountUnit("none")
        folder = "/usr/lib" if about[kind] == "vendor" else "/etc"
        return MountUnit(about[kind], about.get("started", False), f"{folder}/systemd/system/{name}.{kind}")

    return MountUnits(unit("mount"), unit("automount"), about.get("drop_in", ""))


def _named(question: DeviceAt, case: Mapping[str, Any]) -> Device | Missing:
    if kind := case.get("devices", {}).get(question.path):
        return Device(question.path, kind)
    for device, _ in _devices(case):
        if question.path in {device.path, *device.links}:
            return Device(device.path, "block special file")
    return Missing.ABSENT


def _room(question: FilesystemSize, case: Mapping[str, Any]) -> FilesystemExtent | Missing:
    about = case.get("rooms", {}).get(question.path)
    if about is None:
        return Missing.ABSENT
    sizes = [(key, _bytes(value)) for key, value in about.items() if key.startswith("/")]
    extents = tuple(Extent(device, size, number) for number, (device, size) in enumerate(sizes, 1))
    return FilesystemExtent(about["filesystem"], extents, _bytes(about.get("unit", "16M")), about.get("read only", False))


def _bytes(size: Any) -> int:
    return size if isinstance(size, int) else int(size[:-1]) * UNITS[size[-1]]


_ANSWERS: dict[type[Any], Callable[[Any, Mapping[str, Any]], Any]] = {
    BlockDevices: _block_devices,
    Mounts: _mounts,
    FileAt: _file,
    DirectoryAt: _directory,
    MountUnitsOf: _units,
    DeviceAt: _named,
    FilesystemSize: _room,
    StorageLayers: lambda _, case: layers(case, _bytes),
    PackageNamed: lambda question, case: case.get("packages", {}).get(question.name, Missing.ABSENT),
    Succeeds: lambda question, case: question in map(has, case.get("commands", ())),
}


# -- D14: every state asked for, from every state there is ------------------------------------------------------------

STATES = read(CASES / "mount_states.yaml")


@pytest.mark.parametrize("row", STATES, ids=lambda row: f"{row['is']}-{row['ensure']}".replace(" ", "-"))
def test_state(row: Mapping[str, Any]) -> None:
    """The mount and the line that are there at the end, as the actions leave them."""
    line = "UUID=U-1 /data ext4 defaults,nofail,x-systemd.device-timeout=15s 0 2\n"
    has_line, is_mounted = "line" in row["is"].split(), "mounted" in row["is"].split()
    case: dict[str, Any] = {
        "disks": {"vdb": {"ext4": "U-1", **({"at": "/data"} if is_mounted else {})}},
        "fstab": line if has_line else "# nothing\n",
        "places": {} if is_mounted else {"/data": "empty"},
    }
    resources = wanted("disk", {"path": "/data", "device": "/dev/vdb", "state": row["ensure"]})
    plan = make_plan(resources, Facts({q: answer(q, case) for q in questions_of(resources)}, {}))
    assert not plan.refusals
    actions = [action for step in plan.steps for action in step.actions]
    for action in actions:
        if isinstance(action, Command) and action.words[0] in {"mount", "umount"}:
            is_mounted = action.words[0] == "mount"
    text = new_fstab(actions)
    lines = (text if text is not None else case["fstab"]).count("/data")
    assert (is_mounted, lines) == (row["mounted"], row["lines"])
    assert bool(plan.steps) == row["changes"]


@pytest.mark.parametrize(("options", "how"), [("ro", "e2fsck -n "), ("defaults", "e2fsck -p ")])
def test_a_file_system_that_is_only_read_is_not_repaired(options: str, how: str) -> None:
    """Its device may be read-only, and then e2fsck -p fails."""
    case: dict[str, Any] = {"disks": {"vdb": {"ext4": "U-1", "read only": options == "ro"}}}
    resources = wanted("disk", {"path": "/data", "device": "/dev/vdb", "options": options})
    plan = make_plan(resources, Facts({q: answer(q, case) for q in questions_of(resources)}, {}))
    scripts = [action.words[2] for step in plan.steps for action in step.actions if isinstance(action, Command) and "check" in action.words]
    assert [how in script for script in scripts] == [True]
