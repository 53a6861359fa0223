"""A resource whose time has come only when another host is ready for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import WaitingForPeer
from novaops.model.plan import Resource, Step, Wrapped
from novaops.model.question import Facts, Missing, Question


@dataclass(frozen=True)
class AfterPeer(Wrapped):
    """`resource`, once `peer` is ready. What is right already waits for nobody."""

    resource: Resource
    peer: str
    question: Question[Any]
    """Asked of the peer."""
    what: str
    """What is waited for, as a person names it: "canada's permission"."""
    ready: Callable[[Facts], bool] | None = None
    """Whether the peer is ready, from this host's facts (and `facts.of(peer)`). Without it: the peer's answer is neither ABSENT nor False."""
    own_questions: tuple[Question[Any], ...] = ()
    """What `ready` has to know of this host."""

    def questions(self) -> Iterable[Question[Any]]:
        yield from self.own_questions
        yield from self.resource.questions()

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        yield self.peer, self.question
        yield from self.resource.peer_questions()

    def plan(self, facts: Facts) -> Iterable[Step]:
        steps = tuple(self.resource.plan(facts))
        if steps and not self._is_ready(facts):
            raise WaitingForPeer(self.what, steps)
        return steps

    def _is_ready(self, facts: Facts) -> bool:
        if self.ready is not None:
            return self.ready(facts)
        return facts.of(self.peer)[self.question] not in (Missing.ABSENT, False)
