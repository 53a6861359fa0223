"""A backend of the page for tests: bases in memory, and answers that the test lets go on piece by piece."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from novaops.errors import NovaopsError, Unreachable, UsageError
from novaops.features.api.app.backend import (
    Choice,
    Document,
    Ended,
    Event,
    Passages,
    Place,
    ProviderBase,
    ProviderChoice,
    ProviderFile,
    Question,
    Text,
    Used,
)
from novaops.features.api.llm.protocol import Passage
from novaops.features.api.llm.redact import Redactor
from novaops.features.api.remote.uploads import Sent

CHOSEN = Choice("local", "direct")
KEY = "sk-never-on-the-page"
WAIT = 20
"""Seconds until a test that forgot to let an answer go on fails."""


class PageBackend:
    """Echoes. A question with `slowly` waits for `go_on` between its words; `broken` cannot be reached."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, int]] = {"manuals": {"router.pdf": 12}}
        self.there: list[ProviderBase] = []
        """At the provider."""
        self.kept: dict[str, ProviderFile] = {}
        """The provider's files, by their ids."""
        self.inside: dict[str, list[str]] = {}
        """The ids of the files of each base there."""
        self.listed: list[tuple[Choice, str]] = []
        """What was asked for of the provider's files, and by which way."""
        self.added: list[Place] = []
        self.embeddings = ""
        self.more: list[ProviderChoice] = []
        """Providers besides the two."""
        self.waits: dict[str, threading.Semaphore] = {}
        """What is asked of the provider waits for these, by method."""
        self.fails: dict[str, NovaopsError] = {}
        """What fails the next time, by method."""
        self.questions: list[Question] = []
        self.go_on = threading.Semaphore(0)
        self.reading = threading.Semaphore(0)
        self.at_work = threading.Semaphore(0)
        self.closed = threading.Event()
        self.answering: Callable[[Question], Sequence[Event]] | None = None

    def redactor(self) -> Redactor:
        return Redactor([KEY])

    def providers(self) -> Sequence[ProviderChoice]:
        routes = ("direct", "canada", "proxy:canada/openai")
        local = ProviderChoice(
            "local",
            usable=True,
            routes=routes,
            model="smollm2-135m",
            parameters=("temperature", "top_p", "max_tokens", "n", "user"),
            web_search=True,
            keeps_bases=True,
            purposes=("knowledge", "fine-tune"),
            largest=2 << 20,
            searches=True,
        )
        return [local, ProviderChoice("openai", usable=False), *self.more]

    def _asked(self, method: str) -> None:
        if method in self.waits:
            assert self.waits[method].acquire(timeout=WAIT)
        if error := self.fails.pop(method, None):
            raise error

    def kinds(self) -> Sequence[str]:
        return [".txt", ".md", ".pdf"]

    def largest(self) -> int:
        return 1 << 20

    def admit(self, place: Place, name: str) -> int:
        del name
        if place.choice:
            return 2 << 20
        if place.base not in self.known:
            raise UsageError(f"there is no knowledge base {place.base}", fix="make it first")
        return 1 << 20

    def check(self, choice: Choice) -> float:
        if choice.provider == "openai":
            raise UsageError("openai asks for a key, and there is none", fix="say where it is: --key env:NAME")
        if choice.via == "canada":
            raise Unreachable("canada does not answer", why="Nothing came within 8 s.", fix="novaops host check canada says more")
        return 12.4

    def models(self, choice: Choice) -> Sequence[str]:
        del choice
        return ["smollm2-135m"]

    def answer(self, question: Question) -> Generator[Event]:
        self.questions.append(question)
        asked = question.messages[-1][1]
        try:
            if self.answering is not None:
                yield from self.answering(question)
                return
            if "broken" in asked:
                raise Unreachable("the API does not answer", why="The connection was refused.", fix="try again later")
            if question.base:
                yield Passages([Passage("Hold the button for ten seconds.", "router.pdf", "page 7", "text")])
            for word in f"You said: {asked}".split(" "):
                if "slowly" in asked:
                    assert self.go_on.acquire(timeout=WAIT)
                yield Text(f"{word} ")
            yield Used(5, 7)
            yield Ended("stop")
        finally:
            self.closed.set()

    def bases(self) -> Sequence[str]:
        return sorted(self.known)

    def search(self, choice: Choice, base: str, text: str) -> Sequence[Passage]:
        del choice
        self._asked("search")
        if "/" not in base:
            self._base(base)
        return [Passage("Hold the button for ten seconds.", "router.pdf", "page 7", "text")] if "button" in text else []

    def create(self, base: str, embeddings: str) -> None:
        self.embeddings = embeddings
        if base in self.known:
            raise UsageError(f"there is a base {base} already", fix="choose another name")
        self.known[base] = {}

    def delete(self, base: str) -> None:
        self._base(base)
        del self.known[base]

    def provider_bases(self, choice: Choice) -> Sequence[ProviderBase]:
        found = [each for each in self.there if each.id.startswith(f"{choice.provider}/")]
        self._asked("provider_bases")
        return found

    def create_there(self, choice: Choice, name: str) -> ProviderBase:
        self._asked("create_there")
        made = ProviderBase(f"{choice.provider}/vs_{len(self.there) + 1}", name)
        self.there.append(made)
        return made

    def delete_there(self, choice: Choice, base: str) -> None:
        assert base.startswith(f"{choice.provider}/")
        self._asked("delete_there")
        [found] = [each for each in self.there if each.id == base]
        self.there.remove(found)

    def provider_files(self, choice: Choice, base: str) -> Sequence[ProviderFile]:
        assert base.startswith(f"{choice.provider}/") or not base
        self.listed.append((choice, base))
        found = [self.kept[each] for each in self.inside.get(base, [])] if base else list(self.kept.values())
        self._asked("provider_files")
        return found

    def remove_there(self, choice: Choice, base: str, file: str) -> None:
        del choice
        self._asked("remove_there")
        if base:
            self.inside[base].remove(file)
        else:
            del self.kept[file]

    def documents(self, base: str) -> Sequence[Document]:
        return [Document(name, passages) for name, passages in self._base(base).items()]

    def add(self, place: Place, file: Path, sent: Sent) -> None:
        size = file.stat().st_size
        self.added.append(place)
        if place.choice:
            sent(size // 2, size)
        if "slow" in file.name:
            assert self.reading.acquire(timeout=WAIT)
            if place.choice:
                sent(size, size)
        if "at-work" in file.name:
            assert self.at_work.acquire(timeout=WAIT)
        if b"\x00" in file.read_bytes():
            raise UsageError(f"cannot use {file}", why="It is no text.", fix="save it as UTF-8")
        if place.choice:
            made = ProviderFile(f"file-{len(self.kept) + 1}", file.name, "ready", size=size, purpose=place.purpose)
            self.kept[made.id] = made
            self.inside.setdefault(place.base, []).append(made.id)
        else:
            self._base(place.base)[file.name] = 3

    def remove(self, base: str, document: str) -> None:
        if self._base(base).pop(document, None) is None:
            raise UsageError(f"{base} has no document {document}")

    def _base(self, name: str) -> dict[str, int]:
        if name not in self.known:
            raise UsageError(f"there is no knowledge base {name}")
        return self.known[name]
