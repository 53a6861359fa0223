"""The form of SenseNova's native API: fields of its own, pieces of text that are plain strings. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from novaops.features.api.llm.protocol import ChatRequest, Delta, Event, Finished, Passage, Usage
from novaops.features.api.llm.reading import count, piece, text, word


class SenseNova:
    path = "/llm/chat-completions"
    models = "/llm/models"
    after = "after"

    def body(self, request: ChatRequest) -> dict[str, Any]:
        messages = [{"role": message.role, "content": message.text} for message in request.messages]
        body: dict[str, Any] = {"model": request.model, "messages": messages, "stream": request.stream}
        if request.context:
            body["plugins"] = {"associated_knowledge": {"content": request.context, "mode": "concatenate"}}
        if request.knowledge:
            body["know_ids"] = list(request.knowledge)
            body["knowledge_config"] = {"control_level": "normal", "knowledge_base_result": True}
        return body

    def events(self, document: Any) -> Iterator[Event]:
        data = document.get("data") or {}
        for choice in data.get("choices") or ():
            number = count(choice.get("index"))
            if said := piece(choice.get("delta") or choice.get("message")):
                yield Delta(said, number)
            for found in choice.get("knowledge_base_results") or ():
                yield from _passages(found)
            if choice.get("finish_reason"):
                yield Finished(word(choice["finish_reason"]), number)
        if usage := data.get("usage"):
            yield Usage(count(usage.get("prompt_tokens")), count(usage.get("completion_tokens")))

    def is_last(self, document: Any) -> bool:
        """The stream ends with an event that is no document, or with the connection."""
        del document
        return False


def _passages(found: Any) -> Iterator[Passage]:
    """Of one knowledge base: its results, under the names that the documentation uses."""
    if isinstance(found, dict):
        results = found.get("knowledge_base_result")
        for one in results if isinstance(results, list) else [found]:
            if said := text(one.get("answer") or one.get("content") or one.get("result")):
                yield Passage(said, text(one.get("file_id") or one.get("know_id") or found.get("know_id")))
