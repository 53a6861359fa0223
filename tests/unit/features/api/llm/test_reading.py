"""Answers of gateways that leave fields out, or send another kind of value in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from novaops.features.api.answer import Answer, Timing, account
from novaops.features.api.llm.anthropic import Anthropic
from novaops.features.api.llm.form import Form
from novaops.features.api.llm.openai import OpenAi
from novaops.features.api.llm.protocol import Delta, Event, Finished, Passage, Usage
from novaops.features.api.llm.reading import count, fields, objects, text
from novaops.features.api.llm.responses import Responses
from novaops.features.api.llm.sensenova import SenseNova


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (3, 3), ("3", 3), (3.0, 3), (None, 0), ("many", 0), ("", 0), ([3], 0), ({}, 0), (-1, 0), (float("inf"), 0), (float("nan"), 0),
    ],
)  # fmt: skip
def test_counts(value: Any, wanted: int) -> None:
    assert count(value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("a", "a"), (None, ""), (True, ""), (5, "5"), ({}, ""), ([], ""), (["a", {"text": "b"}, None, {"type": "image"}], "ab"),
        ({"text": ["a"]}, "a"), ("half \ud83d", "half ?"),
    ],
)  # fmt: skip
def test_texts(value: Any, wanted: str) -> None:
    assert text(value) == wanted


def test_what_is_no_object() -> None:
    assert (fields(None), fields([1]), fields({"a": 1})) == ({}, {}, {"a": 1})
    assert (objects(None), objects("abc"), objects([1, {"a": 1}, None])) == ([], [], [{"a": 1}])


def chunk(**choice: Any) -> dict[str, Any]:
    return {"id": None, "created": "yesterday", "choices": [{"index": 0, "finish_reason": None, **choice}]}


NULL_COUNTS = {"prompt_tokens": None, "completion_tokens": "3"}


@pytest.mark.parametrize(
    ("form", "document", "found"),
    [
        (OpenAi(), {"choices": None, "usage": NULL_COUNTS}, [Usage(0, 3)]),
        (OpenAi(), {"usage": {"prompt_tokens": [7], "completion_tokens": {}}}, [Usage(0, 0)]),
        (OpenAi(), chunk(delta=None), []),
        (OpenAi(), chunk(delta={"content": None}), []),
        (OpenAi(), chunk(index=None, delta={"content": "a"}, finish_reason="stop"), [Delta("a"), Finished("stop")]),
        (OpenAi(), chunk(index="1", delta={"content": "a"}, finish_reason="stop"), [Delta("a", 1), Finished("stop", 1)]),
        (OpenAi(), chunk(index=[1], delta={"content": "a"}), [Delta("a")]),
        (OpenAi(), chunk(delta={"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}), [Delta("ab")]),
        (OpenAi(), chunk(delta={"content": 5, "reasoning": ["h", "m"]}), [Delta("hm", reasoning=True), Delta("5")]),
        (OpenAi(), chunk(delta={}, finish_reason={"type": "stop"}), [Finished("{'type': 'stop'}")]),
        (OpenAi(), chunk(delta={}, finish_reason=0), []),
        (SenseNova(), {"data": {"choices": [{"delta": "a", "finish_reason": "stop"}], "usage": NULL_COUNTS}},
         [Delta("a"), Finished("stop"), Usage(0, 3)]),
        (SenseNova(), {"data": {"choices": [{"index": "1", "delta": ["a", {"text": "b"}]}]}}, [Delta("ab", 1)]),
        (SenseNova(), {"data": {"choices": [{"knowledge_base_results": [{"know_id": 5, "answer": ["a"]}]}]}}, [Passage("a", "5")]),
        (Anthropic(), {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                       "usage": {"input_tokens": None, "output_tokens": "3"}},
         [Finished("end_turn"), Usage(0, 3)]),
        (Anthropic(), {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ["a"]}}, [Delta("a")]),
        (Responses(), {"type": "response.output_text.delta", "delta": ["a"]}, [Delta("a")]),
        (Responses(), {"type": "response.output_item.done", "item": None}, []),
        (Responses(), {"type": "response.completed", "response": None}, [Finished("stop")]),
        (Responses(), {"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": None}}},
         [Finished("stop"), Usage(0, 0)]),
        (Responses(), {"object": "response", "status": ["completed"], "output": None}, [Finished("stop")]),
    ],
)  # fmt: skip
def test_odd_answers(form: Form, document: dict[str, Any], found: list[Event]) -> None:
    """What has come stays an answer: it is added up and shown."""
    assert list(form.events(document)) == found
    answer = Answer()
    for event in found:
        answer.add(event)
    assert json.dumps(answer.document())
    assert account(answer, Timing(None, 1.0), "openai m by direct")
