"""A question to a model, with what a knowledge base holds about it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from novaops.errors import UsageError
from novaops.features.api.knowledge import prompt
from novaops.features.api.llm.protocol import ChatRequest, Client, Event, Passage


@dataclass(frozen=True)
class BaseRef:
    """NAME for a base of one's own, PROVIDER/ID for one at a provider."""

    name: str
    provider: str = ""

    @classmethod
    def parse(cls, word: str) -> BaseRef:
        """Raises UsageError."""
        provider, slash, number = word.rpartition("/")
        if slash and not (provider and number):
            raise UsageError(f"{word} is no knowledge base", fix="NAME for one of your own, PROVIDER/ID for one at a provider")
        return cls(number, provider)

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}" if self.provider else self.name


def with_passages(request: ChatRequest, passages: list[Passage], base: BaseRef) -> tuple[ChatRequest, list[Passage]]:
    """The request with the passages before its question, and those that had room. Raises UsageError where there are none."""
    chosen = prompt.fitting(passages)
    if not chosen:
        why = "No entry has a key that the question names, and no passage has one of its words."
        raise UsageError(
            f"{base} holds nothing that fits the question", why=why, fix=f"novaops api knowledge ls {base} shows what is in it"
        )
    return replace(request, context=prompt.context(chosen)), chosen


class InformedClient:
    """A client that looks each question up first. The passages that it found are events of the answer, before its text."""

    def __init__(self, client: Client, search: Callable[[str], Iterable[Passage]]) -> None:
        """`search` gives the passages for a question, best first."""
        self._client = client
        self._search = search

    def chat(self, request: ChatRequest) -> Generator[Event]:
        found = prompt.fitting(self._search(request.messages[-1].text))
        yield from found
        context = "\n\n".join(filter(None, (request.context, prompt.context(found) if found else "")))
        yield from self._client.chat(replace(request, context=context))

    def close(self) -> None:
        self._client.close()


def in_turn(found: Iterable[Sequence[Passage]]) -> list[Passage]:
    """The passages of several bases, the best of each before the second of any."""
    return [passage for passage in chain.from_iterable(zip_longest(*found)) if passage is not None]
