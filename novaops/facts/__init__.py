"""Questions to a host and what it answered. One file per family: the shell that asks, the function that reads."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from novaops.errors import HostFailed

Answer = TypeVar("Answer")


class Gap(enum.Enum):
    """Why there is no answer. "We looked, it is not there" is not "we could not look"."""

    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Section:
    """What one family's shell printed: both streams as text (bytes that are no UTF-8 as surrogates), and its status."""

    stdout: str
    stderr: str
    status: int


class Question(ABC, Generic[Answer]):
    """Something that can be asked of a host. Subclasses are frozen dataclasses, so a question is its own key."""

    family: ClassVar[str]
    """The family's name: the word that frames its section in the probe."""

    @classmethod
    @abstractmethod
    def ask(cls, questions: Sequence[Self]) -> str:
        """POSIX sh for ALL questions of the family. It only reads, and runs as root in a subshell of its own."""

    @classmethod
    @abstractmethod
    def read(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Answer | Gap]:
        """The answers; a question left out counts as UNKNOWN."""


class Facts:
    """What a host answered, by question."""

    def __init__(self, answers: Mapping[Question[Any], Any], reasons: Mapping[str, str]) -> None:
        self._answers = dict(answers)
        self._reasons = dict(reasons)

    def __getitem__(self, question: Question[Answer]) -> Answer | Literal[Gap.ABSENT]:
        """The answer, or ABSENT. Raises HostFailed when the host could not say: nothing is planned on a guess."""
        answer = self._answers.get(question, Gap.UNKNOWN)
        if answer is Gap.UNKNOWN:
            raise HostFailed(
                f"the host could not say: {question}",
                why=self._reasons.get(question.family, "").strip() or "its answer could not be understood",
            )
        return answer  # type: ignore[no-any-return]

    def known(self, question: Question[Answer]) -> Answer:
        """The answer to a question that has no ABSENT. Raises HostFailed where it has one all the same."""
        answer = self[question]
        if answer is Gap.ABSENT:
            raise HostFailed(f"the host has no answer: {question}")
        return answer

    def but(self, question: Question[Answer], answer: Answer | Literal[Gap.ABSENT]) -> Facts:
        """The same with another answer to one question."""
        return Facts({**self._answers, question: answer}, self._reasons)

    def __iter__(self) -> Any:
        return iter(self._answers)
