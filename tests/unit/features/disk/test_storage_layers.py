"""What a host says of its layers, as util-linux 2.38, lvm2 2.03, cryptsetup 2.6 and Linux 6.1 said it; and how much of each is not used."""

from __future__ import annotations

import subprocess

import pytest

from novaops.features.disk.facts.filesystem_size import Extent, FilesystemExtent, MountedFilesystems
from novaops.features.disk.facts.storage_layers import Array, Encryption, Layers, LogicalVolume, PhysicalVolume, StorageLayers
from novaops.features.disk.status import Room
from novaops.model.question import Missing, Section

MIB = 1024**2

SAID = """\
device\tdm-0\t/dev/mapper/vg-data\tlvm\t205520896\tloop1p1
device\tdm-1\t/dev/mapper/crypt\tcrypt\t402653184\tloop2p1
crypt\tdm-1\t/dev/mapper/crypt is active and is in use.
crypt\tdm-1\t  type:    LUKS2
crypt\tdm-1\t  cipher:  aes-xts-plain64
crypt\tdm-1\t  keysize: 512 bits
crypt\tdm-1\t  key location: keyring
crypt\tdm-1\t  device:  /dev/loop2p1
crypt\tdm-1\t  sector size:  512
crypt\tdm-1\t  offset:  32768 sectors
crypt\tdm-1\t  size:    786432 sectors
crypt\tdm-1\t  mode:    read/write
key\tdm-1\t/root/key
device\tloop1\t/dev/loop1\tloop\t1073741824\t
table\tloop1\tlabel: gpt
table\tloop1\tlabel-id: 893E2F9F-8D0C-F343-A976-7A922C9AA792
table\tloop1\tdevice: /dev/loop1
table\tloop1\tunit: sectors
table\tloop1\tfirst-lba: 2048
table\tloop1\tlast-lba: 2097118
table\tloop1\tsector-size: 512
table\tloop1\t/dev/loop1p1 : start=        2048, size=      819200, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=774AE9FD-8E12
sector\tloop1\t512
file\tloop1\t1073741824
part\tloop1p1\t1\t2048
device\tloop1p1\t/dev/loop1p1\tpart\t419430400\tloop1
device\tloop2\t/dev/loop2\tloop\t1073741824\t
part\tloop2p1\t1\t2048
device\tloop2p1\t/dev/loop2p1\tpart\t519430400\tloop2
device\tloop4\t/dev/loop4\tloop\t734003200\t
device\tloop5\t/dev/loop5\tloop\t734003200\t
device\tloop8\t/dev/loop8\tloop\t209715200\t
table\tloop8\tlabel: dos
table\tloop8\tlabel-id: 0x095f5ae9
table\tloop8\t/dev/loop8p1 : start=        2048, size=       40960, type=83, bootable
table\tloop8\t/dev/loop8p2 : start=       43008, size=      366592, type=5
table\tloop8\t/dev/loop8p5 : start=       45056, size=       20480, type=83
table\tloop8\t/dev/loop8p6 : start=       67584, size=      137216, type=83
sector\tloop8\t512
part\tloop8p2\t2\t43008
device\tloop8p2\t/dev/loop8p2\tpart\t1024\tloop8
part\tloop8p6\t6\t67584
device\tloop8p6\t/dev/loop8p6\tpart\t70254592\tloop8
device\tmd0\t/dev/md0\traid1\t313524224\tloop4 loop5
md\tmd0\traid1\t1.2\t306176\t0\tresync
member\tmd0\tloop4\t2048\t306176
member\tmd0\tloop5\t2048\t306176
device\tvdb\t/dev/vdb\tdisk\t1073741824\t
lv\t/dev/mapper/vg-data|vg|data|205520896|linear|public|4194304|0
pv\t/dev/loop1p1|vg|415236096|419430400|1048576|209715200
pv\t[unknown]|vg|415236096|0|1048576|209715200
"""


def layers(said: str = SAID) -> Layers:
    found = StorageLayers.parse_one(Section(said, "", 0))
    assert isinstance(found, Layers)
    return found


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("question", [StorageLayers, MountedFilesystems])
def test_the_script_here(shell: str, question: type[StorageLayers | MountedFilesystems]) -> None:
    done = subprocess.run([shell, "-c", question.script_one()], capture_output=True, text=True, check=True)
    answer = question.parse_one(Section(done.stdout, done.stderr, 0))
    if isinstance(answer, Layers):
        assert all(f"/dev/{node}" == layer.path for node, layer in answer.devices.items() if layer.kind == "disk")
    else:
        assert isinstance(answer, tuple)


def test_what_each_layer_is() -> None:
    found = layers().devices
    assert found["dm-0"].about == LogicalVolume("vg", "data", 205520896, "linear", frozenset({"public"}), 4 * MIB, 0)
    assert found["dm-1"].about == Encryption("LUKS2", 16 * MIB, wants_key=True, key_file="/root/key")
    array = found["md0"].about
    assert array == Array("raid1", "1.2", 299 * MIB, {"loop4": (MIB, 299 * MIB), "loop5": (MIB, 299 * MIB)}, busy=True)
    assert found["loop1p1"].holds == PhysicalVolume("vg", 415236096, 209715200, MIB)
    assert (found["loop1p1"].partition, found["loop1p1"].start, found["loop1p1"].parents) == (1, MIB, ("loop1",))
    assert (found["loop1"].file_size, found["vdb"].parents) == (1024 * MIB, ())


def test_what_is_beneath_a_layer() -> None:
    found = layers()
    top = found.find("/dev/dm-0")
    assert top is not None
    assert top is found.find("/dev/mapper/vg-data")
    assert [layer.node for layer in found.below(top)] == ["dm-0", "loop1p1", "loop1"]


def test_a_table_of_dos_with_logical_partitions() -> None:
    table = layers().devices["loop8"].table
    assert table is not None
    first, extended, five, six = table.entries
    assert (table.label, table.extended, extended.end) == ("dos", extended, 200 * MIB)
    assert [table.is_logical(entry) for entry in table.entries] == [False, False, True, True]
    assert (table.beside(six), table.beside(first)) == ([five, six], [first, extended])


@pytest.mark.parametrize("said", ["", "device\tvdb\t/dev/vdb\tdisk", "device\tvdb\t/dev/vdb\tdisk\tmany\t\n"])
def test_an_answer_that_makes_no_sense(said: str) -> None:
    try:
        assert StorageLayers.parse_one(Section(said, "", 0)) is Missing.UNKNOWN
    except ValueError:
        return  # which counts as unknown


def test_how_much_is_not_used() -> None:
    filesystem = FilesystemExtent("ext4", (Extent("/dev/mapper/vg-data", 105520896),), 8 * MIB)
    room = Room(layers(), (filesystem,))
    assert room.unused("/dev/loop1") == 624 * MIB
    assert room.unused("/dev/loop1p1") == 209715200 + 3 * MIB
    assert room.unused("/dev/mapper/vg-data") == 100000000
    assert room.unused("/dev/loop2p1") == 519430400 - 16 * MIB - 402653184
    assert room.unused("/dev/loop4") == 400 * MIB
    assert room.unused("/dev/loop8") == 103 * MIB
    assert room.unused("/dev/vdb") == room.unused("/dev/none") == 0


def test_the_file_systems_that_are_mounted() -> None:
    said = (
        "size\text4\trw\t134217728\t1 1073741824 /dev/dm-0\nabsent\nsize\text4\trw\nsize\tbtrfs\tro\t16777216\t1 4 /dev/vdb\t2 8 /dev/vdc\n"
    )
    first, second = MountedFilesystems.parse_one(Section(said, "", 0))  # type: ignore[misc]
    assert first == FilesystemExtent("ext4", (Extent("/dev/dm-0", 1073741824),), 134217728)
    assert second == FilesystemExtent("btrfs", (Extent("/dev/vdb", 4, 1), Extent("/dev/vdc", 8, 2)), 16777216, read_only=True)
