"""What systemd has of its own for a mount point, as a real shell finds it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from novaops.engine import probe
from novaops.features.disk.facts.mount_units import MountUnit, MountUnits, MountUnitsOf
from novaops.model.question import Facts, Missing

pytestmark = pytest.mark.skipif(shutil.which("systemd-escape") is None, reason="needs systemd-escape")
NONE = MountUnit("none")


def asked(root: Path, *paths: str) -> list[Any]:
    questions = [MountUnitsOf(path) for path in paths]
    families = probe.families(questions)
    mark = probe.boundary()
    script = probe.script(families, mark)
    for folder in ("/etc/systemd", "/usr/lib/systemd", "/usr/local/lib/systemd", "/lib/systemd", "/run/systemd/system"):
        script = script.replace(f'"{folder}', f'"{root}{folder}').replace(f" {folder}", f" {root}{folder}")
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    facts: Facts = probe.read(families, mark, done.stdout)
    return [facts[question] for question in questions]


def test_without_systemd_nothing_is_asked(tmp_path: Path) -> None:
    assert asked(tmp_path, "/mnt/a", "/mnt/b") == [Missing.ABSENT, Missing.ABSENT]


@pytest.mark.parametrize(
    ("folder", "text", "counts"),
    [
        ("mnt-data-x.mount.d", "[Mount]\nOptions=noatime\n", True),
        ("mnt-data-.mount.d", "[Mount]\nWhat = /dev/sdb\n", True),
        ("mnt-data-.mount.d", "[Mount]\nWhat=/dev/sdb\n", True),
        ("mnt-.mount.d", "[Unit]\n ConditionPathExists=/x\n", True),
        ("mount.d", "[Mount]\nType=xfs\n", True),
        ("mnt-other-.mount.d", "[Mount]\nType=xfs\n", False),
        ("mnt-data-x.mount.d", "[Unit]\nAfter=x.service\n#Options=ro\n[Mount]\nTimeoutSec=3\n", False),
    ],
)
def test_drop_ins(tmp_path: Path, folder: str, text: str, *, counts: bool) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    place = tmp_path / "etc/systemd/system" / folder
    place.mkdir(parents=True)
    (place / "x.conf").write_text(text)
    (place / "x.conf~").write_text("[Mount]\nOptions=ro\n")
    [found] = asked(tmp_path, "/mnt/data/x")
    assert found == MountUnits(NONE, NONE, f"{place}/x.conf" if counts else "")


def test_units(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    admins, vendors = tmp_path / "etc/systemd/system", tmp_path / "usr/lib/systemd/system"
    for folder in (admins, vendors):
        (folder / "local-fs.target.wants").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to("/mnt/my data")
    (admins / "mnt-my\\x20data.mount").write_text("[Mount]\n")
    (admins / "mnt-masked.mount").symlink_to("/dev/null")
    (admins / "mnt-masked.automount").touch()
    (admins / "mnt-dangling.mount").symlink_to("nowhere")
    (admins / "mnt-lost.automount").write_text("[Automount]\n")
    (admins / "local-fs.target.wants/mnt-lost.automount").symlink_to("../mnt-lost.automount")
    for name in ("mnt-vendor.mount", "mnt-masked.mount"):
        (vendors / name).write_text("[Mount]\n")
        (vendors / "local-fs.target.wants" / name).symlink_to(f"../{name}")

    found = asked(tmp_path, str(link), "/mnt/masked/", "/mnt/dangling", "/mnt/lost", "/mnt/vendor", "/mnt/none", "/")

    assert found == [
        MountUnits(MountUnit("own", file=f"{admins}/mnt-my\\x20data.mount"), NONE),
        MountUnits(
            MountUnit("masked", started=True, file=f"{admins}/mnt-masked.mount"), MountUnit("masked", file=f"{admins}/mnt-masked.automount")
        ),
        MountUnits(MountUnit("own", file=f"{admins}/mnt-dangling.mount"), NONE),
        MountUnits(NONE, MountUnit("own", started=True, file=f"{admins}/mnt-lost.automount")),
        MountUnits(MountUnit("vendor", started=True, file=f"{vendors}/mnt-vendor.mount"), NONE),
        MountUnits(NONE, NONE),
        MountUnits(NONE, NONE),
    ]
    assert [unit.name for unit in found[0]] == ["mnt-my\\x20data.mount", ""]
