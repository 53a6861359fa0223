"""Files and knowledge bases at a provider, in the words that all providers share. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol
from urllib.parse import quote

from novaops.errors import UsageError
from novaops.features.api.llm.protocol import Passage

State = Literal["ready", "pending", "failed"]


@dataclass(frozen=True)
class RemoteFile:
    id: str
    name: str = ""
    size: int = 0
    purpose: str = ""
    """In the provider's words."""
    state: State = "ready"
    said: str = ""
    """The provider's own word for the state, and why it failed."""


@dataclass(frozen=True)
class RemoteBase:
    id: str
    name: str = ""
    files: int = 0
    state: State = "ready"
    said: str = ""


@dataclass(frozen=True)
class Upload:
    """A file on its way."""

    name: str
    content: BinaryIO
    type: str
    """Its media type."""
    purpose: str
    """In the provider's words."""


class FileStore(Protocol):
    """All methods raise ApiFailed and Unreachable."""

    def list(self) -> Sequence[RemoteFile]: ...

    def get(self, file: str) -> RemoteFile: ...

    def upload(self, upload: Upload) -> RemoteFile: ...

    def remove(self, file: str) -> None: ...


class BaseStore(Protocol):
    """All methods raise ApiFailed and Unreachable."""

    def list(self) -> Sequence[RemoteBase]: ...

    def get(self, base: str) -> RemoteBase: ...

    def create(self, name: str) -> RemoteBase: ...

    def remove(self, base: str) -> None: ...

    def files(self, base: str) -> Sequence[RemoteFile]:
        """With the state of each in the base."""
        ...

    def add(self, base: str, file: str) -> None: ...

    def take_out(self, base: str, file: str) -> None:
        """The file itself stays."""
        ...

    def search(self, base: str, text: str, count: int) -> Sequence[Passage]:
        """Raises UsageError where the provider searches only on the way to an answer."""
        ...


def segment(number: str) -> str:
    """An id as one piece of a path. Raises UsageError for what is none."""
    try:
        found = quote(number, safe="")
    except UnicodeEncodeError:
        raise UsageError(f"“{number}” is no id of a file or a knowledge base", why="It is no text in UTF-8.") from None
    if not found.strip("."):
        raise UsageError(f"“{number}” is no id of a file or a knowledge base")
    return found


def state(word: str, ready: frozenset[str], failed: frozenset[str]) -> State:
    """What a provider's word for a state means. One that nobody knows: it is at work. None at all: nothing is left to do."""
    small = word.lower()
    return "ready" if small in ready or not small else "failed" if small in failed else "pending"
