"""Whether a host reaches what a tunnel is to lead to, before the tunnel is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import join, lines_of, quote, sh_file


@dataclass(frozen=True)
class TargetReached(Question[str]):
    """Why a TCP connection cannot be made; "" where it can, and where the tunnel leads there already."""

    host: str
    port: int
    settled: str
    """sh: a test that succeeds where the tunnel leads there already. Then nobody is asked: the tunnel itself is."""
    family: ClassVar[str] = "target-reached"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        asked = (
            f"if sh -c {quote(q.settled)} >/dev/null 2>&1; then echo yes; else reach {join((q.host, str(q.port)))}; fi" for q in questions
        )
        return sh_file(__package__, "reach.sh") + "\n".join([*asked, ""])

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, str | Missing]:
        answers = (line.partition(" ") for line in lines_of(section.stdout))
        return {q: "" if word == "yes" else why or "no connection" for q, (word, _, why) in zip(questions, answers, strict=False)}
