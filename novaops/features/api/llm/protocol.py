"""A conversation with a model, in the words that all providers share: what is asked, and the events of the answer. Pure."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, Protocol

from novaops.errors import NovaopsError, UsageError
from novaops.secret import Secret

Role = Literal["system", "user", "assistant"]


class ApiFailed(NovaopsError):
    """The API was reached and did not answer the request. `what` has its own words where it had any."""

    code = "api"
    exit_code = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "", status: int | None = None) -> None:
        super().__init__(what, why=why, fix=fix)
        self.status = status
        """The HTTP status; None where the answer had none that failed, such as a stream that was cut."""


class Incomplete(ApiFailed):
    """The answer ended at a limit that nobody asked for. What came of it counts, and a conversation goes on with it."""


@dataclass(frozen=True)
class KeyPair:
    """An access key's id and its secret. A short-lived token is signed with it for each request."""

    id: str
    secret: Secret


Credential = Secret | KeyPair | None
"""What a request shows of who asks. None: nothing, for a server that asks for no key, or a proxy that puts one in."""


def sendable(secret: Secret, whose: str) -> Secret:
    """The secret, if it can stand in a header. Raises UsageError."""
    text = secret.reveal()
    if not text or not all(" " < c <= "~" for c in text):
        raise UsageError(f"{whose} is empty, or has characters that cannot stand in a header")
    return secret


@dataclass(frozen=True)
class Message:
    role: Role
    text: str


@dataclass(frozen=True)
class Parameters:
    """How the answer is made. None: what the provider takes by default. A provider's file says which of them it has."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    repetition_penalty: float | None = None
    n: int | None = None
    seed: int | None = None
    user: str | None = None


@dataclass(frozen=True)
class ChatRequest:
    messages: tuple[Message, ...]
    model: str = ""
    """"" for the one that the provider's file names."""
    parameters: Parameters = Parameters()
    stream: bool = True
    context: str = ""
    """Knowledge that the answer is to be based on: a field of its own where the provider has one, else a system message."""
    knowledge: tuple[str, ...] = ()
    """The ids of knowledge bases at the provider, which searches them on the way to the answer."""
    passages: int | None = None
    """How many passages of them the model is to get, where the provider takes a number."""
    web_search: bool = False


@dataclass(frozen=True)
class Delta:
    """A piece of an answer's text. Without streaming there is one for each answer."""

    text: str
    choice: int = 0
    """Which of the `n` answers it belongs to."""
    reasoning: bool = False
    """Whether it is what the model thinks before it answers, and no part of the answer."""


PROVIDER = "provider"
"""Who found a passage that nobody searched for here."""


@dataclass(frozen=True)
class Passage:
    """A passage of a knowledge base that an answer is based on."""

    text: str
    document: str = ""
    place: str = ""
    found_by: str = PROVIDER
    """"key", "text" or "vector"; "provider" where the provider searched."""

    @property
    def source(self) -> str:
        """As people read it: manual.pdf, page 3."""
        return ", ".join(filter(None, (self.document, self.place)))


@dataclass(frozen=True)
class Usage:
    """What the request cost. A provider may say it in parts, 0 for what it does not say yet: the largest numbers count."""

    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class Finished:
    """An answer is complete. `reason` is the provider's word: stop, length, content_filter, …"""

    reason: str
    choice: int = 0


Event = Delta | Passage | Usage | Finished


class Client(Protocol):
    """One provider by one route."""

    def chat(self, request: ChatRequest) -> Generator[Event]:
        """The events of the answer, as they come. Closing the iterator ends the request.

        Raises UsageError for a parameter that the provider does not have, before anything is sent; ApiFailed; Unreachable.
        """
        ...

    def close(self) -> None: ...
