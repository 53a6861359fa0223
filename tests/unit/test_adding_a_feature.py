"""docs/adding-a-feature.md, the part that needs no host: its own tests, and its question and resource."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from novaops.engine import inventory
from novaops.engine.planner import make_plan
from novaops.engine.playbooks import Playbooks
from novaops.errors import InventoryError, UsageError
from novaops.model.question import Facts, Missing, Section
from tests.support.page import DOCS, files, load, write_files

PAGE = "adding-a-feature.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All that the page shows, as files."""
    write_files(PAGE, tmp_path)
    return tmp_path


def test_its_cases(folder: Path) -> None:
    tests = load(folder / "tests/test_motd.py")
    assert [case.stem for case in tests.CASES] == ["another_text_is_replaced", "the_right_text_is_left_as_it_is"]
    for case in tests.CASES:
        tests.test_case(case)


def test_prepare_reads_the_notice(folder: Path) -> None:
    playbooks = Playbooks(folder)
    known = inventory.load(folder / "inventory.yaml", list(playbooks.by_name))
    (file,) = playbooks.resources(known, known.hosts["box"])
    assert file == playbooks.by_name["motd"].module.File("/etc/motd", "box: ana answers for this host.\n\nDeploys are on Tuesdays.\n")
    (folder / "notice.txt").unlink()
    with pytest.raises(UsageError, match=r"cannot read the notice notice\.txt"):
        playbooks.resources(known, known.hosts["box"])


def test_a_misspelt_key_is_an_error_with_its_place(folder: Path) -> None:
    playbooks = Playbooks(folder)
    text = files(PAGE)["inventory.yaml"].replace("notice:", "notise:")
    known = inventory.parse(text, "inventory.yaml", list(playbooks.by_name))
    with pytest.raises(InventoryError) as error:
        playbooks.resources(known, known.hosts["box"])
    assert f"✘ {error.value.what}\n        {error.value.why}\n" in (DOCS / PAGE).read_text("utf-8")


def test_the_question_is_read(folder: Path) -> None:
    module = Playbooks(folder).by_name["timezone"].module
    questions = [module.LinkAt(path) for path in ("/a", "/b", "/c")]
    section = Section("link ../x y\nlink\nabsent\n", "", 0)
    assert module.LinkAt.parse(questions, section) == dict(zip(questions, ["../x y", "", Missing.ABSENT], strict=True))


@pytest.mark.parametrize(
    ("found", "steps", "undo"),
    [
        ("/usr/x", [], []),
        ("/usr/y", [("/usr/y", "/usr/x")], ["ln -s -f -n -- /usr/y /etc/z"]),
        (Missing.ABSENT, [(None, "/usr/x")], ["rm -- /etc/z"]),
    ],
)
def test_the_resource_is_planned(folder: Path, found: Any, steps: list[Any], undo: list[str]) -> None:
    module = Playbooks(folder).by_name["timezone"].module
    plan = make_plan([module.Link("/etc/z", "/usr/x")], Facts({module.LinkAt("/etc/z"): found}, {}))
    assert [(change.before, change.after) for step in plan.steps for change in step.changes] == steps
    assert [str(action.undo) for step in plan.steps for action in step.actions if hasattr(action, "undo")] == undo


def test_what_is_no_link_is_refused(folder: Path) -> None:
    module = Playbooks(folder).by_name["timezone"].module
    plan = make_plan([module.Link("/etc/z", "/usr/x")], Facts({module.LinkAt("/etc/z"): ""}, {}))
    assert [refusal.what for _, refusal in plan.refusals] == ["/etc/z is there, and is not a link"]
