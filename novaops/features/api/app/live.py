"""The page's backend: the APIs' client, and the knowledge bases of this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

from pydantic import TypeAdapter, ValidationError

from novaops.errors import NovaopsError, UsageError
from novaops.features.api.app import backend
from novaops.features.api.app.backend import (
    Choice,
    Document,
    Event,
    Passages,
    Place,
    ProviderBase,
    ProviderChoice,
    ProviderFile,
    Question,
)
from novaops.features.api.app.connections import Connections
from novaops.features.api.cli_chat import ParameterFlags
from novaops.features.api.knowledge import base as bases
from novaops.features.api.knowledge import prompt, store
from novaops.features.api.knowledge.ask import BaseRef
from novaops.features.api.knowledge.documents import KINDS, LIMITS
from novaops.features.api.knowledge.search import COUNT, search
from novaops.features.api.llm.chat import ChatClient
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import ChatRequest, Delta, Finished, Incomplete, Message, Parameters, Passage, Usage
from novaops.features.api.llm.protocol import Event as ApiEvent
from novaops.features.api.llm.redact import Redactor
from novaops.features.api.remote import stores
from novaops.features.api.remote.adding import KNOWLEDGE, add_file, add_to_base
from novaops.features.api.remote.embeddings import Embeddings
from novaops.features.api.remote.protocol import RemoteFile
from novaops.features.api.remote.uploads import Sent

_PARAMETERS = TypeAdapter(Parameters)


class LiveBackend:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._names: dict[tuple[str, str], str] = {}
        """Of files at providers, by provider and id; empty where the provider does not know it."""

    def redactor(self) -> Redactor:
        return self._connections.redactor()

    def providers(self) -> Sequence[ProviderChoice]:
        return self._connections.providers()

    def kinds(self) -> Sequence[str]:
        return KINDS

    def largest(self) -> int:
        return LIMITS.size

    def admit(self, place: Place, name: str) -> int:
        if place.choice is None:
            if place.base not in store.listed():
                raise UsageError(f"there is no knowledge base {place.base}", fix="make it first")
            return LIMITS.size
        access = self._connections.access(place.choice)
        if place.base:
            _at(place.choice, BaseRef.parse(place.base))
        form = stores.form_of(access.route.provider, access.name)
        stores.scheme(form, access.name, KNOWLEDGE if place.base else place.purpose, Path(name).suffix.lower())
        return form.most

    def check(self, choice: Choice) -> float:
        """Of the second request: the first one opens the way."""
        with self._connections.http(choice) as (_, http):
            below = http.provider.probe.removeprefix(http.provider.endpoints[0].path)
            http.document("GET", below)
            started = time.monotonic()
            with http.open("GET", below):
                return (time.monotonic() - started) * 1000

    def models(self, choice: Choice) -> Sequence[str]:
        with self._connections.http(choice) as (_, http):
            return ChatClient(http).models()

    def answer(self, question: Question) -> Generator[Event]:
        parameters = _parameters(question)
        ref = BaseRef.parse(question.base)
        messages = tuple(Message(role, text) for role, text in question.messages)
        with self._connections.http(question.choice) as (access, http), self._look_up(question.choice, ref, http) as look_up:
            request = ChatRequest(messages, question.model or access.model, parameters, web_search=question.web_search)
            given = [question.context]
            if look_up:
                found = prompt.fitting(look_up(question.messages[-1][1]))
                yield Passages(found)
                given += [prompt.context(found)] if found else []
            knowledge = (_at(question.choice, ref),) if ref.provider and not look_up else ()
            request = replace(request, context="\n\n".join(filter(None, given)), knowledge=knowledge)
            with closing(ChatClient(http).chat(request)) as events, suppress(Incomplete):  # the page says it by the reason
                yield from _shown(events, searched=bool(knowledge))

    @contextmanager
    def _look_up(self, choice: Choice, ref: BaseRef, http: Http) -> Iterator[Callable[[str], Iterable[Passage]] | None]:
        """What finds the passages for a question, best first; None without a base, and where its provider looks them up by itself."""
        if not ref.name or (ref.provider and http.provider.searches_to_answer):
            yield None
        elif ref.provider:
            yield lambda text: stores.bases(http).search(_at(choice, ref), text, COUNT)
        else:
            with self._embedder(ref.name) as embedder:
                yield lambda text: search(ref.name, text, embedder=embedder)

    def search(self, choice: Choice, base: str, text: str) -> Sequence[Passage]:
        ref = BaseRef.parse(base)
        if not ref.provider:
            with self._embedder(ref.name) as embedder:
                return search(ref.name, text, embedder=embedder)
        with self._connections.http(choice) as (_, http):
            return stores.bases(http).search(_at(choice, ref), text, COUNT)

    def bases(self) -> Sequence[str]:
        return store.listed()

    def create(self, base: str, embeddings: str) -> None:
        if embeddings:
            provider, _, model = embeddings.partition("/")
            if not (provider and model):
                raise UsageError(f"“{embeddings}” names no model of vectors", fix="like openai/text-embedding-3-small")
            self._connections.access(self._connections.default(provider))
        bases.create(base, embeddings)

    def delete(self, base: str) -> None:
        bases.remove(base)

    def provider_bases(self, choice: Choice) -> Sequence[ProviderBase]:
        with self._connections.http(choice) as (_, http), suppress(UsageError):
            return [ProviderBase(f"{choice.provider}/{each.id}", each.name or each.id) for each in stores.bases(http).list()]
        return []

    def create_there(self, choice: Choice, name: str) -> ProviderBase:
        with self._connections.http(choice) as (_, http):
            made = stores.bases(http).create(name)
            return ProviderBase(f"{choice.provider}/{made.id}", made.name or name)

    def delete_there(self, choice: Choice, base: str) -> None:
        with self._connections.http(choice) as (_, http):
            stores.bases(http).remove(_at(choice, BaseRef.parse(base)))

    def provider_files(self, choice: Choice, base: str) -> Sequence[ProviderFile]:
        with self._connections.http(choice) as (_, http):
            if base:
                return [_listed(each) for each in self._named(stores.bases(http).files(_at(choice, BaseRef.parse(base))), http)]
            return [_listed(each) for each in stores.files(http)[0].list()]

    def remove_there(self, choice: Choice, base: str, file: str) -> None:
        with self._connections.http(choice) as (_, http):
            if base:
                stores.bases(http).take_out(_at(choice, BaseRef.parse(base)), file)
            else:
                stores.files(http)[0].remove(file)

    def documents(self, base: str) -> Sequence[Document]:
        return [Document(each.name, each.passages) for each in bases.list_documents(base)]

    def add(self, place: Place, file: Path, sent: Sent) -> None:
        if place.choice is None:
            self._add_here(place.base, file)
            return
        with self._connections.http(place.choice) as (_, http):
            if place.base:
                add_to_base(http, _at(place.choice, BaseRef.parse(place.base)), file, tell=_silent, sent=sent)
            else:
                add_file(http, file, place.purpose, tell=_silent, sent=sent)

    def _named(self, files: Sequence[RemoteFile], http: Http) -> Iterator[RemoteFile]:
        """The files of a base. Providers name them by their ids only: their names stand in the list of all files, asked for once."""
        for file in files:
            if file.name:
                self._names[http.name, file.id] = file.name
        if unknown := [file.id for file in files if (http.name, file.id) not in self._names]:
            found = dict.fromkeys(unknown, "")
            with suppress(NovaopsError):  # then they are shown by their ids
                found |= {file.id: file.name for file in stores.files(http)[0].list()}
            self._names.update({(http.name, number): name for number, name in found.items()})
        return (replace(file, name=self._names[http.name, file.id]) for file in files)

    def _add_here(self, base: str, file: Path) -> None:
        with self._embedder(base) as embedder:
            added = bases.add_document(base, file, embedder=embedder)
        if added.other:
            why = f"The same file is there as {added.other}."
            raise UsageError(f"{added.document} is not put in a second time", why=why, fix="remove that one first, or leave it so")

    def remove(self, base: str, document: str) -> None:
        bases.remove_documents(base, [document])

    @contextmanager
    def _embedder(self, base: str) -> Iterator[Embeddings | None]:
        """What makes the vectors of a base that has some."""
        provider, _, model = bases.describe(base).embeddings.partition("/")
        if not provider:
            yield None
            return
        with self._connections.http(self._connections.default(provider)) as (_, http):
            yield Embeddings(http, model)


def _listed(file: RemoteFile) -> ProviderFile:
    return ProviderFile(file.id, file.name or file.id, file.state, file.said, file.size, file.purpose)


def _silent(_: str) -> None:
    """The page shows by the state of a file that it is waited for."""


def _at(choice: Choice, ref: BaseRef) -> str:
    """The id of a base there. Raises UsageError where it is somewhere else."""
    if ref.provider != choice.provider:
        raise UsageError(f"the knowledge base {ref} is not at {choice.provider}", fix="choose its provider")
    return ref.name


def _parameters(question: Question) -> Parameters:
    """Raises UsageError for one that does not exist, or a value that the flag of that name would not take."""
    fix = "leave it empty for the provider's default"
    if unknown := set(question.parameters) - {each.name for each in fields(Parameters)}:
        raise UsageError(f"there is no parameter {min(unknown)}", fix=fix)
    try:
        found = _PARAMETERS.validate_python(dict(question.parameters))
    except ValidationError as error:
        raise UsageError(f"the value of {error.errors()[0]['loc'][0]} cannot be used", fix=fix) from None
    said = {name: value for name, value in vars(found).items() if isinstance(value, (int, float))}
    flags = get_type_hints(ParameterFlags, include_extras=True)
    for name, value in said.items():
        flag = flags[name].__metadata__[0]
        too_small, too_large = flag.min is not None and value < flag.min, flag.max is not None and value > flag.max
        if too_small or too_large or (isinstance(value, float) and not math.isfinite(value)) or isinstance(question.parameters[name], str):
            raise UsageError(f"the value of {name} cannot be used", fix=fix)
    return found


def _shown(events: Iterator[ApiEvent], *, searched: bool) -> Generator[Event]:
    """The events of the answer. Passages that come together are shown together.

    `searched`: the provider was to search a base. Where it names no passage at all, the page says that.
    """
    passages: list[Passage] = []
    for event in events:
        if isinstance(event, Passage):
            passages.append(event)
            continue
        if passages:
            yield Passages(passages)
            passages, searched = [], False
        if isinstance(event, Delta):
            yield backend.Text(event.text, event.reasoning, event.choice)
        elif isinstance(event, Usage):
            yield backend.Used(event.prompt_tokens, event.answer_tokens)
        elif isinstance(event, Finished):
            yield backend.Ended(event.reason, event.choice)
    if passages or searched:
        yield Passages(passages)
