"""Whether a test in sh succeeds on the host. Actions have such tests, which tell whether they or their undo are done already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import quote


@dataclass(frozen=True)
class Succeeds(Question[bool]):
    """`command` is sh from an action of novaops, and only reads."""

    command: str
    family: ClassVar[str] = "holds"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return "".join(f"(eval {quote(q.command)}) >/dev/null 2>&1; echo $?\n" for q in questions)  # starts no program, as sh -c would

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, bool | Missing]:
        return {q: line == "0" for q, line in zip(questions, section.stdout.split(), strict=False)}


def has(command: str) -> Succeeds:
    """Whether the host has a command of that name, wherever it is from."""
    return Succeeds(f"command -v {quote(command)}")
