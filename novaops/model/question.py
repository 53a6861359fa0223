"""Questions to a host and what it answered. One file per family: the shell that asks, the function that reads."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from novaops.errors import HostFailed, NovaopsError, Unreachable

Answer = TypeVar("Answer")


class Missing(enum.Enum):
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
    def script(cls, questions: Sequence[Self]) -> str:
        """POSIX sh for ALL questions of the family. It only reads, and runs as root in a subshell of its own."""

    @classmethod
    @abstractmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Answer | Missing]:
        """The answers; a question left out counts as UNKNOWN."""


class Facts:
    """What a host answered, by question; and beside it what its peers did, the other hosts that it has to do with."""

    def __init__(
        self,
        answers: Mapping[Question[Any], Any],
        reasons: Mapping[str, str],
        peers: Mapping[str, Facts | NovaopsError] | None = None,
    ) -> None:
        self._answers = dict(answers)
        self._reasons = dict(reasons)
        self._peers = dict(peers or {})

    def __getitem__(self, question: Question[Answer]) -> Answer | Literal[Missing.ABSENT]:
        """The answer, or ABSENT. Raises HostFailed when the host could not say: nothing is planned on a guess."""
        answer = self._answers.get(question, Missing.UNKNOWN)
        if answer is Missing.UNKNOWN:
            raise HostFailed(
                f"the host could not say: {question}",
                why=self._reasons.get(question.family, "").strip() or "its answer could not be understood",
            )
        return answer  # type: ignore[no-any-return]

    def known(self, question: Question[Answer]) -> Answer:
        """The answer to a question that has no ABSENT. Raises HostFailed where it has one all the same."""
        answer = self[question]
        if answer is Missing.ABSENT:
            raise HostFailed(f"the host has no answer: {question}")
        return answer

    def of(self, peer: str) -> Facts:
        """What that host answered, to what resources ask of it with `peer_questions`.

        Raises Unreachable where it could not be reached, HostFailed where it could not be asked.
        """
        found = self._peers.get(peer)
        if isinstance(found, Facts):
            return found
        why = "it was not asked" if found is None else "\n".join(filter(None, [found.what, found.why]))
        kind = Unreachable if isinstance(found, Unreachable) else HostFailed
        raise kind(f"nothing is done without {peer}, of which nothing is known", why=why, fix=found.fix if found is not None else "")

    def but(self, question: Question[Answer], answer: Answer | Literal[Missing.ABSENT]) -> Facts:
        """The same with another answer to one question."""
        return Facts({**self._answers, question: answer}, self._reasons, self._peers)

    def beside(self, peers: Mapping[str, Facts | NovaopsError]) -> Facts:
        """The same, with what the peers answered, or why one did not."""
        return Facts(self._answers, self._reasons, peers)

    def __iter__(self) -> Any:
        return iter(self._answers)
