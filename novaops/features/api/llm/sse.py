"""Server-sent events, read from bytes that may be cut anywhere. Pure.

The rules are those of the HTML standard (9.2.6), with one addition: what stands behind the last empty line is an event too.
The standard drops it; servers that forget the last newline mean it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

DONE = "[DONE]"
"""The data of the event that ends a stream of OpenAI's form."""
LONGEST = 16 << 20
"""Characters of one event. A server that sends more without an end sends no events."""


@dataclass(frozen=True)
class ServerEvent:
    data: str
    name: str = "message"


class TooLong(ValueError):
    """A line or an event has no end."""


class Reader:
    """Takes bytes and gives the events that are complete. Any split of the same bytes gives the same events."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parts: list[str] = []
        """Of a line that is not at its end."""
        self._after_return = False
        self._first = True
        self._data: list[str] = []
        self._name = ""
        self._size = 0

    def feed(self, data: bytes) -> Iterator[ServerEvent]:
        yield from self._events(self._decoder.decode(data))

    def end(self) -> Iterator[ServerEvent]:
        """What is left when the stream has ended."""
        yield from self._events(self._decoder.decode(b"", final=True) + "\n\n")

    def _events(self, text: str) -> Iterator[ServerEvent]:
        for line in self._lines(text):
            if line:
                self._field(line)
            elif self._data:
                yield ServerEvent("\n".join(self._data), self._name or "message")
                self._data, self._name, self._size = [], "", 0
            else:
                self._name, self._size = "", 0

    def _lines(self, text: str) -> Iterator[str]:
        if self._first and text:
            text, self._first = text.removeprefix("\ufeff"), False
        if self._after_return and text:
            text, self._after_return = text.removeprefix("\n"), False
        self._after_return |= text.endswith("\r")
        *complete, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in complete:
            yield "".join((*self._parts, line))
            self._parts = []
        if rest:
            self._parts.append(rest)
            self._measure(rest)

    def _field(self, line: str) -> None:
        """A line that begins with a colon is a comment: its field has no name."""
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
            self._measure(value)
        elif name == "event":
            self._name = value.removeprefix(" ")

    def _measure(self, text: str) -> None:
        self._size += len(text)
        if self._size > LONGEST:
            raise TooLong(f"an event of more than {LONGEST >> 20} MiB")


def events(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """All events of a stream. Raises TooLong."""
    reader = Reader()
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.end()
