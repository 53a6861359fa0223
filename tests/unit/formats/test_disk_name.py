"""The names of a disk as the clouds' consoles write them."""

from __future__ import annotations

import pytest

from novaops.formats import disk_name


@pytest.mark.parametrize(
    ("console", "serial"),
    [
        ("vol-0a1b2c3d4e5f60718", "vol0a1b2c3d4e5f60718"),
        ("vol0a1b2c3d4e5f60718", "vol0a1b2c3d4e5f60718"),
        ("d-bp1a2b3c4d5e6f7g8h9i", "bp1a2b3c4d5e6f7g8h9i"),
        ("d-bp1a2b3c4d5e6f7g8h9ijk", "bp1a2b3c4d5e6f7g8h9i"),
        ("8a1f0c3e-1b2c-4d5e-8f90-a1b2c3d4e5f6", "8a1f0c3e-1b2c-4d5e-8"),
        ("disk-abcdefgh", "disk-abcdefgh"),
    ],
)
def test_serials(console: str, serial: str) -> None:
    assert serial in disk_name.serials(console)


@pytest.mark.parametrize(
    ("console", "link"),
    [
        ("data-1", "/dev/disk/by-id/google-data-1"),
        ("google-data-1", "/dev/disk/by-id/google-data-1"),
        ("lun0", "/dev/disk/azure/scsi1/lun0"),
        ("scsi1/lun0", "/dev/disk/azure/scsi1/lun0"),
        ("azure/scsi1/lun0", "/dev/disk/azure/scsi1/lun0"),
        ("lun3", "/dev/disk/azure/data/by-lun/3"),
        ("vol-0abc", "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0abc"),
        ("oraclevdb", "/dev/oracleoci/oraclevdb"),
        ("volume-nyc1-01", "/dev/disk/by-id/scsi-0DO_Volume_volume-nyc1-01"),
        ("12345678", "/dev/disk/by-id/scsi-0HC_Volume_12345678"),
    ],
)
def test_links(console: str, link: str) -> None:
    assert link in disk_name.links(console)


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("vol-0a1b2c3d4e5f60719", ("vol0a1b2c3d4e5f60718",)),
        ("data-1", ("/dev/disk/by-id/google-data-1",)),
        ("VOL0A1B2C3D4E5F60718", ("vol0a1b2c3d4e5f60718",)),
        ("nothing-like-it", ()),
        ("a", ()),
    ],
)
def test_what_was_probably_meant(wanted: str, meant: tuple[str, ...]) -> None:
    assert disk_name.similar(wanted, ["vol0a1b2c3d4e5f60718", "/dev/disk/by-id/google-data-1"]) == meant
