"""A resource whose time has come only when another host is ready for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import WaitingForPeer
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question


@dataclass(frozen=True)
class AfterPeer:
    """`resource`, once `peer` has something. What is right already waits for nobody."""

    resource: Resource
    peer: str
    question: Question[Any]
    """Asked of the peer; ABSENT or False: not yet."""
    what: str
    """As a person names it: "canada's permission"."""

    @property
    def id(self) -> str:
        return self.resource.id

    def questions(self) -> Iterable[Question[Any]]:
        return self.resource.questions()

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        yield self.peer, self.question
        yield from getattr(self.resource, "peer_questions", tuple)()

    def plan(self, facts: Facts) -> Iterable[Step]:
        steps = tuple(self.resource.plan(facts))
        if steps and facts.of(self.peer)[self.question] in (Missing.ABSENT, False):
            raise WaitingForPeer(self.what, steps)
        return steps

    def __getattr__(self, name: str) -> Any:
        """Whatever else a resource may have (proof, notes, claims, foreseen) is the resource's own."""
        return getattr(self.resource, name)
