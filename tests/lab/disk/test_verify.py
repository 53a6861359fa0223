"""`novaops verify` on a real VM: right after the engine's work, and wrong in every way that its checks are for."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from novaops.lab.disk import Disk
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.support.doors import OPERATOR_PASSWORD, with_operator_password

pytestmark = [pytest.mark.lab, pytest.mark.minutes]

DISK = "{device: data, path: /mnt/data, label: DATA, owner: nova}"


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str

    @property
    def checks(self) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = json.loads(self.stdout)["hosts"][0]["steps"]
        return steps

    @property
    def wrong(self) -> list[str]:
        return [step["message"] for step in self.checks if step["status"] == "failed"]


@dataclass(frozen=True)
class Rehearsal:
    """A lab host with two disks, and the folder with its inventory."""

    host: LabHost
    folder: Path

    def inventory(self, disks: str, *more: str, user: str = "root", access: str = "") -> None:
        host = self.host
        lines = [
            f"defaults: {{user: {user}, identity: '{host.identity}', known_hosts: '{host.known_hosts}'{access}}}",
            "hosts:",
            *(f"  lab: {{address: {host.address}, port: {host.port}, disk: [{disks}]}}", *more),
        ]
        (self.folder / "inventory.yaml").write_text("\n".join(lines) + "\n")

    def novaops(self, *words: str, env: dict[str, str] | None = None) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "novaops", *words], cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=400
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def verify(self, *words: str) -> Ended:
        return self.novaops("verify", "--json", *words)


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The disk is mounted by the engine; its work is what is verified."""
    lab = Lab(tmp_path_factory.mktemp("verify") / ".lab")
    host = lab.up(disks=(Disk("256M", serial="data"), Disk("256M", serial="other")))
    try:
        made = Rehearsal(host, tmp_path_factory.mktemp("operator"))
        made.inventory(DISK)
        applied = made.novaops("apply")
        assert applied.code == 0, applied.stderr + applied.stdout
        host.run("cp /etc/fstab /root/fstab")
        yield made
    finally:
        lab.down()


@pytest.fixture
def mounted(vm: Rehearsal) -> Rehearsal:
    """As the engine left it, whatever the test before did: by hand, because a reset and an apply cost half a minute."""
    vm.inventory(DISK)
    vm.host.run(REPAIR)
    return vm


REPAIR = """
for place in /mnt/data "/srv/real/a b%s" /srv/shown; do while umount "$place" 2>/dev/null; do :; done; done
[ ! -e /root/findmnt ] || mv /root/findmnt /usr/bin/
cp /root/fstab /etc/fstab; rm -rf /mnt/link /srv/*; mkdir -p /mnt/data; wipefs -qa /dev/vdb /dev/vdc; systemctl daemon-reload
mkfs.ext4 -qF -L DATA -U "$(sed 's/UUID=\\([^ ]*\\).*/\\1/' /root/fstab)" /dev/vdb; udevadm settle
mount /mnt/data && chown nova /mnt/data
"""


def test_right(mounted: Rehearsal) -> None:
    (mounted.folder / "conftest.py").write_text("raise RuntimeError('the user\\'s conftest was picked up')\n")
    (mounted.folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (mounted.folder / "found.xml").unlink(missing_ok=True)
    before = set(mounted.folder.iterdir())
    ended = mounted.verify("--junit", "found.xml")
    assert ended.code == 0, ended.stderr + ended.stdout
    document = json.loads(ended.stdout)
    assert document["exit_code"] == 0
    assert document["hosts"][0]["status"] == "unchanged"
    assert document["hosts"][0]["execs"] <= 8
    assert {step["status"] for step in ended.checks} == {"unchanged"}
    assert {step["resource"] for step in ended.checks} == {"disk:/mnt/data"}
    assert {*mounted.folder.iterdir()} - before == {mounted.folder / "found.xml"}
    suite = ET.parse(mounted.folder / "found.xml").getroot()[0]  # noqa: S314 - ours
    assert "/mnt/data is the disk that fstab names [lab]" in [case.get("name") for case in suite]
    assert suite.get("failures") == "0"
    assert len(suite) == len(ended.checks) == 11
    text = mounted.novaops("verify")
    assert text.stdout.splitlines()[4] == "✓ lab  disk:/mnt/data  is the disk that fstab names"
    assert text.stdout.splitlines()[-1].startswith("1 host: 1 unchanged (")
    assert mounted.host.run("find /mnt/data -name '.novaops*'") == ""


FAULTS = {
    "unmounted": ("umount /mnt/data", "at /mnt/data, as /etc/fstab names it, but nothing is mounted there"),
    "wrong UUID": (
        "sed -i 's/^UUID=[^ ]*/UUID=11111111-2222-3333-4444-555555555555/' /etc/fstab",
        "findmnt should show UUID=11111111-2222-3333-4444-555555555555 at /mnt/data, as /etc/fstab names it, but it shows UUID=",
    ),
    "no such UUID": (
        "sed -i 's/^UUID=[^ ]*/UUID=11111111-2222-3333-4444-555555555555/' /etc/fstab",
        "which /etc/fstab names for /mnt/data, but blkid finds none",
    ),
    "findmnt --verify": (
        "sed -i 's/^UUID=[^ ]*/UUID=11111111-2222-3333-4444-555555555555/' /etc/fstab",
        "findmnt --verify should find no error at /mnt/data, but it says: unreachable on boot required source",
    ),
    "another disk mounted": ("mkfs.ext4 -qF /dev/vdc; umount /mnt/data; mount /dev/vdc /mnt/data", "(/dev/vdc)"),
    "another disk on top": ("mkfs.ext4 -qF /dev/vdc; mount /dev/vdc /mnt/data", "on /dev/vdc (254:32)"),
    "another disk in fstab too": (
        'mkfs.ext4 -qF /dev/vdc; umount /mnt/data; sed -i "s/^UUID=[^ ]*/$(blkid -o export /dev/vdc | grep ^UUID)/" /etc/fstab; mount -a',
        "data should be what /etc/fstab names for /mnt/data, but that is /dev/vdc",
    ),
    "a copy of the disk": ("umount /mnt/data; dd if=/dev/vdb of=/dev/vdc bs=1M 2>/dev/null; mount /dev/vdb /mnt/data", "have it"),
    "no line": ("sed -i '/mnt.data/d' /etc/fstab", "/etc/fstab should have a line for /mnt/data, but it has none"),
    "two lines": ("sed -i p /etc/fstab", "/etc/fstab should have one line for /mnt/data, but it has 2"),
    "named by its path": ("sed -i 's/^UUID=[^ ]*/\\/dev\\/vdb/' /etc/fstab", "by its UUID, but it names /dev/vdb"),
    "no nofail": ("sed -i s/nofail,// /etc/fstab", "in /etc/fstab should have nofail, but it has defaults,x-systemd"),
    "read-only": ("mount -o remount,ro /mnt/data", "Read-only file system"),
    "full": ("dd if=/dev/zero of=/mnt/data/fill bs=1M 2>/dev/null || :", "but the host says:"),
    "file system in fstab": ("sed -i 's/ ext4 / xfs /' /etc/fstab", "should be ext4, but /etc/fstab names xfs"),
    "file system on the disk": (
        'u=$(blkid -s UUID -o value /dev/vdb); umount /mnt/data; wipefs -qa /dev/vdb; mkfs.btrfs -qfU "$u" /dev/vdb || mkfs.xfs -fqm uuid="$u" /dev/vdb',  # noqa: E501
        "should be ext4, but blkid finds",
    ),
    "label": ("e2label /dev/vdb WRONG", "the label of the disk for /mnt/data should be DATA, but it is WRONG"),
    "owner": ("chown root /mnt/data", "/mnt/data should belong to nova, but it belongs to root:root"),
}


SHORT = {"another disk on top"}


@pytest.mark.parametrize("fault", [pytest.param(fault, marks=() if fault in SHORT else pytest.mark.long) for fault in FAULTS])
def test_drift(mounted: Rehearsal, fault: str) -> None:
    command, sentence = FAULTS[fault]
    mounted.host.run(command)
    ended = mounted.verify("--junit", "found.xml")
    assert ended.code == 3, ended.stderr + ended.stdout
    assert any(sentence in said for said in ended.wrong), ended.wrong
    suite = ET.parse(mounted.folder / "found.xml").getroot()[0]  # noqa: S314 - ours
    assert int(suite.get("failures", 0)) == len(ended.wrong)
    assert mounted.host.run("find /mnt/data -name '.novaops*'") == ""


@pytest.mark.long
def test_drift_is_no_case_for_a_reboot(mounted: Rehearsal) -> None:
    mounted.host.run("sed -i s/nofail,// /etc/fstab")
    text = mounted.novaops("verify", "--reboot", "-v")
    assert text.code == 3
    assert "✘ lab  disk:/mnt/data  the line for /mnt/data in /etc/fstab should have nofail" in text.stdout
    assert "    claimed: /mnt/data does not stop the boot when its disk is missing" in text.stdout.splitlines()
    assert "    $ findmnt --verify 2>&1  (exit status 0)" in text.stdout.splitlines()
    assert "not looked at: not rebooted" in text.stdout
    assert "Traceback" not in text.stdout + text.stderr


@pytest.mark.long
@pytest.mark.parametrize(("state", "sentences"), [("unmounted", ["nothing should be mounted"]), ("absent", ["nothing", "no line"])])
def test_gone(mounted: Rehearsal, state: str, sentences: list[str]) -> None:
    mounted.inventory(f"{{path: /mnt/data, state: {state}}}")
    ended = mounted.verify()
    assert ended.code == 3
    assert len(ended.wrong) == len(sentences)
    assert all(words in said for words, said in zip(sentences, ended.wrong, strict=True))
    assert mounted.novaops("apply").code == 0
    assert mounted.verify().code == 0


@pytest.mark.long
def test_bound(mounted: Rehearsal) -> None:
    mounted.host.run("mkdir -p /srv/real /srv/other /srv/shown")
    mounted.inventory("{device: /srv/real, path: /srv/shown, options: [bind]}")
    assert mounted.novaops("apply").code == 0
    assert mounted.verify().code == 0
    mounted.host.run("umount /srv/shown; mount --bind /srv/other /srv/shown")
    ended = mounted.verify()
    assert (ended.code, len(ended.wrong)) == (3, 1)
    assert ended.wrong[0].startswith("/srv/shown should show /srv/real, but it shows another folder: ")


@pytest.mark.long
def test_blanks_and_links(mounted: Rehearsal) -> None:
    mounted.host.run("umount /mnt/data; sed -i d /etc/fstab; mkdir -p /srv/real; ln -s /srv/real /mnt/link")
    mounted.inventory("{device: data, path: '/mnt/link/a b%s', label: DATA}")
    assert mounted.novaops("apply").code == 0
    ended = mounted.verify()
    assert ended.code == 0, ended.stdout
    assert ended.checks[0]["resource"] == "disk:/mnt/link/a b%s"


@pytest.mark.long
def test_sudo_password(mounted: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    with_operator_password(mounted.host)
    monkeypatch.setenv("LAB_SUDO", OPERATOR_PASSWORD)
    mounted.inventory(DISK, user="operator", access=", sudo_password: env:LAB_SUDO")
    assert mounted.verify().code == 0
    mounted.inventory(DISK, user="plain")
    ended = mounted.verify()
    assert ended.code == 1
    assert json.loads(ended.stdout)["hosts"][0]["error"]["what"]


@pytest.mark.long
def test_unreachable_does_not_stop_the_others(mounted: Rehearsal) -> None:
    mounted.inventory(DISK, "  away: {address: 127.0.0.1, port: 1, disk: [{path: /mnt/data}]}")
    ended = mounted.novaops("verify", "--junit", "found.xml")
    assert ended.code == 5
    lines = ended.stdout.splitlines()
    assert sum(line.startswith("✓ lab") for line in lines) == 11
    assert [line for line in lines if line.startswith("✘")] == ["✘ away  unreachable: away (127.0.0.1): nothing answers at 127.0.0.1:1"]
    assert lines[-1].startswith("2 hosts: 1 unchanged, 1 unreachable (")
    suite = ET.parse(mounted.folder / "found.xml").getroot()[0]  # noqa: S314 - ours
    assert int(suite.get("errors", 0)) > 0
    mounted.host.run("umount /mnt/data")
    assert mounted.verify().code == 5


@pytest.mark.long
def test_what_cannot_be_seen_is_no_drift(mounted: Rehearsal) -> None:
    mounted.host.run("mv $(command -v findmnt) /root/")
    ended = mounted.verify()
    assert ended.code == 1
    assert "findmnt" in json.loads(ended.stdout)["hosts"][0]["error"]["what"]


@pytest.mark.long
def test_reboot(mounted: Rehearsal) -> None:
    before = mounted.host.run("cat /proc/sys/kernel/random/boot_id")
    ended = mounted.verify("--reboot", "--junit", "found.xml")
    assert ended.code == 0, ended.stderr + ended.stdout
    assert json.loads(ended.stdout)["hosts"][0]["rebooted"] is True
    assert ended.checks[-1]["check"] == "is mounted after a reboot, with what was on it"
    assert mounted.host.run("cat /proc/sys/kernel/random/boot_id") != before
    assert mounted.host.run("find /mnt/data -name '.novaops*'") == ""


SABOTAGE = {
    "not mounted": ("umount /mnt/data", "after the reboot UUID="),
    "marker gone": ("rm /mnt/data/.novaops-verify-*", "written before the reboot, should be there after it"),
    "another disk": ("umount /mnt/data; mkfs.ext4 -qF /dev/vdc; mount /dev/vdc /mnt/data", "but findmnt shows UUID="),
}


@pytest.mark.long
@pytest.mark.parametrize("sabotage", SABOTAGE)
def test_does_not_survive_reboot(mounted: Rehearsal, sabotage: str) -> None:
    """The host is right before it goes down, and a unit makes it wrong while it boots."""
    command, sentence = SABOTAGE[sabotage]
    unit = "[Unit]", "After=mnt-data.mount", "[Service]", "Type=oneshot", f"ExecStart=/bin/sh -c '{command}'"
    lines = shlex.join([*unit, "[Install]", "WantedBy=multi-user.target"])
    mounted.host.run(f"printf '%s\\n' {lines} >/etc/systemd/system/sabotage.service && systemctl enable sabotage")
    ended = mounted.verify("--reboot")
    mounted.host.run("systemctl disable sabotage")
    assert ended.code == 3, ended.stderr + ended.stdout
    assert len(ended.wrong) == 1
    assert sentence in ended.wrong[0], ended.wrong
