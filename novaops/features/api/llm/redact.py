"""Secrets taken out of what an API says, also where it says them in pieces. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from novaops.errors import NovaopsError
from novaops.features.api.llm.protocol import Credential, Delta, Event, Finished, KeyPair, Passage
from novaops.features.api.llm.reading import ends_in_half, whole
from novaops.features.api.llm.route import Route

SHOWN = "[secret]"
_SHORTEST = 6
"""Characters: a shorter key is no secret, and part of other words."""


class Redactor:
    """Takes a text in pieces, and gives it on without secrets and in whole characters.

    What may be the beginning of a secret or of a character is held back until that is known.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
        self._held = ""

    def feed(self, text: str) -> str:
        text = self.text(self._held + text)
        held = max((_overlap(text, secret) for secret in self._secrets), default=0) or int(ends_in_half(text))
        self._held = text[len(text) - held :]
        return whole(text[: len(text) - held])

    def end(self) -> str:
        held, self._held = self._held, ""
        return whole(held)

    def text(self, text: str) -> str:
        """A whole text."""
        for secret in self._secrets:
            text = text.replace(secret, SHOWN)
        return text

    def document(self, value: Any) -> Any:
        """All texts of a JSON document. The names of its fields stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {name: self.document(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.document(each) for each in value]
        return value

    def error(self, error: NovaopsError) -> NovaopsError:
        """The same error, without them."""
        error.what, error.why, error.fix = map(self.text, (error.what, error.why, error.fix))
        return error


def _overlap(text: str, secret: str) -> int:
    """The length of the longest end of `text` that `secret` begins with."""
    return next((length for length in range(min(len(text), len(secret) - 1), 0, -1) if text.endswith(secret[:length])), 0)


def secrets_of(credential: Credential, route: Route) -> list[str]:
    """What a request by this way has to keep to itself."""
    key = credential.secret if isinstance(credential, KeyPair) else credential
    headers = [secret.reveal() for secret in route.headers.values()]
    form = route.provider.key
    shown = [*headers, *([form.value(key.reveal())] if key else [])]
    words = (value.rpartition(" ")[2] for value in headers)
    return [*([key.reveal()] if key else []), *headers, *words, *(part for value in shown for part in _login(value))]


def _login(header: str) -> list[str]:
    """What the value of a header says in base64: a user with a password, and the password."""
    scheme, _, encoded = header.partition(" ")
    try:
        login = base64.b64decode(encoded).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        login = ""
    return [login, login.partition(":")[2]]


def hidden(events: Generator[Event], redactor: Callable[[], Redactor]) -> Generator[Event]:
    """The events of an answer without secrets. `redactor` makes one that knows all that was sent until then."""
    texts: dict[tuple[int, bool], Redactor] = {}
    """Each answer, and what is thought before it, is a text of its own."""

    def rest(*choices: int) -> Iterator[Event]:
        for choice, reasoning in [of for of in texts if of[0] in choices]:
            if held := texts[choice, reasoning].end():
                yield Delta(held, choice, reasoning)

    try:
        with closing(events):
            for event in events:
                if isinstance(event, Delta):
                    own = texts.setdefault((event.choice, event.reasoning), redactor())
                    if piece := own.feed(event.text):
                        yield replace(event, text=piece)
                elif isinstance(event, Finished):
                    yield from rest(event.choice)
                    yield replace(event, reason=redactor().text(event.reason))
                elif isinstance(event, Passage):
                    text, document, place = redactor().document((event.text, event.document, event.place))
                    yield replace(event, text=text, document=document, place=place)
                else:
                    yield event
    except NovaopsError as error:
        yield from rest(*(choice for choice, _ in texts))
        raise redactor().error(error) from None
    yield from rest(*(choice for choice, _ in texts))
