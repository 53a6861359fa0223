"""An answer of OpenAI's responses API that has searched a vector store."""

from __future__ import annotations

import json
from typing import Any


def responded(body: dict[str, Any], search: dict[str, Any], said: str, failing: str) -> Any:
    """One response as a whole, or as the events of a stream."""
    text = {"type": "output_text", "text": said, "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    more = {"created_at": 1, "parallel_tool_calls": True, "tool_choice": "auto", "tools": body["tools"]}
    response = {"id": "resp_1", "object": "response", "model": body["model"], "output": [], "status": "in_progress", **more}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10, **details}
    whole = {**response, "status": "completed", "output": [search, message], "usage": usage, "error": None}
    if not body.get("stream"):
        return whole
    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    end: dict[str, Any] = {"type": "response.completed", "response": whole}
    if failing:
        end = {"type": "response.failed", "response": {**whole, "status": "failed", "error": {"code": "server_error", "message": failing}}}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": {**search, "results": None}},
        {"type": "response.output_item.done", "output_index": 0, "item": search},
        {"type": "response.output_item.added", "output_index": 1, "item": {**message, "content": []}},
        {"type": "response.content_part.added", "part": {**text, "text": ""}, **place},
        *({"type": "response.output_text.delta", "delta": piece, "logprobs": [], **place} for piece in (said[:5], said[5:])),
        {"type": "response.output_text.done", "text": said, "logprobs": [], **place},
        {"type": "response.output_item.done", "output_index": 1, "item": message},
        end,
    ]
    return "".join(f"event: {each['type']}\ndata: {json.dumps({'sequence_number': n, **each})}\n\n" for n, each in enumerate(events))
