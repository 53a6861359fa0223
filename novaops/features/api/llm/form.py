"""What the form of an API has to say: how a request is written, and how an answer is read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from novaops.features.api.llm.protocol import ChatRequest, Event, Message


class Form(Protocol):
    path: str
    """Of a chat, below that of the first endpoint."""
    models: str
    """Of the list of models."""
    after: str
    """The parameter of that list that names the last model of the page before."""

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Without the parameters. Raises UsageError for what the form cannot say."""
        ...

    def events(self, document: Any) -> Iterator[Event]:
        """Of one event of a stream, or of a whole answer. Raises ValueError for what it is not."""
        ...

    def is_last(self, document: Any) -> bool:
        """Whether the event says that the stream is complete."""
        ...


def with_context(request: ChatRequest) -> tuple[Message, ...]:
    """The messages, the context before them as a system message."""
    if not request.context:
        return request.messages
    return (Message("system", f"Base the answer on this:\n\n{request.context}"), *request.messages)
