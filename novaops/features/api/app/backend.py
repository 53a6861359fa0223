"""What the page needs of the rest of novaops, in its own few words. All of it may take a while: it is called in threads."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from novaops.features.api.llm.protocol import Passage
from novaops.features.api.llm.redact import Redactor
from novaops.features.api.remote.uploads import Sent


@dataclass(frozen=True)
class Choice:
    """By which way to which API."""

    provider: str
    via: str


@dataclass(frozen=True)
class Place:
    """Where a file goes: into a base of this machine, into one at a provider, or among the provider's files."""

    base: str = ""
    """PROVIDER/ID for one at a provider; empty for the provider's files."""
    choice: Choice | None = None
    """By which way to the provider; None for a base of this machine."""
    purpose: str = ""
    """What it is for, among the provider's files."""

    def lists_with(self, other: Place) -> bool:
        """Whether what is on its way there stands in the same list."""
        return (self.base, self.choice and self.choice.provider) == (other.base, other.choice and other.choice.provider)


@dataclass(frozen=True)
class ProviderChoice:
    name: str
    usable: bool
    """Whether there is what it asks for, such as a key."""
    routes: Sequence[str] = ("direct",)
    model: str = ""
    """The one that is asked where the question names none."""
    parameters: Sequence[str] = ()
    """Those of Question.parameters that it has."""
    web_search: bool = False
    """Whether it can be asked to search the web."""
    keeps_bases: bool = False
    """Whether knowledge bases can be made there."""
    purposes: Sequence[str] = ()
    """What files can be sent there for; none where it keeps no files."""
    largest: int = 0
    """Bytes of a file there."""
    searches: bool = False
    """Whether a base there can be searched without a question."""


@dataclass(frozen=True)
class Question:
    choice: Choice
    model: str
    messages: Sequence[tuple[Literal["system", "user", "assistant"], str]]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    base: str = ""
    """The knowledge base that the answer is to be based on."""
    context: str = ""
    """What else it is to be based on."""
    web_search: bool = False


@dataclass(frozen=True)
class Text:
    text: str
    reasoning: bool = False
    answer: int = 0
    """Which of the answers it belongs to, where several were asked for."""


@dataclass(frozen=True)
class Passages:
    """What the answer is based on."""

    passages: Sequence[Passage]


@dataclass(frozen=True)
class Used:
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class Ended:
    reason: str
    answer: int = 0


Event = Text | Passages | Used | Ended


@dataclass(frozen=True)
class Document:
    name: str
    passages: int


@dataclass(frozen=True)
class ProviderBase:
    """A knowledge base at a provider."""

    id: str
    """PROVIDER/ID: no base of one's own has such a name."""
    name: str


@dataclass(frozen=True)
class ProviderFile:
    id: str
    name: str
    state: str
    """ready, pending or failed."""
    said: str = ""
    """The provider's own word for it, and why it failed."""
    size: int = 0
    purpose: str = ""
    """In the provider's words."""


class Backend(Protocol):
    """Every method raises NovaopsError, whose sentences are shown beside what caused them."""

    def redactor(self) -> Redactor:
        """Takes the keys out of all that goes to the page."""
        ...

    def providers(self) -> Sequence[ProviderChoice]: ...

    def kinds(self) -> Sequence[str]:
        """The ends of the names of files that can be read: ".pdf"."""
        ...

    def largest(self) -> int:
        """Bytes of a file for a base of this machine."""
        ...

    def admit(self, place: Place, name: str) -> int:
        """The most bytes of a file of that name. Raises UsageError where it cannot go there."""
        ...

    def check(self, choice: Choice) -> float:
        """Milliseconds until the API answers a request that costs nothing."""
        ...

    def models(self, choice: Choice) -> Sequence[str]: ...

    def answer(self, question: Question) -> Generator[Event]:
        """Closing it ends the request."""
        ...

    def search(self, choice: Choice, base: str, text: str) -> Sequence[Passage]:
        """The passages of a base that fit a text, best first."""
        ...

    def bases(self) -> Sequence[str]: ...

    def create(self, base: str, embeddings: str) -> None:
        """`embeddings`: the model of its vectors, as PROVIDER/MODEL; empty for none."""
        ...

    def delete(self, base: str) -> None: ...

    def provider_bases(self, choice: Choice) -> Sequence[ProviderBase]:
        """None where the provider has no such thing."""
        ...

    def create_there(self, choice: Choice, name: str) -> ProviderBase: ...

    def delete_there(self, choice: Choice, base: str) -> None: ...

    def provider_files(self, choice: Choice, base: str) -> Sequence[ProviderFile]:
        """Those of a base; without one all that the provider keeps."""
        ...

    def remove_there(self, choice: Choice, base: str, file: str) -> None:
        """Out of a base, and the file stays at the provider; without a base the file itself."""
        ...

    def documents(self, base: str) -> Sequence[Document]: ...

    def add(self, place: Place, file: Path, sent: Sent) -> None:
        """Returns when the file is ready there."""
        ...

    def remove(self, base: str, document: str) -> None: ...
