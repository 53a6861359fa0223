"""A mode and an owner may be written in more than one way. What is there already is right in any of them."""

from __future__ import annotations

import pytest

from novaops.facts.file import FileAt, FileState
from novaops.model.plan import Resource
from novaops.model.question import Facts, Section
from novaops.resources.directory import Directory
from novaops.resources.file import File

PATH = "/srv/app"
STATES = {
    "regular file": FileState("regular file", "0640", "postgres", "root", b"x\n", uid="999", gid="0"),
    "directory": FileState("directory", "0640", "postgres", "root", uid="999", gid="0"),
}


def planned(wanted: Resource, kind: str) -> list[str]:
    facts = Facts({FileAt(PATH): STATES[kind]}, {})
    return [change.field for step in wanted.plan(facts) for change in step.changes]


@pytest.mark.parametrize("mode", ["640", "0640"])
@pytest.mark.parametrize(("owner", "group"), [("postgres", "root"), ("999", "0"), ("999", "root"), ("postgres", "0")])
def test_what_is_there_is_right(mode: str, owner: str, group: str) -> None:
    assert planned(File(PATH, "x\n", mode, owner, group), "regular file") == []
    assert planned(Directory(PATH, mode, owner, group), "directory") == []


@pytest.mark.parametrize(("owner", "group", "field"), [("1000", "root", "owner"), ("root", "root", "owner"), ("999", "999", "group")])
def test_another_one_is_not(owner: str, group: str, field: str) -> None:
    assert planned(File(PATH, "x\n", "0640", owner, group), "regular file") == [field]
    assert planned(Directory(PATH, "0640", owner, group), "directory") == ["owner"]


def test_the_host_tells_both() -> None:
    section = Section("-\npresent\n640\tpostgres\t999\tUNKNOWN\t7\t2\tregular file\nx\n", "", 0)
    found = FileState("regular file", "0640", "postgres", "7", b"x\n", uid="999", gid="7")
    assert FileAt.parse([FileAt(PATH)], section) == {FileAt(PATH): found}
