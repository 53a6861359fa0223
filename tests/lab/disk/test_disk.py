"""novaops disk on a real machine: the way a person goes, from an idle disk to a mounted one that survives a reboot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops

pytestmark = pytest.mark.minutes


def test_an_idle_disk_is_mounted_once_and_undone(vm: LabHost, novaops: Novaops) -> None:
    listed = novaops("disk", "ls", "machine", "--json").host
    assert [(disk["device"], disk["idle"]) for disk in listed["disks"]] == [("/dev/vda", False), ("/dev/vdb", True)]

    before = vm.run("cat /etc/fstab; ls /mnt")
    first = novaops("disk", "mount", "machine", "--path", "/mnt/data", "--json")
    assert (first.code, first.host["status"], first.host["execs"]) == (0, "changed", 3)
    uuid = vm.run("findmnt -n -o UUID /mnt/data").strip()
    assert f"UUID={uuid} /mnt/data ext4 defaults,nofail,x-systemd.device-timeout=15s 0 2\n" in vm.run("cat /etc/fstab")

    vm.run("echo precious >/mnt/data/file")
    second = novaops("disk", "mount", "machine", "--path", "/mnt/data", "--json")
    assert (second.code, second.host["status"], second.host["execs"]) == (0, "unchanged", 1)
    assert vm.run("findmnt -n -o UUID /mnt/data").strip() == uuid
    assert vm.run("cat /mnt/data/file") == "precious\n"

    undone = novaops("undo", "machine")
    assert undone.code == 0, undone.text
    assert vm.run("cat /etc/fstab; ls /mnt") == before
    assert novaops("undo", "machine", "--json").host["status"] == "unchanged"
    assert novaops("disk", "mount", "machine", "--path", "/mnt/data", "--device", f"UUID={uuid}").code == 0
    assert vm.run("cat /mnt/data/file") == "precious\n", "the file system has stayed"


def test_check_says_what_would_change_and_changes_nothing(vm: LabHost, novaops: Novaops) -> None:
    before = vm.run("cat /etc/fstab; md5sum /dev/vdb1 2>/dev/null; wipefs /dev/vdb; ls /mnt")
    looked = novaops("disk", "mount", "machine", "--path", "/mnt/data", "--check", "--json")
    assert (looked.code, looked.host["status"], looked.host["execs"]) == (3, "would_change", 1)
    assert vm.run("cat /etc/fstab; md5sum /dev/vdb1 2>/dev/null; wipefs /dev/vdb; ls /mnt") == before


@pytest.mark.long
def test_the_same_from_an_inventory_with_apply(vm: LabHost, novaops: Novaops, inventory: Callable[[str, str], Path]) -> None:
    file = inventory(vm.name, "disk:\n  - {path: /mnt/data, label: store, options: noatime}")
    assert novaops("plan", inventory=file).code == 3
    assert novaops("apply", inventory=file).code == 0
    assert novaops("plan", inventory=file).code == 0
    assert vm.run("findmnt -n -o LABEL /mnt/data") == "store\n"
    assert "noatime" in vm.run("findmnt -n -o OPTIONS /mnt/data")
