"""After disks were made larger: every layer between the disk and the file system follows, or is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.lab.vm import VirtualMachine
from tests.lab.conftest import Novaops
from tests.lab.disk.test_growth import GIB, growing, sizes

pytestmark = pytest.mark.minutes

PREPARE = """
set -ex
exec </dev/null 3>&2 >/dev/null
cd /root; for n in 1 2 3 4 5 6; do truncate -s 200M $n.img; done
echo size=4G | sfdisk -q -X gpt /dev/vdb
printf 'size=20M\\ntype=5\\nsize=50M\\n,\\n' | sfdisk -q -X dos 1.img
printf 'size=50M\\nsize=50M\\n' | sfdisk -q -X gpt 6.img
for n in 1 2 3 4 5 6; do losetup -P /dev/loop$n $n.img; done
udevadm settle
pvcreate -q /dev/vdb1; vgcreate -q vg /dev/vdb1; lvcreate -q -n data -l 100%FREE vg
printf secret >key; chmod 600 key
for n in 2 5; do cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/loop$n key; done
cryptsetup open --key-file key /dev/loop2 safe; cryptsetup open --key-file key /dev/loop5 closed
echo 'safe /dev/loop2 /root/key luks' >/etc/crypttab
mdadm --create /dev/md0 --run --quiet --assume-clean -l1 -n2 /dev/loop3 /dev/loop4
for device in md0 mapper/vg-data loop1p6 mapper/safe mapper/closed loop6p1; do mkfs.ext4 -q /dev/$device; done
for pair in lvm:mapper/vg-data logical:loop1p6 luks:mapper/safe raid:md0 closed:mapper/closed front:loop6p1; do
  mkdir /mnt/${pair%%:*}; mount /dev/${pair#*:} /mnt/${pair%%:*}; echo ${pair%%:*} >/mnt/${pair%%:*}/file
done
udevadm settle; sync
"""

LARGER = "cd /root; for n in 1 2 3 4 5 6; do truncate -s 400M $n.img; [ $n = 1 ] || losetup -c /dev/loop$n; done"

SLOW = 600
"""Seconds: an emulated VM that a rebuild of its RAID keeps busy."""

GROWN = {
    "lvm": ["partition", "physical volume", "logical volume", "filesystem"],
    "logical": ["loop device", "extended partition", "partition", "filesystem"],
    "luks": ["encryption", "filesystem"],
    "raid": ["RAID", "filesystem"],
}


@pytest.mark.long
def test_every_layer_follows_its_disk(vm: VirtualMachine, novaops: Novaops, inventory: Callable[[str, str], Path]) -> None:
    vm.run(PREPARE)
    disks = [{"path": f"/mnt/{name}"} for name in GROWN]
    file = inventory("machine", f"disk: {json.dumps([*disks, {'path': '/mnt/gone', 'state': 'absent'}])}")
    before = sizes(vm)
    full = novaops("disk", "grow", "machine", "--json", inventory=file, timeout=SLOW)
    # The partition of vdb is not as large as the disk yet, and is grown at once; nothing else has room.
    assert (full.code, growing(full)) == (0, {"lvm": GROWN["lvm"]}), full.text
    assert "left as it is: its state is absent" in full.text

    vm.grow("disk1", "24G")
    vm.run(LARGER)
    said = {disk["device"]: disk for disk in novaops("disk", "ls", "machine", "--json").host["disks"]}
    assert round(said["/dev/vdb"]["unused"] / GIB) == 4
    planned = novaops("disk", "grow", "machine", "--check", "--json", inventory=file, timeout=SLOW)
    assert (planned.code, growing(planned)) == (3, GROWN), planned.text
    done = novaops("disk", "grow", "machine", "--json", inventory=file, timeout=SLOW)
    assert (done.code, growing(done)) == (0, GROWN), done.text
    again = novaops("disk", "grow", "machine", "--json", inventory=file, timeout=SLOW)
    assert (again.code, again.host["status"], growing(again)) == (0, "unchanged", {}), again.text
    added = {name: round(size - before[name], 1) for name, size in sizes(vm).items() if size - before[name] > 0.01}
    assert added["lvm"] > 19.3, added
    assert {name: added[name] for name in ("logical", "luks", "raid")} == {"logical": 0.2, "luks": 0.2, "raid": 0.2}
    assert vm.run("cd /mnt; for each in *; do [ $each = $(cat $each/file) ] || echo $each; done") == ""
    assert "No errors" in vm.run("LC_ALL=C sfdisk -V /dev/loop1")

    for name, layer in {"closed": "the encryption /dev/mapper/closed wants its passphrase", "front": "/dev/loop6p2 is behind it"}.items():
        refused = novaops("disk", "grow", "machine", "--path", f"/mnt/{name}")
        assert (refused.code, layer in refused.out) == (4, True), refused.text
    assert vm.run("LC_ALL=C cryptsetup resize closed </dev/null && echo grown without it || echo refused").strip() == "refused"
