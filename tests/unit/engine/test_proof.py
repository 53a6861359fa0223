"""What is right on paper and does not work: asked only when nothing is left to do, and never a success."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from novaops.engine import converge as engine
from novaops.engine.converge import RunOptions
from novaops.engine.peers import converge_in
from novaops.engine.planner import make_plan
from novaops.engine.report import HostReport, as_json, error_lines
from novaops.errors import HostFailed, Refused
from novaops.facts.runs import LastRun, LastRunStill, Newest
from novaops.model.action import Command
from novaops.model.plan import Change, Note, Resource, Step
from novaops.model.question import Facts, Question
from novaops.ssh.target import Target


@dataclass
class Thing(Resource):
    """A resource that is told how it is."""

    name: str
    broken: str = ""
    missing: bool = False
    refused: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"thing:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        return ()

    def plan(self, facts: Facts) -> Iterable[Step]:
        del facts
        if self.refused:
            raise Refused(f"{self.name} is refused")
        if self.missing:
            yield Step(self.id, (Change("thing", None, "present"),), (Command(("true",)),))

    def notes(self, facts: Facts) -> Iterator[str]:
        del facts
        yield f"{self.name} was looked at"

    def verify_works(self, facts: Facts) -> None:
        del facts
        self.asked.append(self.name)
        if self.broken:
            raise HostFailed(f"{self.name} does not work", why=self.broken, fix=f"mend {self.name}")


class Plain(Resource):
    """Most resources have no proof."""

    id = "plain:x"

    def questions(self) -> Iterable[Question[Any]]:
        return ()

    def plan(self, facts: Facts) -> Iterable[Step]:
        del facts
        return ()


NOTHING = Facts({}, {})


def test_all_that_does_not_work_is_found() -> None:
    plan = make_plan([Thing("a", "why a"), Plain(), Thing("b"), Thing("c", "why c")], NOTHING)
    assert [(resource, failure.what) for resource, failure in plan.unproven] == [
        ("thing:a", "a does not work"),
        ("thing:c", "c does not work"),
    ]
    assert plan, "there is something wrong"
    assert not make_plan([Thing("a"), Plain()], NOTHING)


@pytest.mark.parametrize("other", [Thing("b", missing=True), Thing("b", refused=True)])
def test_it_is_not_asked_while_something_is_left_to_do(other: Thing) -> None:
    thing = Thing("a", "why")
    assert make_plan([thing, other], NOTHING).unproven == ()
    assert make_plan([other, thing], NOTHING).unproven == ()
    assert (thing.asked, other.asked) == ([], [])


def test_what_could_not_be_asked_is_not_proven() -> None:
    """A proof rests on facts; without them nothing is proven, and that is no bug."""

    class Asks(Thing):
        def verify_works(self, facts: Facts) -> None:
            facts.known(LastRun())

    [(resource, failure)] = make_plan([Asks("a")], NOTHING).unproven
    assert resource == "thing:a"
    assert "could not say" in failure.what


def test_other_errors_are_not_swallowed() -> None:
    class Wrong(Thing):
        def verify_works(self, facts: Facts) -> None:
            raise RuntimeError(str(facts))

    with pytest.raises(RuntimeError):
        make_plan([Wrong("a")], NOTHING)


# -- a whole run ------------------------------------------------------------------------------------------------------


class Session:
    execs, connection = 0, object()
    target = Target("box", "192.0.2.1", 22, "root")


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Step, ...]]:
    """The runs that were carried out; each of them makes all things present."""
    runs: list[tuple[Step, ...]] = []

    class Run:
        id = "20260101T000000-1"

        def __init__(self, steps: tuple[Step, ...], *_: Any, **__: Any) -> None:
            self.steps = steps

    def carry_out(_: Any, run: Run, __: Any) -> Any:
        runs.append(run.steps)
        for thing in THINGS:
            thing.missing = False
        return OUTCOMES.pop(0)

    monkeypatch.setattr(engine, "ask", lambda *_, **__: Facts({LastRun(): Newest(), LastRunStill(): Newest()}, {}))
    monkeypatch.setattr("novaops.engine.run.new_run", Run)
    monkeypatch.setattr("novaops.engine.run.carry_out", carry_out)
    return runs


THINGS: list[Thing] = []
OUTCOMES: list[Any] = []


class Ended:
    """What a run came to."""

    logins = 0

    def __init__(self, end: str) -> None:
        self.end = end


def go(*things: Thing, ends: tuple[str, ...] = ("ok",), check: bool = False) -> HostReport:
    THINGS[:] = things
    OUTCOMES[:] = [Ended(end) for end in ends]
    return converge_in(Session(), [*things, Plain()], RunOptions(check=check), lambda *_: None)[0]  # type: ignore[arg-type]


def statuses(report: HostReport) -> dict[str, str]:
    return {line.resource: line.status for line in report.lines}


@pytest.mark.parametrize("check", [False, True])
def test_right_on_paper(applied: list[Any], *, check: bool) -> None:
    report = go(Thing("a", "the upstream is down"), Thing("b"), check=check)
    assert (report.status, report.exit_code, applied) == ("failed", 1, [])
    assert statuses(report) == {"thing:a": "failed", "thing:b": "unchanged", "plain:x": "unchanged"}
    assert report.error is not None
    assert (report.error.what, report.error.why, report.error.fix) == ("a does not work", "the upstream is down", "mend a")
    assert report.run == ""
    assert Note("thing:b", "b was looked at") in report.notes


def test_several_are_said_in_one_sentence(applied: list[Any]) -> None:
    report = go(Thing("a", "why a"), Thing("b", "why b"), Thing("c", "why c"))
    assert report.error is not None
    assert report.error.what == "a does not work; b does not work; c does not work"
    assert report.error.why == "why a"
    assert list(statuses(report).values()) == ["failed", "failed", "failed", "unchanged"]
    assert applied == []


def test_done_and_still_not_working(applied: list[Any]) -> None:
    """The work is kept, and said; the run can be undone."""
    report = go(Thing("a", "why", missing=True), Thing("b", missing=True))
    assert (report.status, report.exit_code, report.run, len(applied)) == ("failed", 1, "20260101T000000-1", 1)
    assert statuses(report) == {"thing:a": "failed", "thing:b": "changed", "plain:x": "unchanged"}


def test_done_and_working(applied: list[Any]) -> None:
    thing = Thing("a", missing=True)
    report = go(thing)
    assert (report.status, report.exit_code, len(applied), thing.asked) == ("changed", 0, 1, ["a"])


def test_a_look_only_says_what_would_change(applied: list[Any]) -> None:
    thing = Thing("a", "why", missing=True)
    assert (go(thing, check=True).status, thing.asked, applied) == ("would_change", [], [])


def test_another_run_did_the_work(applied: list[Any]) -> None:
    report = go(Thing("a", "why", missing=True), ends=("stale",))
    assert (report.status, report.exit_code, len(applied)) == ("failed", 1, 1)
    assert statuses(report) == {"thing:a": "failed", "plain:x": "unchanged"}


def test_another_run_did_the_work_and_may_take_it_back(applied: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([Newest(), Newest("other", unconfirmed=True), Newest("other")])
    waited: list[int] = []
    monkeypatch.setattr(engine, "ask", lambda *_, **__: Facts({LastRun(): (newest := next(looks)), LastRunStill(): newest}, {}))
    monkeypatch.setattr(engine, "_wait_for_the_guard", lambda *_: waited.append(1))
    assert (go(Thing("a", missing=True), ends=("stale",)).status, waited, len(applied)) == ("unchanged", [1], 1)


def test_it_is_said_to_people_and_machines(applied: list[Any]) -> None:
    report = go(Thing("a", "why"))
    document = json.loads(json.dumps(as_json([report])))
    assert (document["exit_code"], document["hosts"][0]["error"]["what"]) == (1, "a does not work")
    assert report.error is not None
    told = " ".join(text for _, text in error_lines(report.error))
    assert "a does not work" in told
    assert "mend a" in told
    assert ("thing:a", "failed") in [(line.resource, line.status) for line in report.lines]
    assert applied == []


def test_what_two_sections_want_is_one_line_of_the_report() -> None:
    curl, other = Thing("curl"), Thing("other", missing=True)
    assert make_plan([curl, other, curl], Facts({}, {})).resources == ("thing:curl", "thing:other")
