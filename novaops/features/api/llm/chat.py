"""A conversation with any provider: the form of its API, carried by HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, Self

from novaops.errors import UsageError
from novaops.features.api.llm import failure
from novaops.features.api.llm.anthropic import Anthropic
from novaops.features.api.llm.form import Form
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.openai import OpenAi
from novaops.features.api.llm.parameters import merged, parameters
from novaops.features.api.llm.protocol import ApiFailed, ChatRequest, Client, Credential, Event, Finished
from novaops.features.api.llm.route import Route
from novaops.features.api.llm.sensenova import SenseNova
from novaops.features.api.llm.sse import DONE, ServerEvent
from novaops.providers.answer import read_error

FORMS: dict[str, Form] = {"openai": OpenAi(), "anthropic": Anthropic(), "sensenova": SenseNova()}
"""By the word of a provider's file."""


class ChatClient:
    """A Client that speaks the form of its provider."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self._chat = http.provider.chat
        self._form = FORMS[self._chat.form]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def chat(self, request: ChatRequest) -> Generator[Event]:
        body = self.check(request)
        return self._streamed(body) if request.stream else self._whole(body)

    def check(self, request: ChatRequest) -> dict[str, Any]:
        """The body of the request; nothing is sent. Raises UsageError for what the provider does not have."""
        request = replace(request, model=request.model or self.http.provider.model)
        if not request.model:
            raise UsageError(f"{self.http.name}: which model?", fix="--model NAME says it; novaops api models lists them")
        return merged(self._form.body(request), parameters(request, self._chat, self.http.name))

    def models(self) -> list[str]:
        """The names of the models that this key may use, or that are on offer. Raises ApiFailed, Unreachable."""
        document = self.http.document("GET", self._form.models)
        listed = document.get("data") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise ApiFailed(f"{self.http.name} answers with no list of models")
        return sorted(str(one["id"]) for one in listed if isinstance(one, dict) and "id" in one)

    def _whole(self, body: dict[str, Any]) -> Generator[Event]:
        document = self.http.document("POST", self._form.path, json=body, model=body["model"])
        self._refuse_error(document)
        yield from self._form.events(document)

    def _streamed(self, body: dict[str, Any]) -> Generator[Event]:
        """A stream is complete when it says so, or when each answer that has begun is finished."""
        open_choices, finished = set(), False
        for event in self.http.events(self._form.path, body):
            if event.data.strip() == DONE:
                return
            document = self._document(event)
            for found in self._form.events(document):
                if isinstance(found, Finished):
                    finished = True
                    open_choices.discard(found.choice)
                elif choice := getattr(found, "choice", None):
                    open_choices.add(choice)
                yield found
            if self._form.is_last(document):
                return
        if not finished or open_choices:
            raise failure.cut(self.http.name, "The stream ended before the answer did.")

    def _document(self, event: ServerEvent) -> dict[str, Any]:
        try:
            document = json.loads(event.data)
        except ValueError:
            raise failure.cut(self.http.name, f"An event of the stream is no JSON: {event.data[:80]!r}") from None
        if not isinstance(document, dict):
            raise failure.cut(self.http.name, f"An event of the stream is no JSON object: {event.data[:80]!r}")
        self._refuse_error(document)
        return document

    def _refuse_error(self, document: Any) -> None:
        """Raises ApiFailed where the answer with success, or an event in its middle, is an error."""
        if not isinstance(document, dict):
            raise ApiFailed(f"{self.http.name} answers with what is no JSON object")
        if document.get("error"):
            error = read_error(json.dumps(document), failure.LONGEST)
            raise ApiFailed(f"{self.http.name} breaks off with an error: {error.message or error.kind or error.code}", fix="run it again")


def open_http(
    name: str, key: Credential, route: Route, *, timeout: float | None = None, tell: Callable[[str], None] = lambda _: None
) -> Http:
    """Requests to the provider of that name; nothing is sent yet. See Http."""
    return Http(name, key, route, timeout=timeout, tell=tell)


def open_client(
    name: str, key: Credential, route: Route, *, timeout: float | None = None, tell: Callable[[str], None] = lambda _: None
) -> Client:
    """A client that chats with the provider of that name. See Http for the arguments."""
    return ChatClient(Http(name, key, route, timeout=timeout, tell=tell))
