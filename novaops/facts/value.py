"""Values that are not files, by their sha256: that tells whether one has changed, and the value itself stays on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import lines_of, quote

NOTHING = sha256(b"").hexdigest()
"""The sha256 of nothing: there is no value any more, as for the password of a removed user."""


@dataclass(frozen=True)
class Value:
    now: str
    """The sha256 of the present value."""
    before: str
    """The sha256 of the value before the run that kept it; "" where that is not recorded."""


@dataclass(frozen=True)
class ValueOf(Question[Value]):
    command: str
    """sh from an action of novaops, which prints the value."""
    kept: str
    """The path of the old value, which a run kept."""
    family: ClassVar[str] = "value"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        lines = (
            f'sh -c {quote(q.command)} 2>/dev/null | sha256sum | cut -d " " -f 1; cat {quote(q.kept + ".before")} 2>/dev/null || echo\n'
            for q in questions
        )
        return "".join(lines)

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Value | Missing]:
        lines = lines_of(section.stdout)
        return {q: Value(*pair) for q, pair in zip(questions, zip(lines[::2], lines[1::2], strict=False), strict=False)}
