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
from novaops.model.action import WriteFile
from novaops.model.plan import Plan
from novaops.model.question import Facts
from tests.unit.test_cases import CASES, answer, wanted

FILES = sorted((CASES / "fstab").glob("f*"))
GENERATOR = Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")
LINE = "UUID=U-1 {} ext4 defaults,nofail,x-systemd.device-timeout=15s 0 2\n"

corpus = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
places = pytest.mark.parametrize("place", ["/srv/novaops", "/mnt/größe und mehr", "/mnt"])


def planned(text: str, entry: dict[str, Any], *, mounted: str = "") -> Plan:
    case = {"fstab": text, "disks": {"vdb": {"ext4": "U-1", "serial": "novaops", **({"at": mounted} if mounted else {})}}}
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
