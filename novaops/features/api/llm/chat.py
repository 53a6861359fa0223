"""A conversation with any provider: the form of its API, carried by HTTP."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import Any, Self

from novaops.errors import UsageError
from novaops.features.api.llm import ending, failure
from novaops.features.api.llm.anthropic import Anthropic
from novaops.features.api.llm.form import Form
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.openai import OpenAi
from novaops.features.api.llm.parameters import merged, parameters
from novaops.features.api.llm.protocol import ApiFailed, ChatRequest, Delta, Event, Finished
from novaops.features.api.llm.reading import fields, objects, text
from novaops.features.api.llm.redact import hidden
from novaops.features.api.llm.responses import Responses
from novaops.features.api.llm.sensenova import SenseNova
from novaops.features.api.llm.sse import DONE, ServerEvent
from novaops.providers.answer import ApiError, read_error, states_error
from novaops.providers.loader import Chat, Provider

FORMS: dict[str, Form] = {"openai": OpenAi(), "anthropic": Anthropic(), "sensenova": SenseNova(), "responses": Responses()}
"""By the word of a provider's file."""
_SHOWN = 80
"""Characters of an answer that are shown where it is none."""
_KEEP_ALIVE = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
"""Names of events that only keep the connection open."""
_OF_AN_ANSWER = frozenset({"choices", "data", "type", "object"})
"""Fields, one of which every event and document of an answer has."""


def body(request: ChatRequest, provider: Provider, name: str) -> dict[str, Any]:
    """The body of the request. Raises UsageError for what the provider of that name does not have."""
    request = replace(request, model=request.model or provider.model)
    if not request.model:
        raise UsageError(f"{name}: which model?", fix="--model NAME says it; novaops api models lists them")
    chat = chat_for(request, provider)
    return merged(FORMS[chat.form].body(request), parameters(request, chat, name))


def chat_for(request: ChatRequest, provider: Provider) -> Chat:
    """How the provider is asked: in a way of its own where it is to search a knowledge base, if it has one."""
    return provider.ask if request.knowledge and provider.ask else provider.chat


class ChatClient:
    """A Client that speaks the form of its provider."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def chat(self, request: ChatRequest) -> Generator[Event]:
        asked, form = self.check(request), self._form(request)
        events = self._streamed(form, asked) if request.stream else self._whole(form, asked)
        return hidden(self._complete(events, request), self.http.redactor)

    def check(self, request: ChatRequest) -> dict[str, Any]:
        """The body of the request; nothing is sent. See `body`."""
        return body(request, self.http.provider, self.http.name)

    def models(self) -> list[str]:
        """The names of the models that this key may use, or that are on offer. Raises ApiFailed, Unreachable."""
        form = FORMS[self.http.provider.chat.form]
        found: list[str] = []
        after: dict[str, str] = {}
        while True:
            document = self.http.document("GET", form.models, **({"params": after} if after else {}))
            listed = document.get("data") if isinstance(document, dict) else None
            if not isinstance(listed, list):
                raise ApiFailed(f"{self.http.name} answers with no list of models")
            names = [text(one.get("id")) for one in objects(listed)]
            if not (document.get("has_more") and names):
                return sorted(filter(None, [*found, *names]))
            if set(names) <= set(found):
                raise ApiFailed(f"{self.http.name} says that its list of models has more, and sends the same page of it again")
            found += names
            after = {form.after: text(document.get("last_id")) or names[-1]}

    def _form(self, request: ChatRequest) -> Form:
        return FORMS[chat_for(request, self.http.provider).form]

    def _complete(self, events: Generator[Event], request: ChatRequest) -> Generator[Event]:
        """The events. Raises ApiFailed after them where an answer is missing, empty, cut short or kept back."""
        given: set[int] = set()
        ends: dict[int, str] = {}
        thought, wanted = False, request.parameters.n or 1
        with closing(events):
            for event in events:
                if isinstance(event, Delta):
                    thought |= event.reasoning
                    given |= {event.choice} if event.text.strip() and not event.reasoning else set()
                elif isinstance(event, Finished):
                    ends[event.choice] = event.reason
                yield event
        if error := ending.fault(self.http.name, ends.values(), limited=request.parameters.max_tokens is not None):
            raise error
        given |= {choice for choice, reason in ends.items() if reason in ending.CALLS}
        if not given:
            raise ending.empty(self.http.name, ends.values(), thought=thought)
        if len(given) < wanted:  # some servers pass over how many are wanted
            raise ApiFailed(f"{self.http.name} gave {len(given)} of {wanted} answers", fix="ask once for each, without -n")

    def _whole(self, form: Form, asked: dict[str, Any]) -> Generator[Event]:
        document = self.http.document("POST", form.path, json=asked, model=asked["model"])
        self._refuse_error(document)
        found = self._events(form, document)
        if not any(isinstance(event, (Delta, Finished)) for event in found):
            raise failure.no_answer(self.http.name, self._begin(json.dumps(document)))
        yield from found

    def _streamed(self, form: Form, asked: dict[str, Any]) -> Generator[Event]:
        """A stream is complete when it says so and has an answer, or when each answer that has begun is finished."""
        begun: set[int] = set()
        finished: set[int] = set()
        for event in self.http.events(form.path, asked):
            if event.name in _KEEP_ALIVE or not (event.data.strip() or event.name == "error"):
                continue
            if event.data.strip() == DONE:
                if not begun | finished:
                    raise failure.no_answer(self.http.name)
                return
            document = self._document(event)
            for found in self._events(form, document):
                if isinstance(found, Finished):
                    finished.add(found.choice)
                elif isinstance(found, Delta):
                    begun.add(found.choice)
                yield found
            if form.is_last(document):
                return
        if not finished or begun - finished:
            raise failure.cut(self.http.name, "The stream ended before the answer did.")

    def _events(self, form: Form, document: Any) -> list[Event]:
        try:
            found = list(form.events(document))
            broken = next((event for event in found if isinstance(event, Finished) and event.reason in ending.BROKEN), None)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise failure.cut(self.http.name, f"It is not in the form of its API: {self._begin(json.dumps(document))}") from None
        if broken:
            raise failure.cut(self.http.name, f"It says that it ended by: {broken.reason}.")
        if not found and (states_error(document) or _only_says(document)):
            raise self._broken_off(read_error(json.dumps(document), failure.LONGEST))
        return found

    def _document(self, event: ServerEvent) -> dict[str, Any]:
        if event.name == "error":
            raise self._broken_off(read_error(event.data, failure.LONGEST), self._begin(event.data))
        try:
            document = json.loads(event.data)
        except (ValueError, RecursionError):
            raise failure.cut(self.http.name, f"An event of the stream is no JSON: {self._begin(event.data)!r}") from None
        if not isinstance(document, dict):
            raise failure.cut(self.http.name, f"An event of the stream is no JSON object: {self._begin(event.data)!r}")
        self._refuse_error(document)
        return document

    def _begin(self, said: str) -> str:
        """What an error shows of it: with half of a secret at the end nobody would know it as one."""
        return self.http.redactor().text(said)[:_SHOWN]

    def _refuse_error(self, document: Any) -> None:
        """Raises ApiFailed where the answer with success, or an event in its middle, is an error."""
        if not isinstance(document, dict):
            raise ApiFailed(f"{self.http.name} answers with what is no JSON object")
        if failed := _failed(document):
            raise self._broken_off(read_error(json.dumps(failed), failure.LONGEST))

    def _broken_off(self, error: ApiError, said: str = "") -> ApiFailed:
        """`said`: what is shown where the error has no words of its own."""
        words = error.message or error.kind or error.code or said or "it does not say which"
        return ApiFailed(f"{self.http.name} breaks off with an error: {words}", fix="run it again")


def _failed(document: dict[str, Any]) -> dict[str, Any]:
    """The part that says it is an error: the whole, or what the responses API, SenseNova or OpenRouter put into it. Empty for none."""
    inner, data, status = (fields(document.get(name)) for name in ("response", "data", "status"))
    parts = (inner, document, data, *objects(document.get("choices")), *objects(data.get("choices")))
    if failed := next((part for part in parts if part.get("error")), None):
        return failed
    if document.get("type") == "error":
        return {"error": document}
    return {"error": status} if states_error({"code": status.get("code")}) else {}


def _only_says(document: dict[str, Any]) -> bool:
    """Whether it has words, and nothing of an answer: an error of a gateway that came after the answer had begun."""
    return not _OF_AN_ANSWER & document.keys() and any(isinstance(document.get(name), (str, list)) for name in ("message", "detail"))
