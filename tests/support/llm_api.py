"""An LLM API that says what it is told to say, in each of the forms: OpenAI's, Anthropic's and SenseNova's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.support.world.web import Exchange, WebServer

KEY = "sk-stand-in-0123456789"
OPENAI, ANTHROPIC, SENSENOVA = "/chat/completions", "/messages", "/llm/chat-completions"
"""How the path of a chat ends in each form."""
PROMPT_TOKENS = 7


class LlmApi(WebServer):
    """`pieces` is what it answers, piece by piece. `chunks` are sent in the place of a stream, byte by byte as they are.

    `asked` are the documents that came. `answers` are given to the next requests in the place of the usual one:
    (status, headers, body).
    """

    def __init__(self, address: str = "127.0.0.1", port: int = 0, **more: Any) -> None:
        super().__init__(address, port, **more)

    def reset(self) -> None:
        super().reset()
        self.behaviour.interval_s = 0
        self.pieces: Sequence[str] = ("Hello", ", ", "world")
        self.chunks: Sequence[bytes] | None = None
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[dict[str, Any]] = []
        self.models = ["model-b", "model-a"]

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    async def respond(self, exchange: Exchange) -> None:
        request = exchange.request
        if self.answers:
            status, headers, body = self.answers.pop(0)
            kind = headers.pop("Content-Type", "application/json")
            await exchange.answer(status, body, kind, tuple(headers.items()))
            return
        if request.method == "GET":
            listed = [{"id": name, "object": "model"} for name in self.models]
            await exchange.answer(200, json.dumps({"object": "list", "data": listed}).encode(), "application/json")
            return
        asked = json.loads(request.body)
        self.asked.append(asked)
        form = next(form for form in (SENSENOVA, OPENAI, ANTHROPIC) if request.path.endswith(form))
        if not asked.get("stream"):
            await exchange.answer(200, json.dumps(WHOLE[form](self.pieces)).encode(), "application/json")
            return
        chunks = [f"{event}\n\n".encode() for event in STREAM[form](self.pieces)] if self.chunks is None else self.chunks
        await exchange.begin("text/event-stream")
        for number, chunk in enumerate(chunks):
            if exchange.behaviour.cut and number >= len(chunks) // 2:
                raise ConnectionAbortedError
            await exchange.part(chunk)
        await exchange.end()


def _openai_stream(pieces: Sequence[str]) -> list[str]:
    start = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "stand-in"}
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": None}, None)]
    deltas += [({"content": piece}, None) for piece in pieces]
    deltas.append(({}, "stop"))
    events = [{**start, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in deltas]
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": len(pieces), "total_tokens": PROMPT_TOKENS + len(pieces)}
    return [f"data: {json.dumps(each)}" for each in (*events, {**start, "choices": [], "usage": usage})] + ["data: [DONE]"]


def _openai_whole(pieces: Sequence[str]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "".join(pieces)}, "finish_reason": "stop"}
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": len(pieces), "total_tokens": PROMPT_TOKENS + len(pieces)}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "stand-in", "choices": [choice], "usage": usage}


def _anthropic_stream(pieces: Sequence[str]) -> list[str]:
    message = {**_anthropic_whole(pieces), "content": [], "stop_reason": None}
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": 1}
    texts = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *texts,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": len(pieces)}},
        {"type": "message_stop"},
    ]
    return [f"event: {each['type']}\ndata: {json.dumps(each)}" for each in events]


def _anthropic_whole(pieces: Sequence[str]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "stand-in",
        "content": [{"type": "text", "text": "".join(pieces)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": len(pieces)},
    }


def _sensenova_stream(pieces: Sequence[str]) -> list[str]:
    """No blank after `data:`, as its own library wants it."""
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": len(pieces), "total_tokens": PROMPT_TOKENS + len(pieces)}
    deltas = [(piece, "") for piece in pieces] + [("", "stop")]
    events = [
        {"data": {"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": usage}, "status": {"code": 0}}
        for delta, reason in deltas
    ]
    return [f"data:{json.dumps(each)}" for each in events] + ["data:[DONE]"]


def _sensenova_whole(pieces: Sequence[str]) -> dict[str, Any]:
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": len(pieces), "total_tokens": PROMPT_TOKENS + len(pieces)}
    choice = {"index": 0, "role": "assistant", "message": "".join(pieces), "finish_reason": "stop"}
    return {"data": {"id": "1", "choices": [choice], "usage": usage}}


STREAM = {OPENAI: _openai_stream, ANTHROPIC: _anthropic_stream, SENSENOVA: _sensenova_stream}
WHOLE = {OPENAI: _openai_whole, ANTHROPIC: _anthropic_whole, SENSENOVA: _sensenova_whole}
