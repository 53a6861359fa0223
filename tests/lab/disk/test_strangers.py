"""Hosts as strangers have them: their fstab files, their names for a disk, their options, and disks that are mounted when they are used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from novaops.lab.vm import VirtualMachine
from tests.lab.conftest import Novaops

CORPUS = sorted((Path(__file__).parents[2] / "cases" / "fstab").glob("f*"))
ADDED = "nofail,x-systemd.device-timeout=15s"

LOOP = """\
set -e
[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
truncate -s 64M /root/image
loop=$(losetup -f); [ -e "$loop" ] || mknod "$loop" b 7 "${loop#/dev/loop}"
losetup "$loop" /root/image; mkfs.ext4 -q "$loop"; echo "$loop"
"""


def fstab(host: LabHost) -> str:
    return host.run("base64 /etc/fstab")


@pytest.mark.long
def test_every_fstab_of_the_corpus(container: LabHost, novaops: Novaops) -> None:
    """One line more, no other byte changed, and the second run changes nothing."""
    loop = container.run(LOOP).split()[-1]
    try:
        uuid = container.run(f"blkid -p -s UUID -o value {loop}").strip()
        words = ("disk", "mount", container.name, "--device", loop, "--path", "/mnt/data")
        for file in CORPUS:
            text = file.read_bytes()
            container.run("cat >/etc/fstab", stdin=text.decode())
            first = novaops(*words)
            assert first.code == 0, (file.name, first.text)
            line = f"UUID={uuid} /mnt/data ext4 defaults,{ADDED} 0 2\n"
            kept = text.decode() + ("" if text.endswith(b"\n") else "\n")
            assert container.run("cat /etc/fstab") == kept + line, file.name
            second = novaops(*words, "--json").host
            assert (second["status"], second["execs"]) == ("unchanged", 1), file.name
            container.run("umount /mnt/data")
    finally:
        container.run(f"! mountpoint -q /mnt/data || umount /mnt/data; losetup -d {loop}")
