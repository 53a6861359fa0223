"""The line in fstab, the mount, and what other people wrote: on partitions of one disk, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.lab.disk import Disk
from novaops.lab.vm import VirtualMachine
from novaops.shell import UNTIL_BOOTED
from tests.lab.conftest import Novaops

pytestmark = pytest.mark.minutes

Inventory = Callable[[str, str], Path]

FOREIGN = r"""# a comment at the top
/dev/spare1 none swap sw,nofail 0 0
/dev/spare2	none	swap	sw,nofail	0	0
tmpfs /mnt/carriage tmpfs nodev,noexec 0 0%r
this line is broken
# /dev/vdb1 /mnt/data ext4 defaults 0 2

  tmpfs   /mnt/blanks   tmpfs   noauto,nofail
tmpfs /mnt/last tmpfs noauto,nofail 0 0"""


def partition(host: VirtualMachine, count: int) -> None:
    """Partitions of 400 MiB on /dev/vdb: enough for the smallest xfs."""
    host.run(f"for n in $(seq {count}); do echo size=400M; done | sfdisk -q -X gpt /dev/vdb && udevadm settle")


def fstab(host: VirtualMachine) -> str:
    return host.run("cat /etc/fstab")


def write_fstab(host: VirtualMachine, text: str) -> str:
    host.run("cat >/etc/fstab", stdin=text)
    return text


def mounted(host: VirtualMachine, path: str, column: str) -> list[str]:
    """Of each mount at `path`, what findmnt shows in the column; nothing when there is none."""
    return host.run(f"findmnt -n -o {column} --mountpoint '{path}' || true").splitlines()


def options(host: VirtualMachine, path: str) -> set[str]:
    (line,) = mounted(host, path, "OPTIONS")
    return set(line.split(","))


@pytest.mark.long
def test_a_line_comes_changes_and_goes_between_those_of_others(vm: VirtualMachine, novaops: Novaops) -> None:
    partition(vm, 1)
    foreign = write_fstab(vm, FOREIGN.replace("%r", "\r"))
    words = ("disk", "mount", "machine", "--device", "/dev/vdb1", "--path")
    assert novaops(*words, "/mnt/data/").code == 0
    (uuid,) = mounted(vm, "/mnt/data", "UUID")
    line = f"UUID={uuid} /mnt/data ext4 defaults,nofail,x-systemd.device-timeout=15s 0 2"
    assert fstab(vm) == f"{foreign}\n{line}\n"
    assert novaops(*words, "/mnt/data").code == novaops(*words, "/mnt/data/", "--check").code == 0

    new_options = (*words, "/mnt/data", "--options", "rw,noexec")
    assert novaops(*new_options, "--check").code == 3
    assert fstab(vm) == f"{foreign}\n{line}\n"
    assert "noexec" not in options(vm, "/mnt/data")
    assert novaops(*new_options).code == 0
    assert {"rw", "noexec"} < options(vm, "/mnt/data")
    assert fstab(vm) == f"{foreign}\n{line.replace('defaults', 'rw,noexec')}\n"
    assert novaops(*words, "/mnt/data", "--options", "noexec,rw", "--check").code == 0

    elsewhere = novaops(*words, "/mnt/elsewhere")
    assert (elsewhere.code, "/dev/vdb1 (400 MiB) is in use: it is mounted at /mnt/data" in elsewhere.out) == (4, True), elsewhere.text

    write_fstab(vm, f"{foreign}\nUUID={uuid} /mnt/data ext4 noexec,rw\n")
    assert novaops(*words, "/mnt/data").code == 0
    assert fstab(vm) == f"{foreign}\n{line.replace('defaults', 'noexec,rw')}\n"
    assert "noexec" in options(vm, "/mnt/data")
    assert novaops(*words, "/mnt/data", "--options", "defaults").code == 0
    assert fstab(vm) == f"{foreign}\n{line}\n"
    assert "noexec" not in options(vm, "/mnt/data")

    write_fstab(vm, foreign)
    assert novaops(*words, "/mnt/data", "--owner", "nova:operator", "--label", "store").code == 0
    assert fstab(vm) == f"{foreign}\n{line}\n"
    assert mounted(vm, "/mnt/data", "LABEL") == ["store"]
    assert vm.run("stat -c %U:%G /mnt/data") == "nova:operator\n"

    vm.run("echo precious >/mnt/data/file; systemd-run -q --unit=busy sh -c 'exec sleep 1000 </mnt/data/file'")
    busy = novaops("disk", "unmount", "machine", "--path", "/mnt/data")
    assert (busy.code, "busy" in busy.out) == (1, True), busy.text
    assert fstab(vm) == f"{foreign}\n{line}\n"
    assert mounted(vm, "/mnt/data", "UUID") == [uuid]
    vm.run("systemctl stop busy")

    assert novaops("disk", "unmount", "machine", "--path", "/mnt/data/").code == 0
    assert fstab(vm) == f"{foreign}\n"
    assert mounted(vm, "/mnt/data", "UUID") == []
    assert novaops("disk", "unmount", "machine", "--path", "/mnt/data").code == 0

    assert novaops("undo", "machine").code == 0
    assert fstab(vm) == f"{foreign}\n{line}\n"
    assert vm.run("cat /mnt/data/file") == "precious\n"
    assert novaops("disk", "unmount", "machine", "--path", "/mnt/data").code == 0
    kept = novaops(*words, "/mnt/data")
    assert (kept.code, "has ext4 already: kept as it is, nothing is formatted" in kept.out) == (0, True), kept.text
    assert vm.run("cat /mnt/data/file") == "precious\n"
    assert novaops("undo", "machine").code == 0
    assert fstab(vm) == f"{foreign}\n"
    assert mounted(vm, "/mnt/data", "UUID") == []


@pytest.mark.long
def test_a_whole_inventory_and_a_reboot_without_one_of_its_disks(vm: VirtualMachine, novaops: Novaops, inventory: Inventory) -> None:
    partition(vm, 5)
    lost = vm.attach(Disk("400M", serial="lost"))
    vm.run("udevadm settle --exit-if-exists=/dev/vdc; mkdir -p /opt/shown; echo shown >/opt/shown/file")
    # The child is written before its parent.
    # An emulated machine that boots beside others can take longer than the usual 15 s to find a disk.
    patient = {"options": "defaults,nofail,x-systemd.device-timeout=90s"}
    disks = [
        {"path": "/srv/store/db", "device": "/dev/vdb2", "filesystem": "xfs", "label": "db", **patient},
        {"path": "/srv/store", "device": "/dev/vdb1", "filesystem": "btrfs", "label": "two", **patient},
        {"path": "/mnt/größe und mehr", "device": "/dev/vdb3", **patient},
        {"path": "/mnt/defined", "device": "/dev/vdb4", "state": "defined", **patient},
        {"path": "/mnt/lost", "device": "lost"},
        {"path": "/mnt/bound", "device": "/opt/shown", "options": "bind"},
    ]
    file = inventory("machine", f"disk: {json.dumps(disks)}")
    assert novaops("apply", "--check", inventory=file).code == 3
    assert fstab(vm) == ""
    applied = novaops("apply", inventory=file)
    assert applied.code == 0, applied.text
    assert novaops("plan", inventory=file).code == 0
    there = {"/srv/store": "btrfs", "/srv/store/db": "xfs", "/mnt/größe und mehr": "ext4", "/mnt/lost": "ext4"}
    assert _mounts(vm) == there
    assert vm.run("cat /mnt/bound/file") == "shown\n"
    paths = [line.split()[1] for line in fstab(vm).splitlines()]
    assert paths.index("/srv/store") < paths.index("/srv/store/db")
    assert len(paths) == len(disks)
    assert "0 parse errors, 0 errors" in (verified := vm.run("LC_ALL=C findmnt --verify")) or verified.startswith("Success")
    assert vm.run("mount -a 2>&1") == ""

    vm.detach(lost)
    vm.reboot()
    vm.run(UNTIL_BOOTED)
    del there["/mnt/lost"]
    assert _mounts(vm) == {**there, "/mnt/defined": "ext4"}
    assert vm.run("cat /mnt/bound/file") == "shown\n"

    lines = fstab(vm).splitlines()
    states = [
        {"path": "/mnt/größe und mehr", "state": "unmounted"},
        {"path": "/mnt/defined", "state": "absent"},
        {"path": "/srv/store", "state": "absent"},
        {"path": "/srv/store/db", "state": "absent"},
        {"path": "/mnt/bound", "device": "/opt/shown", "options": "bind,ro"},
    ]
    file = inventory("machine", f"disk: {json.dumps(states)}")
    assert novaops("apply", "--check", inventory=file).code == 3
    assert _mounts(vm) == {**there, "/mnt/defined": "ext4"}
    applied = novaops("apply", inventory=file)
    assert applied.code == 0, applied.text
    assert _mounts(vm) == {}
    assert vm.run("touch /mnt/bound/file 2>/dev/null || touch /opt/shown/file && echo read-only") == "read-only\n"
    assert {line.split()[1] for line in lines} - {line.split()[1] for line in fstab(vm).splitlines()} == {
        *("/mnt/defined", "/srv/store", "/srv/store/db"),
    }


def _mounts(host: VirtualMachine) -> dict[str, str]:
    """The file systems that a test mounted."""
    found = json.loads(host.run("findmnt -J -l -o TARGET,FSTYPE,FSROOT").encode("iso-8859-15").decode())["filesystems"]
    own = [mount for mount in found if mount["target"].startswith(("/mnt/", "/srv/")) and mount["fsroot"] == "/"]
    return {mount["target"]: mount["fstype"] for mount in own}


@pytest.mark.long
def test_an_fstab_that_is_a_link_or_missing(vm: VirtualMachine, novaops: Novaops) -> None:
    vm.run("mv /etc/fstab /etc/fstab.real; chmod 640 /etc/fstab.real; ln -s fstab.real /etc/fstab")
    words = ("disk", "mount", "machine", "--path", "/mnt/data")
    assert novaops(*words).code == 0
    (uuid,) = mounted(vm, "/mnt/data", "UUID")
    line = f"UUID={uuid} /mnt/data ext4 defaults,nofail,x-systemd.device-timeout=15s 0 2\n"
    assert fstab(vm) == line
    assert vm.run("readlink /etc/fstab; stat -c %a /etc/fstab.real") == "fstab.real\n640\n"

    vm.run("rm /etc/fstab")
    assert novaops(*words, "--device", "/dev/vdb").code == 0
    assert fstab(vm) == line
    assert mounted(vm, "/mnt/data", "UUID") == [uuid]
    assert novaops("undo", "machine").code == 0
    assert vm.run("cat /etc/fstab 2>/dev/null || echo missing") == "missing\n"
    assert mounted(vm, "/mnt/data", "UUID") == [uuid]
