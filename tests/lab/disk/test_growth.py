"""After the provider made a disk larger: partition and file system follow while mounted, and only once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.lab.disk import Disk
from novaops.lab.vm import VirtualMachine
from tests.lab.conftest import Done, Novaops

pytestmark = pytest.mark.minutes

GIB = 1024**3

PREPARE = """
set -ex
exec </dev/null 3>&2 >/dev/null
for disk in sda vdc vdd; do udevadm settle --exit-if-exists=/dev/$disk; done
printf 'size=1G\\n,\\n' | sfdisk -q -X gpt /dev/vdb; echo , | sfdisk -q -X dos /dev/vdc
truncate -s 400M /root/image; losetup /dev/loop0 /root/image
udevadm settle
for device in vdb1 vdb2 sda; do mkfs.ext4 -q /dev/$device; done
mkfs.xfs -q /dev/vdd; mkfs.btrfs -q /dev/vdc1; mkfs.btrfs -q /dev/loop0
for pair in first:vdb1 last:vdb2 xfs:vdd scsi:sda dos:vdc1 loop:loop0; do
  mkdir /mnt/${pair%:*}; mount /dev/${pair#*:} /mnt/${pair%:*}; echo ${pair%:*} >/mnt/${pair%:*}/file
done
udevadm settle; sync
"""


def sizes(host: VirtualMachine) -> dict[str, float]:
    """GiB of each file system below /mnt."""
    lines = host.run("df --output=target,size -B1 /mnt/*/ | tail -n +2").splitlines()
    return {line.split()[0].removeprefix("/mnt/"): int(line.split()[1]) / GIB for line in lines}


@pytest.mark.long
def test_file_systems_follow_their_disks(vm: VirtualMachine, novaops: Novaops, inventory: Callable[[str, str], Path]) -> None:
    # No nvme: qemu cannot resize it.
    attached = [vm.attach(Disk("1G", serial="scsi", bus="scsi")), vm.attach(Disk("1G")), vm.attach(Disk("1G"))]
    vm.run(PREPARE)
    kinds = {"first": "vdb1", "last": "vdb2", "xfs": "vdd", "scsi": "sda", "dos": "vdc1", "loop": "loop0"}
    filesystems = {"xfs": "xfs", "dos": "btrfs", "loop": "btrfs"}
    disks = [
        {"path": f"/mnt/{name}", "device": f"/dev/{device}", "filesystem": filesystems.get(name, "ext4"), "grow": True}
        for name, device in kinds.items()
    ]
    file = inventory("machine", f"disk: {json.dumps(disks)}")
    before = sizes(vm)
    assert growing(novaops("apply", "--json", inventory=file)) == {}
    assert sizes(vm) == before

    vm.grow("disk1", "24G")
    for node in attached:
        vm.grow(node, "3G")
    vm.run("truncate -s 2G /root/image; losetup -c /dev/loop0")
    grown = {"last": ["partition", "filesystem"], "xfs": ["filesystem"], "dos": ["partition", "filesystem"], "loop": ["filesystem"]}
    one = novaops("disk", "grow", "machine", "--path", "/mnt/scsi", "--json")
    assert (one.code, growing(one)) == (0, {"scsi": ["filesystem"]}), one.text
    assert growing(novaops("plan", "--json", inventory=file)) == grown
    assert growing(novaops("apply", "--json", inventory=file)) == grown
    assert novaops("plan", inventory=file).code == 0
    added = {name: round(size - before[name], 1) for name, size in sizes(vm).items()}
    assert added == {"first": 0, "last": 3.9, "xfs": 2, "scsi": 2, "loop": 1.6, "dos": 2}
    assert vm.run("cd /mnt; for each in *; do [ $each = $(cat $each/file) ] || echo $each; done") == ""
    assert "No problems" in vm.run("sgdisk --verify /dev/vdb")

    nothing = novaops("disk", "grow", "machine", "--path", "/mnt/nowhere")
    assert (nothing.code, "nothing is mounted at /mnt/nowhere" in nothing.out) == (4, True), nothing.text


def growing(done: Done) -> dict[str, list[str]]:
    """What of each mount grows, or has grown."""
    assert done.host["error"] is None, done.text
    steps = [step for step in done.host["steps"] if step["resource"].startswith("growth:") and step["changes"]]
    return {step["resource"].removeprefix("growth:/mnt/"): [change["field"] for change in step["changes"]] for step in steps}
