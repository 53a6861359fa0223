"""OpenAI's responses API: what its events mean."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
from openai.types.responses import FileSearchToolParam, ResponseIncludable, ToolChoiceTypesParam
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from novaops.features.api.llm.chat import body
from novaops.features.api.llm.protocol import ChatRequest, Delta, Event, Finished, Message, Parameters, Passage, Usage
from novaops.features.api.llm.responses import Responses
from novaops.providers.loader import load

RESULT = {"file_id": "file-1", "filename": "a.txt", "text": "class T", "score": 0.9}
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "T"}, {"type": "refusal", "refusal": "no"}]}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"type": "response.created", "response": {"status": "in_progress", "output": []}}, []),
        ({"type": "response.output_text.delta", "delta": "a"}, [Delta("a")]),
        ({"type": "response.refusal.delta", "delta": "no"}, [Delta("no")]),
        ({"type": "response.reasoning_summary_text.delta", "delta": "hm"}, [Delta("hm", reasoning=True)]),
        ({"type": "response.output_item.done", "item": {"type": "file_search_call", "results": None}}, []),
        ({"type": "response.output_item.done", "item": {"type": "file_search_call", "results": [RESULT]}}, [Passage("class T", "a.txt")]),
        ({"type": "response.output_item.done", "item": MESSAGE}, []),
        ({"type": "response.completed", "response": {"status": "completed", "usage": None}}, [Finished("stop")]),
        (
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "max_output_tokens"}, "usage": {"input_tokens": 7}},
            },
            [Finished("max_output_tokens"), Usage(7, 0)],
        ),
        ({"object": "response", "status": "completed", "output": [MESSAGE]}, [Delta("T"), Delta("no"), Finished("stop")]),
    ],
)
def test_events(document: dict[str, Any], found: list[Event]) -> None:
    assert list(Responses().events(document)) == found
    assert Responses().is_last(document) is any(isinstance(each, Finished) for each in found if "type" in document)


def test_a_question_without_a_base_asks_for_no_search() -> None:
    asked = Responses().body(ChatRequest((Message("user", "hi"),), "m"))
    assert asked == {"model": "m", "input": [{"role": "user", "content": "hi"}], "stream": True, "store": False}


def test_the_openai_library_knows_all_that_is_sent() -> None:
    """The API refuses fields that it does not have."""
    provider = load("openai")
    names = map(str, provider.ask.parameters if provider.ask else ())
    everything = Parameters(**dict[str, Any](dict.fromkeys(names, 1)))
    asked = body(ChatRequest((Message("user", "hi"),), "m", everything, knowledge=("vs_1",), passages=5), provider, "openai")
    assert set(asked) <= set(get_type_hints(ResponseCreateParamsStreaming))
    (tool,) = asked["tools"]
    assert set(tool) <= set(get_type_hints(FileSearchToolParam))
    assert set(asked["tool_choice"]) <= set(get_type_hints(ToolChoiceTypesParam))
    assert asked["tool_choice"]["type"] in get_args(get_type_hints(ToolChoiceTypesParam)["type"])
    assert set(asked["include"]) <= set(get_args(ResponseIncludable))
    assert asked["max_output_tokens"] == 1
