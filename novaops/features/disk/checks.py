"""disk: the file system that fstab names is mounted, holds what is written to it, and is there after a reboot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from novaops.features.disk.observe import (
    ExpectedMount,
    ObservedFstabLine,
    ObservedMount,
    Rebooted,
    after_reboot,
    before_reboot,
    observe,
    wants_writable_disk,
)
from novaops.formats import disk_name
from novaops.verify import applies

__all__ = ["after_reboot", "before_reboot", "entries", "observe"]


def entries(settings: Iterable[ExpectedMount]) -> Iterator[tuple[str, ExpectedMount]]:
    return ((wanted.path, wanted) for wanted in settings)


def _there(wanted: ExpectedMount) -> bool:
    return wanted.state in {"mounted", "defined"}


def _mounted(wanted: ExpectedMount) -> bool:
    return wanted.state == "mounted"


def _disk(wanted: ExpectedMount) -> bool:
    return _there(wanted) and not wanted.binds


def _mounted_disk(wanted: ExpectedMount) -> bool:
    return _mounted(wanted) and not wanted.binds


# -- claims -----------------------------------------------------------------------------------------------------------------


@applies(_disk)
def test_fstab_names_a_uuid(seen: ObservedMount) -> None:
    """Has one line in fstab, and it names a UUID"""
    assert seen.fstab, f"/etc/fstab should have a line for {seen.place}, but it has none"
    assert len(seen.fstab) == 1, f"/etc/fstab should have one line for {seen.place}, but it has {len(seen.fstab)}"
    assert seen.uuid, f"/etc/fstab should name the disk for {seen.place} by its UUID, but it names {seen.fstab[-1].source}"


@applies(_there)
def test_nofail(seen: ObservedMount) -> None:
    """Does not stop the boot when its disk is missing"""
    line = _line(seen)
    assert "nofail" in line.options.split(","), f"the line for {seen.place} in /etc/fstab should have nofail, but it has {line.options}"


@applies(_there)
def test_findmnt_verify(seen: ObservedMount) -> None:
    """Has a line in fstab that findmnt --verify finds no error in"""
    _line(seen)
    assert not seen.errors, f"findmnt --verify should find no error at {seen.place}, but it says: {'; '.join(seen.errors)}"


@applies(_there)
def test_fstab_counts(seen: ObservedMount) -> None:
    """Is mounted by its line in fstab when the host starts"""
    line = _line(seen)
    for unit in seen.units if "x-systemd.automount" in line.options.split(",") else seen.units[:1]:
        expected = f"systemd should mount {seen.place} by its line in /etc/fstab when the host starts, but {unit.file}"
        assert unit.load != "masked" or not unit.lasts, f"{expected} masks its unit"
        assert not unit.file.startswith("/etc/"), f"{expected} outweighs it"
        assert not unit.changed_by, f"{expected.removesuffix(unit.file)}{' and '.join(unit.changed_by)} changes it"


@applies(_mounted_disk)
def test_mounted(seen: ObservedMount) -> None:
    """Is the disk that fstab names"""
    expected = f"findmnt should show UUID={seen.uuid or '…'} at {seen.place}, as /etc/fstab names it"
    assert seen.mounted is not None, f"{expected}, but nothing is mounted there"
    assert seen.mounted.uuid == seen.uuid, f"{expected}, but it shows {_what(seen.mounted)}"


@applies(_disk)
def test_one_device(seen: ObservedMount) -> None:
    """Has a disk with the UUID that fstab names, and just one"""
    if not seen.uuid:
        pytest.skip(f"/etc/fstab names no UUID for {seen.place}")
    expected = f"one disk should have UUID={seen.uuid}, which /etc/fstab names for {seen.place}"
    assert seen.devices, f"{expected}, but blkid finds none"
    if seen.filesystem != "btrfs":  # which may lie on several
        assert len(seen.devices) == 1, f"{expected}, but {' and '.join(seen.devices)} have it"


@applies(lambda wanted: _disk(wanted) and wanted.device != "auto")
def test_device(seen: ObservedMount) -> None:
    """Is the device that the inventory names"""
    _needs_device(seen)
    device = seen.wanted.device
    by_uuid = device.startswith("UUID=")
    right = device[5:].lower() == seen.uuid.lower() if by_uuid else bool({*disk_name.serials(device), *seen.devices.values()} & seen.named)
    found = f"{' and '.join(seen.devices)}, UUID={seen.uuid}"
    assert right, f"{device} should be what /etc/fstab names for {seen.place}, but that is {found}"


@applies(wants_writable_disk)
def test_written_to_disk(seen: ObservedMount) -> None:
    """Puts what is written there on that disk"""
    _needs_mount(seen)
    assert not seen.written.complaint, f"a file should be writable at {seen.place}, but the host says: {seen.written.complaint}"
    _needs_device(seen)
    found = f"it is on {seen.written.source} ({seen.written.number})"
    expected = f"a file written at {seen.place} should be on the disk with UUID={seen.uuid}"
    shown = " and ".join(f"{device} ({number})" for device, number in seen.devices.items())
    assert seen.written.number in seen.devices.values(), f"{expected}, {shown}, but {found}"


@applies(_disk)
def test_filesystem(seen: ObservedMount) -> None:
    """Has the wanted file system"""
    _needs_device(seen)
    wanted = seen.wanted.filesystem
    for where, kind in [("/etc/fstab names", _line(seen).fstype), ("blkid finds", seen.filesystem)]:
        assert kind == wanted, f"the file system for {seen.place} should be {wanted}, but {where} {kind or 'none'}"
    if seen.mounted is not None and _mounted(seen.wanted):
        kind = seen.mounted.fstype
        assert kind == wanted, f"the file system at {seen.place} should be {wanted}, but {kind} is mounted"


@applies(lambda wanted: _disk(wanted) and bool(wanted.label))
def test_label(seen: ObservedMount) -> None:
    """Has the wanted label"""
    _needs_device(seen)
    wanted = seen.wanted.label
    assert seen.label == wanted, f"the label of the disk for {seen.place} should be {wanted}, but it is {seen.label or 'empty'}"


@applies(lambda wanted: _mounted(wanted) and bool(wanted.owner))
def test_owner(seen: ObservedMount) -> None:
    """Belongs to the wanted owner"""
    _needs_mount(seen)
    user, _, group = (seen.wanted.owner or "").partition(":")
    owned = [owner.split(":") for owner in seen.owners]
    right = user in {names[0] for names in owned} and (not group or group in {names[1] for names in owned})
    assert right, f"{seen.place} should belong to {seen.wanted.owner}, but it belongs to {seen.owners[0] if seen.owners else 'nobody'}"


@applies(lambda wanted: _mounted(wanted) and wanted.binds)
def test_bound(seen: ObservedMount) -> None:
    """Shows the folder that fstab names"""
    source = _line(seen).source
    assert source == seen.wanted.device, f"/etc/fstab should bind {seen.wanted.device} to {seen.place}, but it names {source}"
    assert seen.mounted is not None, f"{source} should be bound to {seen.place}, but nothing is mounted there"
    same = len(seen.inodes) > 1 and len(set(seen.inodes)) == 1
    assert same, f"{seen.place} should show {source}, but it shows another folder: {seen.mounted.source}"


@applies(lambda wanted: not _there(wanted))
def test_gone(seen: ObservedMount) -> None:
    """Is not mounted"""
    assert seen.mounted is None, f"nothing should be mounted at {seen.place}, but {_what(seen.mounted)} is"


@applies(lambda wanted: wanted.state == "absent")
def test_gone_from_fstab(seen: ObservedMount) -> None:
    """Has no line in fstab"""
    assert not seen.fstab, f"/etc/fstab should have no line for {seen.place}, but it names {seen.fstab[-1].source}"


@applies(lambda wanted: wanted.state == "absent")
def test_does_not_come_back(seen: ObservedMount) -> None:
    """Is not mounted by another unit of systemd when the host starts"""
    for unit in seen.units:
        comes = unit.load == "loaded" and unit.lasts and unit.asked_for
        assert not comes, f"systemd should mount nothing at {seen.place} when the host starts, but it does, by {unit.file}"


@applies(wants_writable_disk)
def test_survives_reboot(seen: ObservedMount, rebooted: Rebooted) -> None:
    """Is mounted after a reboot, with what was on it"""
    expected = f"after the reboot UUID={seen.uuid} should be mounted at {seen.place}"
    assert rebooted.mounted is not None, f"{expected}, but nothing is mounted there"
    assert rebooted.mounted.uuid == seen.uuid, f"{expected}, but findmnt shows {_what(rebooted.mounted)}"
    assert rebooted.survived, f"{seen.mark}, written before the reboot, should be there after it, but it is not, or holds something else"


def _line(seen: ObservedMount) -> ObservedFstabLine:
    """The line that takes effect with mount -a. Without one the test is skipped."""
    if not seen.fstab:
        pytest.skip(f"/etc/fstab has no line for {seen.place}")
    return seen.fstab[-1]


def _needs_mount(seen: ObservedMount) -> None:
    if seen.mounted is None:
        pytest.skip(f"nothing is mounted at {seen.place}")


def _needs_device(seen: ObservedMount) -> None:
    if not seen.devices:
        pytest.skip(f"no disk has the UUID that /etc/fstab names for {seen.place}")


def _what(mounted: ObservedFstabLine | None) -> str:
    if mounted is None:
        return "nothing"
    return f"UUID={mounted.uuid} ({mounted.source})" if mounted.uuid else mounted.source
