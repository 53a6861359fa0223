"""An API that speaks OpenAI's language, as far as its SDK and curl can tell."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable
from typing import Any

from tests.support.world.authority import Leaf
from tests.support.world.web import Exchange, Header, WebServer

KEY = "sk-lab-0123456789abcdef"
_MODEL = "gpt-4o-mini"
_ANSWERS = itertools.count(1)


class FakeApi(WebServer):
    """Answers by the end of the path, so every provider's base serves: models, chat/completions, files and realtime.

    `key` opens it (`header` and `scheme` say where it stands); without it everything is 401. `behaviour.region_refused`
    makes everything a 403 for the region, whatever the key.
    """

    def __init__(self, address: str, port: int = 443, leaf: Leaf | None = None, *, strict: bool = True) -> None:
        super().__init__(address, port, leaf, strict=strict)

    def reset(self) -> None:
        super().reset()
        self.key = KEY
        self.header = "Authorization"
        self.scheme = "Bearer"

    async def respond(self, exchange: Exchange) -> None:
        request = exchange.request
        if exchange.behaviour.region_refused:
            said = "Country, region, or territory not supported"
            await _refuse(exchange, 403, "unsupported_country_region_territory", said, "request_forbidden")
            return
        if request.all(self.header) != [f"{self.scheme} {self.key}".strip()]:
            given = (request.all(self.header) or [""])[0].removeprefix(f"{self.scheme} ")
            said = f"Incorrect API key provided: {given[:8]}***." if given else "You didn't provide an API key."
            await _refuse(exchange, 401, "invalid_api_key" if given else None, said)
            return
        match request.method, request.path.rsplit("/", 1)[-1]:
            case "GET", "models":
                await _json(exchange, {"object": "list", "data": [{"id": _MODEL, "object": "model", "created": 1, "owned_by": "lab"}]})
            case "POST", "completions" | "chat-completions":
                await self._complete(exchange)
            case "POST", "files":
                name = f"file-{request.sha256[:12]}"
                facts = {"filename": "upload", "purpose": "batch", "created_at": int(time.time()), "bytes": request.size}
                await _json(exchange, {"id": name, "object": "file", "status": "processed", **facts})
            case "GET", "realtime" if (request.header("Upgrade") or "").lower() == "websocket":
                await exchange.echo_websocket()
            case _:
                await _refuse(exchange, 404, None, f"Invalid URL ({request.method} {request.path})")

    async def _complete(self, exchange: Exchange) -> None:
        try:
            asked = json.loads(exchange.request.body)
        except ValueError:
            await _refuse(exchange, 400, None, "We could not parse the JSON body of your request.")
            return
        name, model = f"chatcmpl-{next(_ANSWERS)}", asked.get("model", _MODEL)
        words = [f"word{number} " for number in range(exchange.behaviour.events)]
        if asked.get("stream"):
            await exchange.events([json.dumps(each) for each in _chunks(name, model, words)], _identity(exchange))
            return
        message = {"role": "assistant", "content": "".join(words), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": len(words), "total_tokens": len(words) + 1}
        await _json(exchange, {**_start(name, model), "object": "chat.completion", "choices": [choice], "usage": usage})


def _start(name: str, model: str) -> dict[str, Any]:
    return {"id": name, "created": int(time.time()), "model": model}


def _chunks(name: str, model: str, words: list[str]) -> Iterable[dict[str, Any]]:
    for number, word in enumerate(words):
        delta = {"role": "assistant", "content": word} if number == 0 else {"content": word}
        reason = "stop" if number == len(words) - 1 else None
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield {**_start(name, model), "object": "chat.completion.chunk", "choices": [choice]}


def _identity(exchange: Exchange) -> tuple[Header, ...]:
    return (("x-request-id", f"req_{exchange.request.connection}"), ("Server", "lab"))


async def _json(exchange: Exchange, document: dict[str, Any], status: int = 200) -> None:
    await exchange.answer(status, json.dumps(document).encode(), "application/json", _identity(exchange))


async def _refuse(exchange: Exchange, status: int, code: str | None, message: str, kind: str = "invalid_request_error") -> None:
    await _json(exchange, {"error": {"message": message, "type": kind, "param": None, "code": code}}, status)
