"""What has to wait on a tunnel's client until the gateway lets its key in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import WaitingForPeer
from novaops.features.tunnel.facts.ends import AuthorizedKeys, TunnelKey
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question


@dataclass(frozen=True)
class Permitted:
    """`resource`, once the gateway has the very line for the key that is here. What is right already waits for nobody."""

    resource: Resource
    name: str
    via: str
    options: str
    """Of the key, on the gateway."""
    comment: str

    @property
    def id(self) -> str:
        return self.resource.id

    def questions(self) -> Iterable[Question[Any]]:
        yield TunnelKey(self.name)
        yield from self.resource.questions()

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        yield self.via, AuthorizedKeys()

    def plan(self, facts: Facts) -> Iterable[Step]:
        steps = tuple(self.resource.plan(facts))
        if steps and not is_permitted(facts, self.name, self.via, f"{self.options} {{}} {self.comment}"):
            raise WaitingForPeer(f"{self.via}'s permission", steps)
        return steps


def is_permitted(facts: Facts, name: str, via: str, line: str) -> bool:
    """Whether the gateway has `line`, in which {} stands for the key, with the key that is here."""
    key = facts[TunnelKey(name)]
    return key is not Missing.ABSENT and line.replace("{}", key.public) in facts.of(via).known(AuthorizedKeys()).lines
