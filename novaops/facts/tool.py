"""Programs a step needs: is it there?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.facts import Gap, Question, Section
from novaops.shell import join


@dataclass(frozen=True)
class ToolNamed(Question[str]):
    """Where the program is; ABSENT when it is not installed."""

    name: str
    family: ClassVar[str] = "tool"

    @classmethod
    def ask(cls, questions: Sequence[Self]) -> str:
        return f'for tool in {join(q.name for q in questions)}; do command -v "$tool" || echo; done\n'

    @classmethod
    def read(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, str | Gap]:
        return {q: line or Gap.ABSENT for q, line in zip(questions, section.stdout.splitlines(), strict=False)}
