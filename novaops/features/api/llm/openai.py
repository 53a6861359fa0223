"""OpenAI's form of a chat, which most servers speak. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from novaops.errors import UsageError
from novaops.features.api.llm.form import with_context
from novaops.features.api.llm.protocol import ChatRequest, Delta, Event, Finished, Usage
from novaops.features.api.llm.reading import count, piece, word


class OpenAi:
    path = "/chat/completions"
    models = "/models"
    after = "after"

    def body(self, request: ChatRequest) -> dict[str, Any]:
        if request.knowledge:
            raise UsageError(
                "novaops knows no knowledge bases of this API that a chat can use", fix="novaops api ask does, with a base of your own"
            )
        messages = [{"role": message.role, "content": message.text} for message in with_context(request)]
        return {"model": request.model, "messages": messages, "stream": request.stream}

    def events(self, document: Any) -> Iterator[Event]:
        usage = document.get("usage")
        for choice in document.get("choices") or ():
            number = count(choice.get("index"))
            said = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}  # text: of the form before chats
            for key, reasoning in (("reasoning_content", True), ("reasoning", True), ("content", False), ("refusal", False)):
                if found := piece(said.get(key)):
                    yield Delta(found, number, reasoning)
            if choice.get("finish_reason"):
                yield Finished(word(choice["finish_reason"]), number)
            usage = choice.get("usage") or usage
        if usage:
            yield Usage(count(usage.get("prompt_tokens")), count(usage.get("completion_tokens")))

    def is_last(self, document: Any) -> bool:
        """The stream ends with an event that is no document, or with the connection."""
        del document
        return False
