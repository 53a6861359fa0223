"""`novaops verify` without a host: what the tools print is read, every claim is seen red, and pytest runs as told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from novaops.features.disk import checks as disk
from novaops.features.disk import observe as eyes
from novaops.features.disk.observe import ObservedFstabLine, ObservedMount, ObservedUnit, Rebooted, Written
from novaops.verify.claims import Claim

# -- what the tools print -----------------------------------------------------------------------------------------------------


def test_findmnt_verify_errors_by_path() -> None:
    said = """\
/mnt/a b
   [E] unreachable on boot required source: UUID=0000
   [W] your fstab has been modified, but systemd still uses the old version;
       use 'systemctl daemon-reload' to reload
/mnt/data
   [E] one
   [E] two

1 parse error, 3 errors, 1 warning
"""
    assert eyes._errors(said) == {"/mnt/a b": ("unreachable on boot required source: UUID=0000",), "/mnt/data": ("one", "two")}


def test_units_as_systemctl_shows_them() -> None:
    none = "LoadState=not-found\nFragmentPath=\nWantedBy=\nRequiredBy=\n"
    made = "LoadState=loaded\nFragmentPath=/run/systemd/generator/mnt-data.mount\nWantedBy=local-fs.target\nRequiredBy=\n"
    assert list(eyes._units("")) == []
    assert list(eyes._units(f"{made}\n{none}\n")) == [OF_FSTAB, NO_UNIT]
    drop_ins = "/etc/systemd/system/mnt-.mount.d/a b.conf\n/etc/systemd/system/mount.d/x.conf\n"
    assert list(eyes._units(f"{made}\n{none}\n{drop_ins}")) == [replace(OF_FSTAB, changed_by=tuple(drop_ins.splitlines())), NO_UNIT]


def test_of_stacked_mounts_the_last_is_seen() -> None:
    text = json.dumps(
        {
            "filesystems": [
                {"source": "/dev/vdb", "target": "/mnt/data", "fstype": "ext4", "options": "rw", "uuid": "a"},
                {"source": "tmpfs", "target": "/mnt/data", "fstype": "tmpfs", "options": "rw", "uuid": None},
            ]
        }
    )
    assert eyes._topmost(eyes._lines(text), "/mnt/data") == ObservedFstabLine("tmpfs", "/mnt/data", "tmpfs", "rw", "")
    assert eyes._lines("\n") == ()


def test_a_path_is_the_same_however_fstab_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "fstab"
    file.write_text("UUID=aa /mnt/data/ ext4 defaults,nofail 0 2\nUUID=bb //mnt//./other ext4 defaults,nofail 0 2\n")
    words = ["findmnt", "--tab-file", str(file), "--list", "--json", "--output", "SOURCE,TARGET,FSTYPE,OPTIONS"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert [line.target for line in eyes._in_fstab(said)] == ["/mnt/data", "/mnt/other"]
    said = subprocess.run(["findmnt", "--verify", "--tab-file", str(file)], capture_output=True, text=True, check=False).stdout
    assert set(eyes._errors(said)) == {"/mnt/data", "/mnt/other"}


@pytest.mark.parametrize(("packed", "numbers"), [(0xFE10, "254:16"), (0x10010305, "259:65541"), (5, "0:5")])
def test_device_numbers_as_linux_packs_them(packed: int, numbers: str) -> None:
    assert eyes._major_minor(packed) == numbers


def test_device_number_of_stat() -> None:
    assert eyes._decimal("fe:10") == "254:16"


@pytest.mark.parametrize(("source", "uuid"), [("UUID=ab-1", "ab-1"), ('UUID="ab-1"', "ab-1"), ("LABEL=x", ""), ("/dev/vdb", "")])
def test_uuid_of_a_line(source: str, uuid: str) -> None:
    assert ObservedFstabLine(source, "/mnt", "ext4", "defaults").named_uuid == uuid


# -- the claims ---------------------------------------------------------------------------------------------------------------


@dataclass
class Entry:
    path: str = "/mnt/data"
    device: str = "auto"
    filesystem: str = "ext4"
    label: str = "DATA"
    owner: str | None = "nova"
    state: str = "mounted"
    options: tuple[str, ...] = ("defaults",)
    binds: bool = False


LINE = ObservedFstabLine("UUID=aa", "/mnt/data", "ext4", "defaults,nofail")
MOUNTED = ObservedFstabLine("/dev/vdb", "/mnt/data", "ext4", "rw", "aa")
RIGHT = ObservedMount(
    *(Entry(), "/mnt/data", (LINE,), MOUNTED, ()),
    devices={"/dev/vdb": "254:16"},
    label="DATA",
    filesystem="ext4",
    named=frozenset({"254:16", "serial"}),
    owners=("nova:nova", "1000:1000"),
    inodes=("65040:2", "5:300"),
    written=Written("254:16", "/dev/vdb"),
    mark="/mnt/data/.mark",
)
OTHER = ObservedFstabLine("/dev/vdc", "/mnt/data", "ext4", "rw", "bb")
BOUND = replace(
    RIGHT,
    wanted=Entry(device="/srv", binds=True),
    fstab=(replace(LINE, source="/srv"),),
    inodes=("1:2", "1:2"),
)

WAITS = replace(LINE, options="defaults,nofail,x-systemd.automount")
NO_UNIT = ObservedUnit()
OF_FSTAB = ObservedUnit("loaded", "/run/systemd/generator/mnt-data.mount", asked_for=True)
CHANGED = replace(OF_FSTAB, changed_by=("/etc/systemd/system/mount.d/x.conf",))
MASKED = ObservedUnit("masked", "/etc/systemd/system/mnt-data.mount", asked_for=True)
VENDORS = ObservedUnit("loaded", "/usr/lib/systemd/system/mnt-data.automount", asked_for=True)
GONE = replace(RIGHT, wanted=Entry(state="absent"), fstab=(), mounted=None)
UNITS = [
    replace(RIGHT, units=(OF_FSTAB, NO_UNIT)),
    replace(RIGHT, units=(replace(MASKED, file="/run/systemd/system/mnt-data.mount"), NO_UNIT)),
    replace(RIGHT, units=(OF_FSTAB, MASKED)),
    replace(RIGHT, units=(VENDORS, VENDORS)),
    replace(GONE, units=(MASKED, replace(VENDORS, asked_for=False))),
    replace(GONE, units=(OF_FSTAB, ObservedUnit("loaded", asked_for=True))),
]
"""What is no reason to worry: units that fstab made, that last until the host starts, that nothing asks for."""

RED: list[tuple[Callable[..., None], ObservedMount, str]] = [
    (disk.test_fstab_names_a_uuid, replace(RIGHT, fstab=()), "/etc/fstab should have a line for /mnt/data, but it has none"),
    (disk.test_fstab_names_a_uuid, replace(RIGHT, fstab=(LINE, LINE)), "/etc/fstab should have one line for /mnt/data, but it has 2"),
    (disk.test_fstab_names_a_uuid, replace(RIGHT, fstab=(replace(LINE, source="/dev/vdb"),)), "by its UUID, but it names /dev/vdb"),
    (disk.test_nofail, replace(RIGHT, fstab=(replace(LINE, options="defaults"),)), "should have nofail, but it has defaults"),
    (disk.test_findmnt_verify, replace(RIGHT, errors=("no source",)), "should find no error at /mnt/data, but it says: no source"),
    (disk.test_fstab_counts, replace(RIGHT, units=(MASKED, NO_UNIT)), "when the host starts, but /etc/systemd/system/mnt-data.mount masks"),
    (disk.test_fstab_counts, replace(RIGHT, units=(replace(MASKED, load="loaded"), NO_UNIT)), "mnt-data.mount outweighs it"),
    (
        disk.test_fstab_counts,
        replace(RIGHT, units=(CHANGED, NO_UNIT)),
        "when the host starts, but /etc/systemd/system/mount.d/x.conf changes it",
    ),
    (disk.test_fstab_counts, replace(RIGHT, fstab=(WAITS,), units=(NO_UNIT, MASKED)), "masks its unit"),
    (disk.test_mounted, replace(RIGHT, mounted=None), "UUID=aa at /mnt/data, as /etc/fstab names it, but nothing is mounted there"),
    (disk.test_mounted, replace(RIGHT, mounted=OTHER), "as /etc/fstab names it, but it shows UUID=bb (/dev/vdc)"),
    (disk.test_one_device, replace(RIGHT, devices={}), "names for /mnt/data, but blkid finds none"),
    (disk.test_one_device, replace(RIGHT, devices={"/dev/vdb": "1:1", "/dev/vdc": "1:2"}), "but /dev/vdb and /dev/vdc have it"),
    (disk.test_device, replace(RIGHT, wanted=Entry(device="/dev/vdx"), named=frozenset({"9:9"})), "/dev/vdx should be what /etc/fstab"),
    (disk.test_device, replace(RIGHT, wanted=Entry(device="UUID=cc")), "but that is /dev/vdb, UUID=aa"),
    (
        disk.test_device,
        replace(RIGHT, wanted=Entry(device="other"), named=frozenset({"serial"})),
        "other should be what /etc/fstab names for /mnt/data",
    ),
    (disk.test_written_to_disk, replace(RIGHT, written=Written(complaint="Read-only")), "but the host says: Read-only"),
    (disk.test_written_to_disk, replace(RIGHT, written=Written("254:1", "/dev/vda")), "but it is on /dev/vda (254:1)"),
    (disk.test_filesystem, replace(RIGHT, filesystem="xfs"), "should be ext4, but blkid finds xfs"),
    (disk.test_filesystem, replace(RIGHT, fstab=(replace(LINE, fstype="xfs"),)), "should be ext4, but /etc/fstab names xfs"),
    (disk.test_filesystem, replace(RIGHT, mounted=replace(MOUNTED, fstype="xfs")), "should be ext4, but xfs is mounted"),
    (disk.test_label, replace(RIGHT, label=""), "should be DATA, but it is empty"),
    (disk.test_owner, replace(RIGHT, owners=("root:root", "0:0")), "should belong to nova, but it belongs to root:root"),
    (disk.test_owner, replace(RIGHT, wanted=Entry(owner="nova:adm")), "should belong to nova:adm, but it belongs to nova:nova"),
    (disk.test_bound, replace(BOUND, fstab=(LINE,)), "should bind /srv to /mnt/data, but it names UUID=aa"),
    (disk.test_bound, replace(BOUND, mounted=None), "/srv should be bound to /mnt/data, but nothing is mounted there"),
    (disk.test_bound, replace(BOUND, inodes=("1:2", "1:3")), "should show /srv, but it shows another folder"),
    (disk.test_gone, RIGHT, "nothing should be mounted at /mnt/data, but UUID=aa (/dev/vdb) is"),
    (disk.test_does_not_come_back, replace(RIGHT, units=(NO_UNIT, VENDORS)), "but it does, by /usr/lib/systemd/system/mnt-data.automount"),
    (disk.test_gone_from_fstab, RIGHT, "should have no line for /mnt/data, but it names UUID=aa"),
]


@pytest.mark.parametrize(("claim", "seen", "sentence"), RED)
def test_claim_is_red(claim: Callable[..., None], seen: ObservedMount, sentence: str) -> None:
    with pytest.raises(AssertionError) as raised:
        claim(seen)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rebooted", "sentence"),
    [
        (Rebooted(None, survived=False), "after the reboot UUID=aa should be mounted at /mnt/data, but nothing is mounted there"),
        (Rebooted(OTHER, survived=False), "but findmnt shows UUID=bb (/dev/vdc)"),
        (Rebooted(MOUNTED, survived=False), "/mnt/data/.mark, written before the reboot, should be there after it"),
    ],
)
def test_reboot_claim_is_red(rebooted: Rebooted, sentence: str) -> None:
    with pytest.raises(AssertionError, match="after"):
        disk.test_survives_reboot(RIGHT, rebooted)
    with pytest.raises(AssertionError) as raised:
        disk.test_survives_reboot(RIGHT, rebooted)
    assert sentence in str(raised.value)


def claims() -> Iterator[Claim]:
    return (Claim(value) for name, value in vars(disk).items() if name.startswith("test_"))


def test_every_claim_has_been_red() -> None:
    assert {claim.function for claim in claims()} == {claim for claim, *_ in RED} | {disk.test_survives_reboot}


CONSOLE = replace(RIGHT, wanted=Entry(device="vol-0abc"), named=frozenset({"vol0abc"}))
UPPER = replace(RIGHT, wanted=Entry(device="UUID=AA"))


@pytest.mark.parametrize("seen", [RIGHT, BOUND, CONSOLE, UPPER, GONE, *UNITS])
def test_what_is_right_is_green(seen: ObservedMount) -> None:
    made = [claim for claim in claims() if claim.about(seen.wanted) and not claim.after_reboot]
    assert made
    for claim in made:
        claim.function(seen)


@pytest.mark.parametrize(
    ("entry", "count"),
    [
        (Entry(), 11),
        (Entry(device="/dev/vdb"), 12),
        (Entry(options=("ro",)), 9),
        (Entry(label="", owner=None), 9),
        (Entry(state="defined"), 7),
        (Entry(state="unmounted"), 1),
        (Entry(state="absent"), 3),
        (Entry(binds=True, label="", owner=None), 4),
    ],
)
def test_which_claims_are_made(entry: Entry, count: int) -> None:
    assert len([claim for claim in claims() if claim.about(entry)]) == count


def test_sentences_begin_small_and_say_something() -> None:
    for claim in claims():
        assert claim.sentence[0].islower()
        assert not claim.sentence.endswith(".")


def test_other_eyes() -> None:
    """Nothing of what is verified may be seen through the engine's own facts."""
    for file in (Path(disk.__file__), Path(eyes.__file__)):
        text = file.read_text()
        assert ".facts" not in text
        assert ".resources" not in text
        assert "novaops.formats.fstab" not in text
