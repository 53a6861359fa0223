"""Questions to a host, and its answers. Each question class has the shell script that asks and the function that parses its output."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from novaops.errors import HostFailed, NovaopsError, Unreachable

Answer = TypeVar("Answer")


class Missing(enum.Enum):
    """Why there is no answer: the thing is not there (ABSENT), or the host could not tell (UNKNOWN)."""

    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Section:
    """What the script of one family printed, and its exit status. Bytes that are not UTF-8 are surrogates."""

    stdout: str
    stderr: str
    status: int


class Question(ABC, Generic[Answer]):
    """Something that can be asked of a host. Subclasses are frozen dataclasses: equal questions have one answer."""

    family: ClassVar[str]
    """The family's name, which marks its section in the output of the probe."""
    bulky: ClassVar[bool] = False
    """Whether a host may print more than a pipe holds, 64 kB: it is then not let wait for other families."""
    when: ClassVar[Literal["first", "meanwhile", "last"]] = "meanwhile"
    """Whether it is answered before all others are asked, or after all have answered. Those in between are asked at the same time."""

    @classmethod
    @abstractmethod
    def script(cls, questions: Sequence[Self]) -> str:
        """POSIX sh for ALL questions of the family. It only reads, and runs as root in a subshell of its own."""

    @classmethod
    @abstractmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Answer | Missing]:
        """The answers; a question left out counts as UNKNOWN, and so do all of them after a ValueError, KeyError, IndexError
        or RecursionError. It raises nothing else.
        """


@dataclass(frozen=True)
class Singleton(Question[Answer]):
    """A question without fields: a host has one answer to it. Subclasses need no decorator of their own."""

    @classmethod
    @abstractmethod
    def script_one(cls) -> str:
        """See `script`."""

    @classmethod
    @abstractmethod
    def parse_one(cls, section: Section) -> Answer | Missing:
        """The answer; UNKNOWN where the section does not tell."""

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        del questions
        return cls.script_one()

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Answer | Missing]:
        answer = cls.parse_one(section)
        return {} if answer is Missing.UNKNOWN else dict.fromkeys(questions, answer)


class Facts:
    """What a host answered, by question, and what its peers answered."""

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
        """The facts of a peer: its answers to `Resource.peer_questions`.

        Raises Unreachable where the peer could not be reached, HostFailed where it could not be asked.
        """
        found = self._peers.get(peer)
        if isinstance(found, Facts):
            return found
        why = "it was not asked" if found is None else "\n".join(filter(None, [found.what, found.why]))
        kind = Unreachable if isinstance(found, Unreachable) else HostFailed
        raise kind(f"nothing is done without {peer}, of which nothing is known", why=why, fix=found.fix if found is not None else "")

    def but(self, question: Question[Answer], answer: Answer | Literal[Missing.ABSENT]) -> Facts:
        """These facts with another answer to one question."""
        return Facts({**self._answers, question: answer}, self._reasons, self._peers)

    def beside(self, peers: Mapping[str, Facts | NovaopsError]) -> Facts:
        """These facts with those of the peers; an error is why a peer has none."""
        return Facts(self._answers, self._reasons, peers)

    def __iter__(self) -> Any:
        return iter(self._answers)
