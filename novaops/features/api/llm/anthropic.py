"""Anthropic's form of a chat. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from novaops.errors import UsageError
from novaops.features.api.llm.form import with_context
from novaops.features.api.llm.protocol import ChatRequest, Delta, Event, Finished, Usage
from novaops.features.api.llm.reading import count, piece, word

MAX_TOKENS = 8192
"""Anthropic wants a limit with each request. Its models since Claude 3.5 take so much."""
_DELTAS = {"text_delta": ("text", False), "thinking_delta": ("thinking", True)}
"""By the type of a delta its text's key, and whether it is reasoning."""
_BLOCKS = {"text": ("text", False), "thinking": ("thinking", True)}


class Anthropic:
    path = "/messages"
    models = "/models"
    after = "after_id"

    def body(self, request: ChatRequest) -> dict[str, Any]:
        if request.knowledge:
            raise UsageError(
                "novaops knows no knowledge bases of this API that a chat can use", fix="novaops api ask does, with a base of your own"
            )
        messages = with_context(request)
        system = "\n\n".join(message.text for message in messages if message.role == "system")
        said = [{"role": message.role, "content": message.text} for message in messages if message.role != "system"]
        body = {"model": request.model, "max_tokens": MAX_TOKENS, "messages": said, "stream": request.stream}
        return {**body, "system": system} if system else body

    def events(self, document: Any) -> Iterator[Event]:
        kind = document.get("type")
        if kind == "message":
            for block in document.get("content") or ():
                yield from _said(block, _BLOCKS)
        elif kind == "content_block_delta":
            yield from _said(document.get("delta") or {}, _DELTAS)
        end = document.get("delta") if kind == "message_delta" else document if kind == "message" else None
        if end and end.get("stop_reason"):
            yield Finished(word(end["stop_reason"]))
        message = document.get("message") or {}
        if usage := document.get("usage") or message.get("usage"):
            yield Usage(count(usage.get("input_tokens")), count(usage.get("output_tokens")))

    def is_last(self, document: Any) -> bool:
        return bool(document.get("type") == "message_stop")


def _said(part: dict[str, Any], kinds: dict[str, tuple[str, bool]]) -> Iterator[Delta]:
    key, reasoning = kinds.get(str(part.get("type")), ("", False))
    if said := piece(part.get(key)):
        yield Delta(said, 0, reasoning)
