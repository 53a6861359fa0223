"""What every resource has, and what a wrapper passes on."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from novaops.errors import HostFailed
from novaops.facts.file import FileAt
from novaops.model.plan import Change, ListensAt, Resource, Step, Wrapped
from novaops.model.question import Facts, Question

FACTS = Facts({}, {})
LATER = Facts({FileAt("/later"): True}, {})


class Everything(Resource):
    """A resource that uses all that is optional."""

    id = "everything:1"
    yields_to_present: ClassVar[bool] = True
    comes_first: ClassVar[bool] = True

    def questions(self) -> Iterable[Question[Any]]:
        return (FileAt("/a"),)

    def plan(self, facts: Facts) -> Iterator[Step]:
        del facts
        yield Step(self.id, (Change("field", None, "x"),), ())

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        return (("peer", FileAt("/b")),)

    def notes(self, facts: Facts) -> Iterable[str]:
        del facts
        return ("a note",)

    def exclusive_keys(self, facts: Facts) -> Iterable[str]:
        del facts
        return ("a key",)

    def listens_at(self) -> Iterable[ListensAt]:
        return (ListensAt("everything", 1),)

    def predict(self, facts: Facts) -> Facts:
        del facts
        return LATER

    def verify_works(self, facts: Facts) -> None:
        del facts
        raise HostFailed("it does not work")


@dataclass(frozen=True)
class Around(Wrapped):
    resource: Resource


class Bare(Resource):
    id = "bare:1"

    def questions(self) -> Iterable[Question[Any]]:
        return ()

    def plan(self, facts: Facts) -> Iterable[Step]:
        del facts
        return ()


def said(resource: Resource) -> dict[str, Any]:
    asked = {name: getattr(resource, name)(FACTS) for name in ("plan", "notes", "exclusive_keys", "predict")}
    asked |= {name: getattr(resource, name)() for name in ("questions", "peer_questions", "listens_at")}
    return {name: value if isinstance(value, Facts) else tuple(value) for name, value in asked.items()}


def test_a_wrapper_passes_everything_on() -> None:
    inner, outer = Everything(), Around(Everything())
    assert said(outer) == said(inner)
    assert all(said(inner).values())
    assert (outer.id, outer.yields_to_present, outer.comes_first) == (inner.id, True, True)
    with pytest.raises(HostFailed, match="it does not work"):
        outer.verify_works(FACTS)


def test_a_wrapper_forgets_nothing_that_a_resource_may_have() -> None:
    public = {name for name, _ in inspect.getmembers(Resource) if not name.startswith("_")}
    assert public <= vars(Wrapped).keys(), "what is added to Resource has to be passed on"


def test_what_is_optional_says_nothing() -> None:
    bare = Bare()
    nothing = dict.fromkeys(("plan", "notes", "exclusive_keys", "questions", "peer_questions", "listens_at"), ())
    assert said(bare) == {**nothing, "predict": FACTS}
    bare.verify_works(FACTS)
    assert not bare.yields_to_present
    assert not bare.comes_first


def test_a_resource_without_a_plan_is_none() -> None:
    with pytest.raises(TypeError, match="plan"):
        type("NoPlan", (Resource,), {"id": "x:1", "questions": lambda _: ()})()
