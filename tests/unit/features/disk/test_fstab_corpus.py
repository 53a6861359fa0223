"""A disk put on hosts with the fstab files of strangers: one line more, and no other one touched.

What a file means say findmnt and systemd.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.planner import make_plan, questions_of
from novaops.features.disk.observe import _errors
from novaops.features.disk.resources.fstab_file import FSTAB
from novaops.formats import fstab
from novaops.model.action import WriteFile
from novaops.model.plan import Plan
from novaops.model.question import Facts
from tests.unit.test_cases import CASES, answer, wanted

FILES = sorted((CASES / "fstab").glob("f*"))
GENERATOR = Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")
LINE = "UUID=U-1 {} ext4 defaults,nofail,x-systemd.device-timeout=15s 0 2\n"

corpus = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
places = pytest.mark.parametrize("place", ["/srv/novaops", "/mnt/größe und mehr", "/mnt"])


def planned(text: str, entry: dict[str, Any], *, mounted: str = "", disk: dict[str, Any] | None = None) -> Plan:
    about = {**(disk or {"ext4": "U-1"}), "serial": "novaops", **({"at": mounted} if mounted else {})}
    case = {"fstab": text, "disks": {"vdb": about}, "packages": dict.fromkeys(["btrfs-progs", "xfsprogs"], "1")}
    resources = wanted("disk", entry)
    return make_plan(resources, Facts({q: answer(q, case) for q in questions_of(resources)}, {}))


def written(plan: Plan) -> str:
    assert not plan.refusals
    (action,) = (a for step in plan.steps for a in step.actions if isinstance(a, WriteFile) and a.path == FSTAB)
    assert isinstance(action.content, bytes)
    return action.content.decode()


def with_newline(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


@corpus
@places
def test_one_line_more_and_none_after_unmounting(file: Path, place: str) -> None:
    before = file.read_bytes().decode()
    entry = {"path": place, "device": "novaops"}
    after = written(planned(before, entry))
    line = LINE.format(place.replace(" ", "\\040"))
    assert after.count(line) == 1
    assert after.replace(line, "") in {before, with_newline(before)}

    second = planned(after, entry, mounted=place)
    assert (second.steps, second.refusals) == ((), ())

    gone = written(planned(after, {"path": place, "state": "absent"}, mounted=place))
    assert gone in {before, with_newline(before)}


@corpus
@places
def test_findmnt_sees_one_more_and_no_new_error(file: Path, place: str, tmp_path: Path) -> None:
    after = written(planned(file.read_bytes().decode(), {"path": place, "device": "novaops"}))
    new = tmp_path / "fstab"
    new.write_text(after, "utf-8", newline="")
    mine = {"source": "UUID=U-1", "target": place, "fstype": "ext4", "options": "defaults,nofail,x-systemd.device-timeout=15s"}
    seen = findmnt(new)
    assert mine in seen
    seen.remove(mine)
    assert seen == findmnt(file)
    errors = verify_errors(new)
    errors.pop(place, None)  # UUID=U-1 is no disk of this machine
    assert errors == verify_errors(file)


def findmnt(file: Path) -> list[dict[str, Any]]:
    words = ["findmnt", "--tab-file", str(file), "--json", "--list", "--output", "SOURCE,TARGET,FSTYPE,OPTIONS"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)["filesystems"] if done.stdout else []
    return found


def verify_errors(file: Path) -> dict[str, tuple[str, ...]]:
    done = subprocess.run(["findmnt", "--verify", "--tab-file", str(file)], capture_output=True, text=True, check=False)
    return _errors(done.stdout)


@pytest.mark.skipif(not GENERATOR.exists(), reason="no systemd here")
@corpus
@places
def test_systemd_makes_one_unit_more(file: Path, place: str, tmp_path: Path) -> None:
    after = written(planned(file.read_bytes().decode(), {"path": place, "device": "novaops"}))
    new = tmp_path / "fstab"
    new.write_text(after, "utf-8", newline="")
    unit = subprocess.run(["systemd-escape", "--path", "--suffix=mount", place], capture_output=True, text=True, check=True).stdout.strip()
    before, now = units(file, tmp_path / "before"), units(new, tmp_path / "now")
    assert "What=/dev/disk/by-uuid/U-1\n" in now.pop(unit)
    assert {name for name in now.keys() - before.keys() if unit not in name} == set()
    assert {name: now[name].replace(str(new), str(file)) for name in before} == before


def units(file: Path, folder: Path) -> dict[str, str]:
    folder.mkdir()
    subprocess.run([GENERATOR, folder, folder, folder], env={**os.environ, "SYSTEMD_FSTAB": str(file)}, check=False, capture_output=True)
    return {found.name: found.read_text("utf-8") for found in folder.iterdir() if found.is_file()}


@corpus
def test_an_entry_for_what_is_there_already_is_refused(file: Path) -> None:
    """What fstab has for a path is never replaced by another disk."""
    text = file.read_bytes().decode()
    for line in findmnt(file):
        if str(line["target"]).startswith("/") and line["target"] != "/":
            assert planned(text, {"path": line["target"], "device": "novaops"}).refusals, line


@corpus
def test_a_disk_that_has_its_line_is_adopted(file: Path) -> None:
    """Its line is recognised whatever it names, keeps its options, and is the only one that changes; a second one is not made."""
    text = file.read_bytes().decode()
    for number, line in fstab.parse(text.encode()):
        kind = "ext4" if line.filesystem == "auto" else line.filesystem
        if kind not in {"ext4", "xfs", "btrfs"} or line.path == "/":
            continue
        tag, _, value = fstab.source_name(line.source).partition("=")
        label, uuid = (value if tag == name else other for name, other in (("LABEL", ""), ("UUID", "U-1")))
        disk: dict[str, Any] = {kind: uuid, "label": label, "links": [line.source], "options": live(line.options)}
        entry = {"path": line.path, "device": "novaops", "filesystem": kind}
        plan = planned(text, entry, disk=disk, mounted=line.path)
        added = [
            o for o in ("nofail", "x-systemd.device-timeout=15s") if o.partition("=")[0] not in {p.partition("=")[0] for p in line.options}
        ]
        before, after = text.split("\n"), written(plan).split("\n") if plan.steps else text.split("\n")
        assert [n for n, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]] in ([number], [])
        (now,) = [found for n, found in fstab.parse("\n".join(after).encode()) if n == number]
        assert (now.options, now.dump, now.check) == ((*line.options, *added), line.dump, line.check)
        second = planned("\n".join(after), entry, disk=disk, mounted=line.path)
        assert (second.steps, second.refusals) == ((), ())
        if kind != "btrfs":
            assert planned(text, {**entry, "path": "/srv/novaops"}, disk=disk).refusals


def live(options: tuple[str, ...]) -> str:
    """What the kernel shows of a mount with these options of the corpus."""
    shown = [option for option in ("noatime", "nodiratime", "discard", "errors=remount-ro") if option in options]
    implied = ["noexec", "nosuid", "nodev"] if {"user", "users"} & set(options) else []  # and what comes before counts no more: mount(8)
    relatime = [] if "noatime" in shown else ["relatime"]
    numbers = [option for option in options if option.startswith("commit=")]
    packed = {"compress=zstd": "compress=zstd:3", "compress=lzo": "compress=lzo", "ssd": "ssd"}
    return ",".join(["rw", *relatime, *shown, *numbers, *implied, *(packed[option] for option in options if option in packed)])
