"""Hosts as strangers have them: their fstab files, their names for a disk, their options, and disks that are mounted when they are used."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from novaops.lab.vm import VirtualMachine
from tests.lab.conftest import Novaops

pytestmark = pytest.mark.minutes

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
        # A session of root's pulls in what fstab has for /root: f12 would bind an empty folder there, without its keys.
        container.run("systemctl mask -q --runtime root.mount")
        words = ("disk", "mount", container.name, "--device", loop, "--path", "/srv/novaops")
        for file in CORPUS:
            text = file.read_bytes()
            container.run("base64 -d >/etc/fstab", stdin=b64encode(text).decode())
            first = novaops(*words)
            assert first.code == 0, (file.name, first.text)
            line = f"UUID={uuid} /srv/novaops ext4 defaults,{ADDED} 0 2\n".encode()
            kept = text + (b"" if text.endswith(b"\n") else b"\n")
            assert b64decode(fstab(container)) == kept + line, file.name
            second = novaops(*words, "--json").host
            assert (second["status"], second["execs"]) == ("unchanged", 1), file.name
            container.run("umount /srv/novaops")
    finally:
        container.run(f"! mountpoint -q /srv/novaops || umount /srv/novaops; losetup -d {loop}")


@pytest.mark.long
def test_tags_options_and_automounts(vm: VirtualMachine, novaops: Novaops, inventory: Callable[[str, str], Path]) -> None:
    vm.run("printf 'size=400M, name=\"My disk\"\\nsize=400M, name=second\\n' | sfdisk -q -X gpt /dev/vdb && udevadm settle")
    vm.run("for n in 1 2; do mkfs.ext4 -q -L part$n /dev/vdb$n; done; udevadm settle; mkdir /mnt/data")
    uuid = vm.run("blkid -p -s UUID -o value /dev/vdb1").strip()

    # A line by a tag is its device's: no second one, and its options stay.
    vm.run("cat >/etc/fstab", stdin='PARTLABEL="My\\040disk" /mnt/data ext4 noatime,discard 0 0 # the lab\'s\n')
    elsewhere = novaops("disk", "mount", "machine", "--device", "/dev/vdb1", "--path", "/mnt/elsewhere")
    assert (elsewhere.code, "/etc/fstab mounts /dev/vdb1 at /mnt/data" in elsewhere.text) == (4, True), elsewhere.text
    words = ("disk", "mount", "machine", "--device", "PARTLABEL=My disk", "--path", "/mnt/data")
    adopted = novaops(*words)
    assert (adopted.code, f"novaops adds {ADDED}" in adopted.text) == (0, True), adopted.text
    line = f"UUID={uuid} /mnt/data ext4 noatime,discard,{ADDED} 0 0 # the lab's\n"
    assert vm.run("cat /etc/fstab") == line
    assert {"noatime", "discard"} <= options(vm)
    assert novaops(*words, "--json").host["status"] == "unchanged"

    # Off, a second run, and back.
    assert novaops(*words, "--options", "defaults").code == 0
    assert {"relatime"} <= options(vm) - {"noatime", "discard"}
    assert novaops(*words, "--options", "defaults", "--json").host["status"] == "unchanged"
    assert novaops("undo", "machine").code == 0
    assert (vm.run("cat /etc/fstab"), {"noatime", "discard"} <= options(vm)) == (line, True)
    context = 'context="system_u:object_r:container_file_t:s0:c1,c2"'
    quoted = novaops(*words, "--options", f"noatime,{context}", "--check")
    assert (quoted.code, context in quoted.text) == (3, True), quoted.text

    # What the kernel has against a mount is said.
    wrong = novaops("disk", "mount", "machine", "--device", "LABEL=part2", "--path", "/mnt/second", "--options", "nodiscrad")
    assert (wrong.code, "ext4: Unknown parameter 'nodiscrad'" in wrong.text) == (1, True), wrong.text

    # From a mount to an automount, and away again.
    assert novaops("disk", "unmount", "machine", "--path", "/mnt/data").code == 0
    on = (*words, "--options", "noatime,x-systemd.automount")
    made = novaops(*on)
    assert made.code == 0, made.text
    assert kinds(vm) == ["autofs", "ext4"]
    vm.run("umount /mnt/data")
    seen = novaops(*on, "--json").host
    assert (seen["status"], seen["execs"]) == ("unchanged", 1)
    assert kinds(vm) == ["autofs"], "the look must not mount it"
    assert "mounted at /mnt/data when that is used" in novaops("disk", "ls", "machine").text
    entry = f"disk:\n  - {json.dumps({'device': 'LABEL=part1', 'path': '/mnt/data', 'options': 'noatime,x-systemd.automount'})}"
    verified = novaops("verify", inventory=inventory("machine", entry))
    assert verified.code == 0, verified.text

    assert novaops(*words, "--options", "noatime").code == 0
    assert kinds(vm) == ["ext4"]
    assert novaops("undo", "machine").code == 0
    assert "autofs" in kinds(vm)
    vm.run("systemd-run -q --unit=busy --working-directory=/mnt/data sleep 1000")
    busy = novaops("disk", "unmount", "machine", "--path", "/mnt/data")
    assert (busy.code, "busy" in busy.text, kinds(vm)) == (1, True, ["autofs", "ext4"]), busy.text
    vm.run("systemctl stop busy")
    gone = novaops("disk", "unmount", "machine", "--path", "/mnt/data")
    assert gone.code == 0, gone.text
    assert (kinds(vm), vm.run("cat /etc/fstab; systemctl list-units --all --plain --no-legend 'mnt-data*'")) == ([], "")
    assert novaops("disk", "unmount", "machine", "--path", "/mnt/data", "--json").host["status"] == "unchanged"
    assert novaops("undo", "machine").code == 0
    assert "autofs" in kinds(vm)


def options(host: LabHost) -> set[str]:
    return set(host.run("findmnt -n -o OPTIONS --mountpoint /mnt/data").strip().split(","))


def kinds(host: LabHost) -> list[str]:
    """What is mounted at /mnt/data, the topmost last."""
    return host.run("awk '$5 == \"/mnt/data\"' /proc/self/mountinfo | sed 's/.* - //' | cut -d ' ' -f 1").split()


OWN = "[Mount]\nWhat=/srv/x\nWhere=/mnt/data\nOptions=bind\n[Install]\nWantedBy=local-fs.target\n"


def test_units_of_systemds_own(container: LabHost, novaops: Novaops, inventory: Callable[[str, str], Path]) -> None:
    """mount(8) does not know them: what it mounts by fstab's line is not what is mounted when the host starts."""
    there = inventory(container.name, "disk: [{path: /mnt/data, device: /srv/x, options: [bind]}]").read_text("utf-8")

    def asked(verb: str, text: str = there) -> tuple[int, str]:
        file = inventory(container.name, "")
        file.write_text(text, "utf-8")
        done = novaops(verb, container.name, "--json", inventory=file)
        if verb == "verify":
            return done.code, "".join(step["message"] for step in done.host["steps"] if step["status"] == "failed")
        return done.code, f"{done.host['error']['what']} {done.host['error']['fix']}" if done.host["error"] else ""

    container.run("mkdir /srv/x; systemctl mask -q mnt-data.mount")
    code, said = asked("apply")
    assert (code, "systemctl unmask mnt-data.mount" in said) == (4, True), said
    container.run("systemctl unmask -q mnt-data.mount")
    assert asked("apply")[0] == 0
    assert asked("verify") == (0, "")

    container.run("systemctl mask -q mnt-data.mount")
    code, said = asked("verify")
    assert (code, "mnt-data.mount masks its unit" in said) == (3, True), said
    container.run("systemctl unmask -q mnt-data.mount; mkdir /etc/systemd/system/mnt-.mount.d")
    container.run("cat >/etc/systemd/system/mnt-.mount.d/x.conf; systemctl daemon-reload", stdin="[Mount]\nOptions=ro\n")
    code, said = asked("verify")
    assert (code, "mnt-.mount.d/x.conf changes it" in said) == (3, True), said
    code, said = asked("apply")
    assert (code, "mnt-.mount.d/x.conf changes how systemd mounts /mnt/data" in said) == (4, True), said
    container.run("rm -r /etc/systemd/system/mnt-.mount.d")
    container.run("cat >/etc/systemd/system/mnt-data.mount; systemctl daemon-reload", stdin=OWN)
    code, said = asked("verify")
    assert (code, "mnt-data.mount outweighs it" in said) == (3, True), said
    code, said = asked("apply")
    assert (code, "systemd has a unit of its own for /mnt/data" in said) == (4, True), said

    gone = there.replace("device: /srv/x, options: [bind]", "state: absent")
    container.run("systemctl enable -q mnt-data.mount")
    code, said = asked("apply", gone)
    assert (code, "mounts /mnt/data again when the host starts" in said) == (4, True), said
    code, said = asked("verify", gone)
    assert (code, "but it does, by /etc/systemd/system/mnt-data.mount" in said) == (3, True), said
    container.run("systemctl disable -q mnt-data.mount")
    assert asked("apply", gone)[0] == 0
    assert asked("verify", gone) == (0, "")
