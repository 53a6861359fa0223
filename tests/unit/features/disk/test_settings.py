"""Two entries that mean one disk contradict each other, whatever each calls it."""

from __future__ import annotations

import pytest

from novaops.features.disk.settings import Disk, distinct

UUID = "10830e11-829d-5481-af2f-ce3467e1847f"


def entries(one: str, other: str) -> list[Disk]:
    return [Disk(path="/a", device=one), Disk(path="/b", device=other)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ID=virtio-DATA", "virtio-DATA"),
        ("id='virtio-DATA'", "/dev/disk/by-id/virtio-DATA"),
        ("DATA", "virtio-DATA"),
        ("vol-0abc", "vol0abc"),
        ("vol-0abc", "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0abc"),
        ("d-bp1abcdef", "bp1abcdef"),
        ("lun0", "/dev/disk/azure/scsi1/lun0"),
        ("scsi1/lun0", "lun0"),
        (UUID, UUID[:20]),
        ("vdb", "/dev/vdb"),
        ("oraclevdb", "/dev/oracleoci/oraclevdb"),
        (f"UUID={UUID}", f'uuid="{UUID.upper()}"'),
        ("LABEL=x", "/dev/disk/by-label/x"),
        ("LABEL=my disk", "/dev/disk/by-label/my\\x20disk"),
        ("/dev/vg-a/data", "/dev/mapper/vg--a-data"),
    ],
)
def test_one_disk_by_two_names(one: str, other: str) -> None:
    for pair in ((one, other), (other, one)):
        disks = entries(*pair)
        with pytest.raises(ValueError, match="/a and /b both have the device ") as error:
            distinct(disks)
        assert str(error.value).endswith(f" {disks[1].device}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("auto", "auto"), ("vol-0abc", "vol0abd"), ("lun0", "lun1"), ("vdb", "/dev/vdc"), ("LABEL=x", "LABEL=X"), ("ID=a", "LABEL=a")),
        *(("DATA", "DATA2"), ("data-1", "data-2"), (f"UUID={UUID}", f"PARTUUID={UUID}"), ("LABEL=DATA", "DATA")),
    ],
)
def test_two_disks(one: str, other: str) -> None:
    assert len(distinct(entries(one, other))) == len((one, other))


def test_a_label_that_one_entry_gives_and_another_one_means() -> None:
    disks = [Disk(path="/a", device="LABEL=data"), Disk(path="/b", device="/dev/vdb", label="data")]
    with pytest.raises(ValueError, match="/a and /b both have the label data"):
        distinct(disks)
    distinct([Disk(path="/a", device="LABEL=data", label="data"), Disk(path="/b", device="/dev/vdb", label="more")])
