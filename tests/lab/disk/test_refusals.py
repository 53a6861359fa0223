"""Which device, and which place: what cannot be meant is refused with one sentence, and nothing changes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.lab.disk import Disk
from novaops.lab.vm import VirtualMachine
from tests.lab.conftest import Novaops
from tests.support.looking import look, plans, refusal, written

pytestmark = pytest.mark.minutes

PREPARE = r"""
set -ex
exec </dev/null 3>&2 >/dev/null
nvme=/dev/nvme0n1 scsi=/dev/sda
for disk in $nvme $scsi /dev/vdc; do udevadm settle --exit-if-exists=$disk; done
printf 'size=200M\n%.0s' 1 2 3 4 | sfdisk -q -X gpt $nvme; udevadm settle
mkfs.ext4 -q ${nvme}p1; dd if=${nvme}p1 of=${nvme}p2 bs=1M
pvcreate -q ${nvme}p3; vgcreate -q pool ${nvme}p3; lvcreate -q -y -L 40M -n blank pool; lvcreate -q -y -L 40M -n swap pool
mkswap /dev/pool/swap; swapon /dev/pool/swap
truncate -s 64M /root/image; losetup /dev/loop0 /root/image
ln -s $scsi /root/my-disk; mknod /root/not-a-disk c 1 3
mkfs.ext4 -q -U 11111111-2222-4333-8444-555555555555 ${nvme}p4; blockdev --setro ${nvme}p4
mkdir -p /mnt/filled /mnt/occupied /mnt/parent/beneath /mnt/real
touch /mnt/file /mnt/filled/file
mount -t tmpfs tmpfs /mnt/occupied; mount -t tmpfs tmpfs /mnt/parent/beneath
ln -s real /mnt/link; ln -s nowhere /mnt/dangling
udevadm settle; sync
"""


BLANK = {
    "/dev/vdb": "/dev/vdb",
    "data": "/dev/vdb",
    "virtio-data": "/dev/vdb",
    "/dev/disk/by-id/virtio-data": "/dev/vdb",
    "vdb": "/dev/vdb",
    "small.1": "/dev/sda",
    "/root/my-disk": "/dev/sda",
    "/dev/pool/blank": "/dev/mapper/pool-blank",
    "/dev/mapper/pool-blank": "/dev/mapper/pool-blank",
    "dm-name-pool-blank": "/dev/mapper/pool-blank",
    "/dev/loop0": "/dev/loop0",
}
"""By what is asked for, the device that is meant."""

REFUSED_PLACES = {
    "/mnt/file": "/mnt/file is not a directory",
    "/mnt/file/below": "/mnt/file is not a directory",
    "/mnt/filled": "/mnt/filled is not empty",
    "/mnt/occupied": r"tmpfs \(tmpfs\) is mounted at /mnt/occupied already",
    "/mnt/parent": "/mnt/parent",
    "/proc/data": "/proc/data is inside /proc, which the kernel makes",
    "/sys/data": "/sys/data is inside /sys, which the kernel makes",
    "/etc": "/etc is not empty",
}


def _refused_devices(root_uuid: str, twin_uuid: str, root_names: list[str]) -> dict[str, str]:
    """By what is asked for, a pattern of the refusal."""
    host_disk = r"/dev/vda \(8 GiB\) is in use: it is mounted at /, the host runs from it"
    return {
        "/dev/nope": "there is no /dev/nope on this host",
        "/etc/hostname": "/etc/hostname is a regular file, not a disk",
        "/etc": "/etc is a directory, not a disk",
        "/root/not-a-disk": "/root/not-a-disk is a character special file, not a disk",
        "UUID=00000000-0000-4000-8000-000000000000": "no disk on this host is UUID=00000000-0000-4000-8000-000000000000",
        "no-such-serial": "no disk on this host is no-such-serial",
        f"UUID={twin_uuid}": rf"UUID={twin_uuid} is the name of 2 devices: /dev/nvme0n1p1 .*, /dev/nvme0n1p2 ",
        **dict.fromkeys(["/dev/vda", f"UUID={root_uuid}", *root_names], host_disk),
        "/dev/nvme0n1": r"/dev/nvme0n1 \(serial fast, 1 GiB\) is in use: /dev/mapper/pool-blank \(lvm\) is built on it",
        "fast": r"/dev/nvme0n1 \(serial fast, 1 GiB\) is in use",
        "/dev/pool/swap": r"/dev/mapper/pool-swap \(40 MiB\) is in use: it is swap space in use",
        "/dev/vdc": r"/dev/vdc \(serial locked, 64 MiB\) is read-only: no file system can be made on it",
        "/dev/nvme0n1p4": r"/dev/nvme0n1p4 \(.*\) is read-only",
    }


@pytest.mark.long
def test_devices_and_places(vm: VirtualMachine, novaops: Novaops, inventory: Callable[[str, str], Path]) -> None:
    vm.attach(Disk("1G", serial="fast", bus="nvme"))
    vm.attach(Disk("1G", serial="small.1", bus="scsi"))
    vm.attach(Disk("64M", serial="locked", read_only=True))
    vm.run(PREPARE)
    root_names = vm.run("find /dev/disk -lname '*/vda'").split()
    assert len(root_names) > 2
    root_uuid = vm.run("findmnt -n -o UUID /").strip()
    twin_uuid = vm.run("blkid -p -s UUID -o value /dev/nvme0n1p1").strip()

    refused_devices = _refused_devices(root_uuid, twin_uuid, root_names)
    before = vm.run("cat /etc/fstab /proc/self/mountinfo; ls -AR /mnt"), written(vm)
    entries = [
        *({"device": device, "path": "/mnt/x"} for device in (*refused_devices, *BLANK)),
        *({"device": "/dev/vdb", "path": path} for path in REFUSED_PLACES),
        {"device": "UUID=11111111-2222-4333-8444-555555555555", "path": "/mnt/x", "options": "ro"},
        {"device": "/dev/vdb", "path": "/mnt/x", "options": "ro"},
        {"device": "/dev/vdb", "path": "/mnt/link"},
        {"device": "/dev/vdb", "path": "/mnt/dangling"},
    ]
    looked = iter(plans(look(vm, entries), entries))
    for wanted, sentence in refused_devices.items():
        assert re.match(sentence, refusal(next(looked)).what), wanted
    for wanted, device in BLANK.items():
        plan = next(looked)
        assert not plan.refusals, (wanted, plan.refusals)
        assert str(plan.steps[0].changes[0].after).startswith(f"{device} ("), wanted
    for path, sentence in REFUSED_PLACES.items():
        assert re.match(sentence, refusal(next(looked)).what), path
    read_only, useless, *linked = looked
    assert [step.resource for step in read_only.steps] == ["mount:/mnt/x"]
    assert "a read-only mount of a new file system is of no use" in refusal(useless).what
    for plan, link, real in zip(linked, ("/mnt/link", "/mnt/dangling"), ("/mnt/real", "/mnt/nowhere"), strict=True):
        (line,) = [change.after or "" for change in plan.steps[-1].changes if change.field == "fstab"]
        assert line.split()[1] == real
        assert f"{link} leads to {real}: that is what fstab names" in [note.text for note in plan.notes]

    for words in (["--device", "/dev/vda", "--path", "/mnt/x"], ["--device", "/dev/vdb", "--path", "/mnt/filled"]):
        refused = novaops("disk", "mount", "machine", *words)
        assert refused.code == 4, refused.text
    assert (vm.run("cat /etc/fstab /proc/self/mountinfo; ls -AR /mnt"), written(vm)) == before

    _all_are_taken(vm, novaops, inventory)


def _all_are_taken(vm: VirtualMachine, novaops: Novaops, inventory: Callable[[str, str], Path]) -> None:
    """By an inventory, whatever they are called there."""
    taken = {"/dev/pool/blank": "/mnt/volume", "/dev/loop0": "/mnt/loop", "/root/my-disk": "/mnt/scsi"}
    disks = [{"device": device, "path": path} for device, path in taken.items()]
    disks.append({"device": "/dev/nvme0n1p4", "path": "/mnt/old", "options": "ro"})
    file = inventory("machine", f"disk: {json.dumps(disks)}")
    applied = novaops("apply", inventory=file)
    assert applied.code == 0, applied.text
    assert novaops("plan", inventory=file).code == 0
    sources = vm.run("for at in volume loop scsi old; do findmnt -n -o SOURCE /mnt/$at; done").split()
    assert sources == ["/dev/mapper/pool-blank", "/dev/loop0", "/dev/sda", "/dev/nvme0n1p4"]
    assert "ro" in vm.run("findmnt -n -o OPTIONS /mnt/old").strip().split(",")
