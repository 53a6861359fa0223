"""The form of OpenAI's responses API: for questions to its vector stores, which the model searches by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from novaops.features.api.llm.form import with_context
from novaops.features.api.llm.protocol import ChatRequest, Delta, Event, Finished, Passage, Usage
from novaops.features.api.llm.reading import count, fields, piece, text, word

_DELTAS = {
    "response.output_text.delta": False,
    "response.refusal.delta": False,
    "response.reasoning_text.delta": True,
    "response.reasoning_summary_text.delta": True,
}
"""By the type of an event that has a piece of text whether it is reasoning."""
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class Responses:
    path = "/responses"
    models = "/models"
    after = "after"

    def body(self, request: ChatRequest) -> dict[str, Any]:
        said = [{"role": message.role, "content": message.text} for message in with_context(request)]
        body: dict[str, Any] = {"model": request.model, "input": said, "stream": request.stream, "store": False}
        if request.knowledge:
            most = {"max_num_results": request.passages} if request.passages else {}
            body["tools"] = [{"type": "file_search", "vector_store_ids": list(request.knowledge), **most}]
            body["tool_choice"] = {"type": "file_search"}  # else the model may answer without a look into it
            body["include"] = ["file_search_call.results"]
        return body

    def events(self, document: Any) -> Iterator[Event]:
        kind = document.get("type")
        if kind in _DELTAS and document.get("delta"):
            yield Delta(piece(document["delta"]), 0, _DELTAS[kind])
        elif kind == "response.output_item.done":
            yield from _passages(fields(document.get("item")))
        elif kind in _ENDS:
            yield from _end(fields(document.get("response")), kind.removeprefix("response."))
        elif document.get("object") == "response":
            for item in document.get("output") or ():
                yield from _passages(item)
                yield from _texts(item)
            yield from _end(document, "")

    def is_last(self, document: Any) -> bool:
        return document.get("type") in _ENDS


def _passages(item: dict[str, Any]) -> Iterator[Passage]:
    if item.get("type") == "file_search_call":
        for found in item.get("results") or ():
            yield Passage(text(found.get("text")), text(found.get("filename") or found.get("file_id")))


def _texts(item: dict[str, Any]) -> Iterator[Delta]:
    """Of an answer that came as a whole."""
    if item.get("type") == "message":
        for part in item.get("content") or ():
            if said := text(part.get("text") or part.get("refusal")):
                yield Delta(said)


def _end(response: dict[str, Any], kind: str) -> Iterator[Event]:
    """`kind`: what the event calls itself, for a response that does not say how it ended."""
    why = word((response.get("incomplete_details") or {}).get("reason") or response.get("status") or kind)
    yield Finished({"completed": "stop"}.get(why, why))
    if usage := response.get("usage"):
        yield Usage(count(usage.get("input_tokens")), count(usage.get("output_tokens")))
