"""Values that are no files, by their sha256 alone: what such a value is need not leave the host to tell whether it has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import quote

NOTHING = sha256(b"").hexdigest()
"""What has no value any more, such as the password of a user who is gone."""


@dataclass(frozen=True)
class Value:
    now: str
    """The sha256 of what it is."""
    before: str
    """The sha256 of what it was before the run that kept it; "" where that was not written down."""


@dataclass(frozen=True)
class ValueOf(Question[Value]):
    command: str
    """sh of novaops' own that prints the value."""
    kept: str
    """Where a run kept the old one."""
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
        lines = section.stdout.splitlines()
        return {q: Value(*pair) for q, pair in zip(questions, zip(lines[::2], lines[1::2], strict=False), strict=False)}
