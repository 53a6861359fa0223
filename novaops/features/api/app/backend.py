"""What the page needs of the rest of novaops, in its own few words. All of it may take a while: it is called in threads."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from novaops.features.api.llm.protocol import Passage
from novaops.features.api.llm.redact import Redactor


@dataclass(frozen=True)
class Choice:
    """By which way to which API."""

    provider: str
    via: str


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


Event = Text | Passages | Used | Ended


@dataclass(frozen=True)
class Document:
    name: str
    passages: int


@dataclass(frozen=True)
class ProviderBase:
    """A knowledge base at a provider. The page shows it and asks it, and changes nothing there."""

    id: str
    """PROVIDER/ID: no base of one's own has such a name."""
    name: str


@dataclass(frozen=True)
class ProviderFile:
    name: str
    state: str
    """ready, pending or failed."""


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
        """Bytes of a file."""
        ...

    def check(self, choice: Choice) -> float:
        """Milliseconds until the API answers a request that costs nothing."""
        ...

    def models(self, choice: Choice) -> Sequence[str]: ...

    def answer(self, question: Question) -> Generator[Event]:
        """Closing it ends the request."""
        ...

    def bases(self) -> Sequence[str]: ...

    def create(self, base: str) -> None: ...

    def delete(self, base: str) -> None: ...

    def provider_bases(self, choice: Choice) -> Sequence[ProviderBase]:
        """None where the provider has no such thing."""
        ...

    def provider_files(self, choice: Choice, base: str) -> Sequence[ProviderFile]: ...

    def documents(self, base: str) -> Sequence[Document]: ...

    def add(self, base: str, file: Path) -> None:
        """Returns when the file can be asked."""
        ...

    def remove(self, base: str, document: str) -> None: ...
