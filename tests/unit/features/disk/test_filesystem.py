"""Which disk a file system is on: one answer for all that ask in a plan, and another one once the facts are others."""

from __future__ import annotations

from typing import Any

import pytest

from novaops.engine.planner import make_plan, questions_of
from novaops.facts.file import FileAt, FileState
from novaops.features.disk.resources.filesystem import Filesystem
from novaops.features.disk.resources.selection import DiskChoice, DiskRequest, HostDisks, select
from novaops.model.question import Facts
from tests.unit.test_cases import answer, wanted

CASE: dict[str, Any] = {
    "want": {"path": "/data", "device": "/dev/vdb", "label": "DATA"},
    "disks": {"vdb": {"ext4": "OLD", "label": "DATA"}},
}


def test_it_is_worked_out_once_in_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[DiskRequest] = []

    def counted(request: DiskRequest, host: HostDisks) -> DiskChoice:
        asked.append(request)
        return select(request, host)

    monkeypatch.setattr("novaops.features.disk.resources.filesystem.select", counted)
    resources = wanted("disk", CASE["want"])
    facts = Facts({q: answer(q, CASE) for q in questions_of(resources)}, {})
    plan = make_plan(resources, facts)
    assert [step.resource for step in plan.steps] == ["mount:/data"]
    assert len(plan.notes) == 1
    assert len(asked) == 1

    (disk,) = (resource for resource in resources if isinstance(resource, Filesystem))
    changed = facts.but(FileAt("/etc/fstab"), FileState("regular file", "0644", "root", "root", b""))
    assert disk.select(changed) == disk.select(facts)
    assert len(asked) == 2
