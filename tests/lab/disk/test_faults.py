"""What goes wrong in the middle: between the look and the deed, in mkfs, in mount, in the power supply of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from novaops.lab.disk import Disk
from novaops.lab.vm import VirtualMachine
from tests.lab.conftest import Novaops
from tests.support.looking import carried_out, resources, written

pytestmark = pytest.mark.minutes

PROBE_UUID = "blkid -p -s UUID -o value "


BLANK_AGAIN = """
umount /dev/vdb; swapoff /dev/vdb; wipefs -q -a /dev/vdb; blockdev --rereadpt /dev/vdb
for end in 0 20479; do [ ! -b /dev/vdb ] || dd if=/dev/zero of=/dev/vdb bs=1M seek=$end count=1 conv=notrunc; done
udevadm settle
"""

DAMAGE = r"""
exec </dev/null 3>&2 >/dev/null
printf 'size=400M\nsize=400M\nsize=400M\n' | sfdisk -q -X gpt /dev/vdb; udevadm settle
set -ex; cd /dev
mkfs.ext4 -q -b 1024 vdb1; mkfs.ext4 -q vdb2; mkfs.xfs -q vdb3
# Inodes overwritten: beyond what fsck mends by itself. A wrong count of free blocks: well within.
mount vdb1 /mnt; mkdir /mnt/a /mnt/a/b; touch /mnt/a/b/c; umount /mnt
inodes=$(dumpe2fs vdb1 2>/dev/null | awk '/Inode table at/ { split($4, at, "-"); print at[1]; exit }')
dd if=/dev/urandom of=vdb1 bs=1k count=32 conv=notrunc seek=$inodes
debugfs -w -R 'set_super_value free_blocks_count 1' vdb2
# As the kernel leaves it once it has met an error: what is marked clean, fsck takes for clean.
for each in vdb1 vdb2; do debugfs -w -R 'set_super_value state 2' $each; done
# A log that was not written back: only mounting replays it.
mount vdb3 /mnt; echo precious >/mnt/file; sync; touch /mnt/more; xfs_io -x -c 'shutdown -f' /mnt; umount /mnt; sync
"""


@contextmanager
def instead_of(host: VirtualMachine, tool: str, script: str) -> Iterator[None]:
    """A script in the place of a tool; "$real" in it is the true one."""
    real = host.run(f"command -v {tool}").strip()
    host.run(f"cat >/usr/local/sbin/{tool} && chmod +x /usr/local/sbin/{tool}", stdin=f"#!/bin/sh\nreal={real}\n{script}\n")
    yield
    host.run(f"rm /usr/local/sbin/{tool}")


@pytest.mark.long
def test_a_disk_that_changes_after_it_was_looked_at_is_not_formatted(vm: VirtualMachine) -> None:
    pci = vm.run("readlink -f /sys/block/vdb/device/..").strip()
    cases = {
        "dd if=/dev/urandom of=/dev/vdb bs=1k seek=900 count=1 conv=notrunc": "/dev/vdb does not begin with zeros any more",
        "dd if=/dev/urandom of=/dev/vdb bs=1k seek=20971000 count=1 conv=notrunc": "/dev/vdb does not end with zeros any more",
        "mkfs.ext4 -q -E nodiscard /dev/vdb 100M": "/dev/vdb has a signature on it now",
        "echo , | sfdisk -q -X gpt /dev/vdb; udevadm settle": "/dev/vdb has partitions or volumes on it now",
        "mkswap /dev/vdb; swapon /dev/vdb": "/dev/vdb is swap space now",
        "mkfs.ext4 -q /dev/vdb 100M; mount /dev/vdb /mnt": "/dev/vdb is mounted now",
        f"echo 1 >{pci}/remove; udevadm settle": "/dev/vdb is no block device any more",
    }
    before = vm.run("cat /etc/fstab; ls -A /mnt")
    for meddling, said in cases.items():
        counts: dict[str, int] = {}

        def meddle(meddling: str = meddling, counts: dict[str, int] = counts) -> None:
            vm.run(f"{{ {meddling}; }} >/dev/null 2>&1; sync")
            counts.update(written(vm))

        outcome = carried_out(vm, resources({"device": "/dev/vdb", "path": "/mnt/data"}), meddle)
        assert (outcome.end, outcome.said.splitlines()[-1:]) == ("refused", [said]), meddling
        assert written(vm) == counts, meddling
        vm.run(BLANK_AGAIN)
        assert vm.run("cat /etc/fstab; ls -A /mnt") == before


@pytest.mark.long
def test_a_disk_that_was_exchanged_is_not_wiped(vm: VirtualMachine) -> None:
    node = vm.attach(Disk("64M", serial="first"))
    vm.run("udevadm settle --exit-if-exists=/dev/vdc; mkfs.ext4 -q /dev/vdc")

    def exchange() -> None:
        vm.detach(node)
        vm.run("udevadm settle")
        vm.attach(Disk("64M", serial="second"))
        vm.run("udevadm settle --exit-if-exists=/dev/vdc; mkfs.ext4 -q -L precious /dev/vdc")

    outcome = carried_out(vm, resources({"device": "/dev/vdc", "path": "/mnt/data", "filesystem": "btrfs", "wipe": "first"}), exchange)
    assert (outcome.end, outcome.said.splitlines()[-1:]) == ("refused", ["/dev/vdc is another disk than when it was looked at"])
    assert vm.run("blkid -p -s LABEL -o value /dev/vdc") == "precious\n"


@pytest.mark.long
def test_auto_and_a_run_that_is_killed_after_mkfs(vm: VirtualMachine, novaops: Novaops) -> None:
    words = ("disk", "mount", "machine", "--path", "/mnt/data")
    pci = vm.run("readlink -f /sys/block/vdb/device/..").strip()
    vm.run(f"echo 1 >{pci}/remove; udevadm settle")
    none = novaops(*words)
    assert (none.code, "there is no blank disk on this host" in none.out) == (4, True), none.text
    vm.run("echo 1 >/sys/bus/pci/rescan; udevadm settle --exit-if-exists=/dev/vdb")

    node = vm.attach(Disk("1G", serial="other"))
    vm.run("udevadm settle --exit-if-exists=/dev/vdc")
    two = novaops(*words)
    both = "there are 2 blank disks: /dev/vdb (serial data, 20 GiB), /dev/vdc (serial other, 1 GiB)"
    assert (two.code, both in two.out) == (4, True), two.text
    assert "--device /dev/disk/by-id/virtio-data or --device /dev/disk/by-id/virtio-other" in two.out
    vm.run("mkswap /dev/vdc")

    vm.run("echo UUID=11111111-2222-4333-8444-555555555555 /mnt/data ext4 nofail 0 2 >/etc/fstab")
    missing = novaops(*words)
    gone = "/etc/fstab has UUID=11111111-2222-4333-8444-555555555555 for /mnt/data, and no disk on this host is that"
    assert (missing.code, gone in missing.out) == (4, True), missing.text
    vm.run(": >/etc/fstab")

    with instead_of(vm, "mkfs.ext4", '"$real" "$@" && kill -9 $PPID'):
        killed = novaops(*words)
    assert killed.code == 1, killed.text
    uuid = vm.run(f"{PROBE_UUID} /dev/vdb")
    assert vm.run("cat /etc/fstab; findmnt -n /mnt/data || true; ls /mnt") == ""
    again = novaops(*words)
    assert (again.code, "has ext4 already: kept as it is, nothing is formatted" in again.out) == (0, True), again.text
    assert vm.run("findmnt -n -o UUID /mnt/data") == uuid
    assert novaops(*words).code == 0
    vm.detach(node)


@pytest.mark.long
def test_mkfs_fails_and_mount_fails(vm: VirtualMachine, novaops: Novaops) -> None:
    vm.attach(Disk("1M", serial="tiny"))
    vm.run("udevadm settle --exit-if-exists=/dev/vdc; echo '# mine' >/etc/fstab")
    before = vm.run("cat /etc/fstab; ls -A /mnt; cat /proc/self/mountinfo")
    tiny = novaops("disk", "mount", "machine", "--device", "tiny", "--path", "/mnt/data", "--filesystem", "xfs", "--json")
    assert (tiny.code, tiny.host["status"]) == (1, "failed")
    assert "size" in tiny.host["error"]["what"] + tiny.host["error"]["why"], tiny.text
    assert vm.run("cat /etc/fstab; ls -A /mnt; cat /proc/self/mountinfo") == before

    unknown = novaops("disk", "mount", "machine", "--device", "data", "--path", "/mnt/deep/data", "--options", "nonsense=1", "--json")
    assert (unknown.code, unknown.host["status"]) == (1, "failed")
    assert "/mnt/deep/data: wrong fs type, bad option" in unknown.host["error"]["what"] + unknown.host["error"]["why"], unknown.text
    assert vm.run("cat /etc/fstab; ls -A /mnt; cat /proc/self/mountinfo") == before
    assert vm.run("wipefs -n -O TYPE --noheadings /dev/vdb") == "ext4\n"
    assert novaops("disk", "mount", "machine", "--device", "data", "--path", "/mnt/deep/data").code == 0


@pytest.mark.long
def test_what_is_on_the_disk_is_checked_before_it_is_trusted(vm: VirtualMachine, novaops: Novaops) -> None:
    vm.run(DAMAGE)
    words = ("disk", "mount", "machine", "--json", "--path")
    broken = novaops(*words, "/mnt/broken", "--device", "/dev/vdb1")
    assert (broken.code, broken.host["status"]) == (1, "failed")
    assert "ext4 on /dev/vdb1 has errors that cannot be mended safely" in broken.host["error"]["what"]
    assert vm.run("cat /etc/fstab; ls -A /mnt; wipefs -n -O TYPE --noheadings /dev/vdb1") == "ext4\n"
    assert novaops(*words, "/mnt/mended", "--device", "/dev/vdb2").code == 0
    dirty = novaops(*words, "/mnt/dirty", "--device", "/dev/vdb3", "--filesystem", "xfs")
    assert dirty.code == 0, dirty.text
    assert vm.run("cat /mnt/dirty/file") == "precious\n"


@pytest.mark.long
def test_a_missing_tool_is_installed_first(vm: VirtualMachine, novaops: Novaops) -> None:
    """Of btrfs: the package of xfs brings Python with it, and that takes minutes here."""
    vm.run("dpkg --purge --force-depends btrfs-progs")
    words = ("disk", "mount", "machine", "--path", "/mnt/data", "--filesystem", "btrfs")
    mounted = novaops(*words)
    assert mounted.code == 0, mounted.text
    assert vm.run("findmnt -n -o FSTYPE /mnt/data") == "btrfs\n"
    assert novaops(*words).code == 0
