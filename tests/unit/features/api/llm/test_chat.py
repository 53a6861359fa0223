"""A chat with a server that speaks each form, and that misbehaves."""

from __future__ import annotations

import json
import socket
from collections import deque
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from novaops.errors import Unreachable, UsageError
from novaops.features.api.answer import Answer
from novaops.features.api.llm import http
from novaops.features.api.llm.chat import body
from novaops.features.api.llm.parameters import flag_of
from novaops.features.api.llm.protocol import (
    ApiFailed,
    ChatRequest,
    Delta,
    Event,
    Finished,
    Incomplete,
    KeyPair,
    Message,
    Parameters,
    Usage,
)
from novaops.features.api.llm.route import Route, direct
from novaops.providers.loader import Endpoint, Provider, load
from novaops.secret import Secret
from tests.support.llm_api import KEY, PROMPT_TOKENS, LlmApi

if TYPE_CHECKING:
    from tests.unit.features.api.llm.conftest import Connect

HERE = Path(__file__).parents[5]
ASKED = ChatRequest((Message("user", "Say hello."),))
PIECES = ("Hé", "llo 漢", "🌍\n")
FORMS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "sensenova": "/v1/llm/chat-completions"}


def ask(**changed: Any) -> ChatRequest:
    return ChatRequest(**{"messages": ASKED.messages, **changed})


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("stream", [True, False])
def test_each_form(name: str, stream: bool, api: LlmApi, connect: Connect) -> None:  # noqa: FBT001 - a case
    api.pieces = PIECES
    found = list(connect(name).chat(ask(stream=stream)))
    texts = [event.text for event in found if isinstance(event, Delta)]
    assert texts == (list(PIECES) if stream else ["".join(PIECES)])
    assert [event.reason for event in found if isinstance(event, Finished)] == ["end_turn" if name == "anthropic" else "stop"]
    answer = Answer()
    for event in found:
        answer.add(event)
    assert answer.usage == Usage(PROMPT_TOKENS, len(PIECES))
    (request,) = api.requests
    assert request.path == FORMS[name]
    key = load(name).key
    assert request.header(key.header) == key.value(KEY)
    assert {field: request.header(field) for field in load(name).headers} == load(name).headers


BODIES = {
    "openai": {
        "messages": [
            {"role": "system", "content": "Base the answer on this:\n\nfacts"},
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
        ],
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 9,
        "n": 2,
        "seed": 3,
        "user": "u",
    },
    "anthropic": {
        "system": "Base the answer on this:\n\nfacts\n\nbe brief",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 9,
        "metadata": {"user_id": "u"},
    },
    "sensenova": {
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "plugins": {
            "associated_knowledge": {"content": "facts", "mode": "concatenate"},
            "web_search": {"search_enable": True, "result_enable": True},
        },
        "know_ids": ["kb-1"],
        "knowledge_config": {"control_level": "normal", "knowledge_base_result": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_new_tokens": 9,
        "repetition_penalty": 1.1,
        "n": 2,
        "user": "u",
    },
}
LACKS = {"openai": ["repetition_penalty"], "anthropic": ["repetition_penalty", "n", "seed"], "sensenova": ["seed"]}


@pytest.mark.parametrize("name", FORMS)
def test_bodies(name: str, connect: Connect) -> None:
    """All that can be said in each form; and what it cannot say is refused before anything is sent."""
    values: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 9, "repetition_penalty": 1.1, "n": 2, "seed": 3, "user": "u"}
    given = {field: value for field, value in values.items() if field not in LACKS[name]}
    messages = (Message("system", "be brief"), Message("user", "hi"))
    native = {"knowledge": ("kb-1",), "web_search": True} if name == "sensenova" else {}
    request = ask(messages=messages, model="m", context="facts", parameters=Parameters(**given), **native)
    assert body(request, load(name), name) == {"model": "m", "stream": True, **BODIES[name]}
    for field in LACKS[name]:
        with pytest.raises(UsageError, match=f"novaops knows no parameter of {name} for {flag_of(field)}"):
            connect(name).chat(ask(parameters=Parameters(**dict[str, Any]({field: 1}))))


def test_what_a_provider_does_not_have(api: LlmApi, connect: Connect) -> None:
    with pytest.raises(UsageError, match="novaops knows no way to let mistral search the web"):
        connect("mistral").chat(ask(web_search=True))
    with pytest.raises(UsageError, match="novaops knows no knowledge bases of this API"):
        connect("mistral").chat(ask(knowledge=("kb",)))
    with pytest.raises(UsageError, match="novaops knows no parameter of deepseek for -n"):
        connect("deepseek").chat(ask(parameters=Parameters(n=2)))
    unknown = Provider(endpoints=(Endpoint(host="127.0.0.1", port=api.port, path="", tls=False),), probe="/models")
    with pytest.raises(UsageError, match="which model"):
        connect("openai", route=direct(unknown)).chat(ASKED)
    assert not api.requests


def event(**delta: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode() + b"\n\n"


END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


@pytest.mark.parametrize(
    "chunks",
    [
        [event(content="a"), END, b"data: [DONE]\n\n"],
        [event(content="a"), END, b"data:[DONE]\n\n"],
        [event(content="a"), END],
        [event(content="a"), b"data: [DONE]\n\n"],
        [event(role="assistant", content=None), event(content="a"), END],
        [b": keep-alive\n\n", event(content="a"), b": keep-alive\n\n", END],
        [b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"a"}}]}\n\n', END],
        [event(content="a"), END, b"data: [DONE]"],
        [event(content="a"), END.replace(b"\n", b"\r\n")],
        [b'data: {"choices":[]}\n\n', event(content="a"), END],
        [b"data:\n\n", event(content="a"), b"event: keepalive\ndata: \n\n", END],
        [b"event: ping\ndata: 2026-11-28\n\n", event(content="a"), b"event: heartbeat\ndata: still here\n\n", END],
    ],
    ids=[
        "done",
        "done-without-blank",
        "done-missing",
        "no-reason",
        "null",
        "comments",
        "several-lines",
        "no-newline",
        "crlf",
        "no-choices",
        "empty-events",
        "pings",
    ],
)
def test_streams_that_are_complete(chunks: list[bytes], api: LlmApi, connect: Connect) -> None:
    api.chunks = chunks
    assert [found.text for found in connect().chat(ASKED) if isinstance(found, Delta)] == ["a"]


def test_a_letter_that_is_cut_between_chunks(api: LlmApi, connect: Connect) -> None:
    whole = 'data: {"choices":[{"index":0,"delta":{"content":"漢字🌍"}}]}\n\n'.encode() + END
    api.chunks = [whole[number : number + 1] for number in range(len(whole))]
    assert [found.text for found in connect().chat(ASKED) if isinstance(found, Delta)] == ["漢字🌍"]


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("openai", [{"choices": [{"delta": {"content": each}}]} for each in ("a\ud83d", "\ude00b")]),
        ("sensenova", [{"data": {"choices": [{"delta": each}]}} for each in ("a\ud83d", "\ude00b")]),
        ("anthropic", [{"type": "content_block_delta", "delta": {"type": "text_delta", "text": each}} for each in ("a\ud83d", "\ude00b")]),
        ("responses", [{"type": "response.output_text.delta", "delta": each} for each in ("a\ud83d", "\ude00b")]),
    ],
)
def test_a_character_that_is_cut_between_events(name: str, pieces: list[Any], api: LlmApi, connect: Connect) -> None:
    """The halves of a character that takes two in JSON."""
    last = {"type": "response.completed"} if name == "responses" else {"type": "message_stop"}
    api.answers = [
        (200, {"Content-Type": "text/event-stream"}, sent([*pieces, last] if name in {"anthropic", "responses"} else pieces) + DONE)
    ]
    answer = Answer()
    request = ask(knowledge=("kb",)) if name == "responses" else ASKED
    deque(map(answer.add, connect("openai" if name == "responses" else name).chat(request)))
    assert answer.text == "a😀b"


def sent(events: list[Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)


def test_reasoning_is_told_apart(api: LlmApi, connect: Connect) -> None:
    api.chunks = [event(reasoning_content="hm"), event(reasoning="hm"), event(content="a"), END]
    found = [(one.text, one.reasoning) for one in connect().chat(ASKED) if isinstance(one, Delta)]
    assert found == [("hm", True), ("hm", True), ("a", False)]


CUT = "the answer of openai was cut off in the middle"


@pytest.mark.parametrize(
    "chunks",
    [
        [event(content="a")],
        [event(content="a"), b'data: {"choi'],
        [event(content="a"), b"data: no json\n\n"],
        [event(content="a"), b"data: 5\n\n"],
        [event(content="a"), END, b'data: {"choices":[{"index":1,"delta":{"content":"b"}}]}\n\n'],
        [event(content="a"), END.replace(b'"index":0', b'"index":1')],
        [event(content="a"), b'data: {"choices":"x"}\n\n'],
        [event(content="a"), b'data: {"choices":[1]}\n\n'],
        [event(content="a"), b'data: {"choices":[{"delta":"x"}]}\n\n'],
        [event(content="a"), b'data: {"usage":1}\n\n'],
        [],
    ],
    ids=[
        "no-end",
        "half-an-event",
        "no-json",
        "a-number",
        "one-of-two",
        "the-other-of-two",
        "no-list",
        "no-choice",
        "no-delta",
        "no-usage",
        "nothing",
    ],
)
def test_streams_that_are_not(chunks: list[bytes], api: LlmApi, connect: Connect) -> None:
    """What came before the cut is there."""
    api.chunks = chunks
    answer = Answer()
    with pytest.raises(ApiFailed, match=CUT):
        deque(map(answer.add, connect().chat(ASKED)))
    assert answer.text == ("a" if chunks else "")


ECHO = f"your key is {KEY}, is it?"
SPLIT = (ECHO[:20], ECHO[20:25], ECHO[25:])


@pytest.mark.parametrize(
    "chunks",
    [
        [*(event(content=piece) for piece in SPLIT), END],
        [*(event(reasoning=piece) for piece in SPLIT), END],
        [event(content=ECHO).replace(b"sk-", b"\\u0073k-"), END.replace(b"stop", KEY.encode())],
        [event(content="a"), b"data: " + b"x" * 70 + KEY.encode() + b"\n\n"],
        [event(content="a"), f'data: {{"choices": "{KEY}"}}\n\n'.encode()],
        [event(content="a"), json.dumps({"error": {"message": ECHO}}).replace("sk-", "\\u0073k-").join(("data: ", "\n\n")).encode()],
    ],
    ids=["text", "reasoning", "escaped", "cut-key", "no-choices", "error"],
)
def test_no_key_comes_back(chunks: list[bytes], api: LlmApi, connect: Connect) -> None:
    """Whatever the API says, in pieces or in an error: it is for a terminal, a file or a page."""
    api.chunks = chunks
    answer, said = Answer(), ""
    try:
        deque(map(answer.add, connect().chat(ASKED)))
    except ApiFailed as error:
        said = f"{error.what} {error.why} {error.fix}"
    shown = f"{answer.text} {answer.reasoning} {answer.reasons} {said}"
    assert KEY not in shown
    assert KEY[:6] not in shown


def test_no_key_comes_back_in_a_document(api: LlmApi, connect: Connect) -> None:
    api.models = ["model-a", f"model-{KEY}"]
    assert connect().models() == ["model-[secret]", "model-a"]
    api.answers = [(401, {}, json.dumps({"error": {"message": ECHO}}).encode()), (200, {}, b"x" * 70 + KEY.encode())]
    for _ in range(2):
        with pytest.raises(ApiFailed) as failed:
            connect().models()
        assert KEY[:6] not in str(failed.value)
    pair = connect("sensenova", KeyPair("ak", Secret("sk-secret")))
    assert pair.models()
    token = (api.requests[-1].header("Authorization") or "").removeprefix("Bearer ")
    api.models = [token, "sk-secret"]
    assert pair.models() == ["[secret]", "[secret]"]
    site = Route(load("openai"), "proxy:canada/openai", api.url, {"Authorization": Secret("Basic bm92YTp4")}, sends_key=False)
    api.models = ["bm92YTp4"]
    assert connect(route=site).models() == ["[secret]"]


def test_a_connection_that_is_cut(api: LlmApi, connect: Connect) -> None:
    api.behaviour.cut = "chunked"
    with pytest.raises(ApiFailed, match=CUT) as failed:
        list(connect().chat(ASKED))
    assert "closed connection" in failed.value.why
    assert "novaops api check" in failed.value.fix


def test_an_error_in_the_middle(api: LlmApi, connect: Connect) -> None:
    api.chunks = [event(content="a"), b'data: {"error":{"message":"The server is overloaded","type":"server_error"}}\n\n']
    with pytest.raises(ApiFailed, match="openai breaks off with an error: The server is overloaded"):
        list(connect().chat(ASKED))


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([b'event: error\ndata: {"message":"too busy"}\n\n', DONE], "breaks off with an error: too busy"),
        ([b"event: error\ndata: too busy\n\n", DONE], "breaks off with an error: too busy"),
        ([event(content="a"), b'data: {"code":500,"message":"too busy"}\n\n', DONE], "breaks off with an error: too busy"),
        ([b'data: {"success":false,"msg":"too busy"}\n\n', DONE], "breaks off with an error: too busy"),
        ([b'data: {"base_resp":{"status_code":1002,"status_msg":"too busy"}}\n\n', DONE], "breaks off with an error: too busy"),
        ([b'data: {"error":true}\n\n'], "it does not say which"),
        ([b"event: error\ndata:\n\n", DONE], "it does not say which"),
        ([event(content="a"), b'data: {"detail":"too busy","status_code":503}\n\n', DONE], "breaks off with an error: too busy"),
        ([event(content="a"), b'data: {"message":"too busy"}\n\n', DONE], "breaks off with an error: too busy"),
        (
            [event(content="a"), b'data: {"choices":[{"delta":{},"error":{"message":"too busy","code":502}}]}\n\n', DONE],
            "breaks off with an error: too busy",
        ),
        ([DONE], "ends without an answer"),
        ([b'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n', DONE], "ends without an answer"),
    ],
    ids=[
        "event",
        "event-of-text",
        "code",
        "success",
        "base_resp",
        "true",
        "empty-error",
        "detail",
        "message",
        "choice",
        "done-alone",
        "usage-alone",
    ],
)
def test_a_stream_that_ends_in_order_and_is_no_answer(chunks: list[bytes], said: str, api: LlmApi, connect: Connect) -> None:
    api.chunks = chunks
    with pytest.raises(ApiFailed, match=said):
        list(connect().chat(ASKED))


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"id": "x", "choices": None, "error": {"code": 18, "message": "risk control"}}},
        {"data": {"choices": [{"error": {"message": "risk control"}}]}},
        {"data": None, "status": {"code": 18, "message": "risk control"}},
        {"data": {"choices": [{"delta": "x"}]}, "status": {"code": "18", "message": "risk control"}},
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_an_error_inside_an_answer_of_sensenova(document: Any, stream: bool, api: LlmApi, connect: Connect) -> None:  # noqa: FBT001 - a case
    """Its stream ends in order all the same."""
    begun = {"data": {"choices": [{"delta": "half an ans"}]}, "status": {"code": 0, "message": "ok"}}
    api.chunks = [*(b"data:" + json.dumps(each).encode() + b"\n\n" for each in (begun, document)), b"data:[DONE]\n\n"]
    api.answers = [] if stream else [(200, {}, json.dumps(document).encode())]
    with pytest.raises(ApiFailed, match="an error: risk control"):
        list(connect("sensenova").chat(ask(stream=stream)))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"error": {"message": "no such key"}}, "answers with an error: no such key"),
        ({"code": 401, "message": "no such key", "data": None}, "answers with an error: no such key"),
        ({"base_resp": {"status_code": 1004, "status_msg": "no such key"}}, "answers with an error: no such key"),
        ({"choices": [], "usage": {"prompt_tokens": 3}}, "ends without an answer"),
        ({"detail": "Not authenticated"}, "answers with an error: Not authenticated"),
        ({"detail": "Not authenticated", "status_code": 503}, "an error: Not authenticated"),
        ({"message": "too busy"}, "an error: too busy"),
        ({"choices": [{"message": {"content": "a"}, "error": {"message": "too busy"}}]}, "an error: too busy"),
        ({}, "ends without an answer"),
    ],
)
def test_a_document_that_is_no_answer(document: dict[str, Any], said: str, api: LlmApi, connect: Connect) -> None:
    api.answers = [(200, {}, json.dumps(document).encode())]
    with pytest.raises(ApiFailed, match=said):
        list(connect().chat(ask(stream=False)))


LENGTH = Parameters(max_tokens=9)


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("openai", "length", "the answer of openai is cut short"),
        ("openai", "LENGTH", "is cut short"),
        ("openai", "model_length", "is cut short"),
        ("openai", "content_filter", "openai kept the answer back, or a part of it"),
        ("openai", "network_error", "cut off in the middle"),
        ("sensenova", "sensitive", "kept the answer back"),
        ("anthropic", "max_tokens", "is cut short"),
        ("anthropic", "model_context_window_exceeded", "is cut short"),
        ("anthropic", "pause_turn", "is cut short"),
        ("anthropic", "refusal", "kept the answer back"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_is_not_whole(name: str, reason: str, said: str, stream: bool, api: LlmApi, connect: Connect) -> None:  # noqa: FBT001 - a case
    """What came of it is there. A limit that was asked for is no fault."""
    choice = {"index": 0, "delta": {"content": "half"}, "message": {"content": "half"}, "finish_reason": reason}
    native = {"index": 0, "delta": "half", "message": "half", "finish_reason": reason}
    whole = {"openai": {"choices": [choice]}, "sensenova": {"data": {"choices": [native]}}, "anthropic": claude("half", reason)}[name]
    document = json.dumps(whole).encode()
    api.chunks = [b"data: " + document + b"\n\n", b'data: {"type":"message_stop"}\n\n' if name == "anthropic" else DONE]
    answer = Answer()
    for parameters in (Parameters(), LENGTH):
        api.answers = [] if stream else [(200, {}, document)]
        if parameters is LENGTH and reason in {"length", "LENGTH", "max_tokens"}:
            assert list(connect(name).chat(ask(stream=stream, parameters=parameters)))
            continue
        with pytest.raises(ApiFailed, match=said) as failed:
            deque(map(answer.add, connect(name).chat(ask(stream=stream, parameters=parameters))))
        assert reason in failed.value.why
        assert isinstance(failed.value, Incomplete) is ("cut short" in said)
    assert answer.text.startswith("half" if reason != "network_error" else "")


def claude(text: str, reason: str) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "text", "text": text}], "stop_reason": reason}


@pytest.mark.parametrize(
    ("chunks", "why"),
    [
        ([event(content=""), END], "It says that it ended by: stop."),
        ([event(content=" \n"), END], "It says that it ended by: stop."),
        ([event(reasoning="hm"), b"data: [DONE]\n\n"], "The model thought, and then said nothing."),
        (
            [event(reasoning="hm"), END.replace(b"stop", b"length")],
            "The model thought, and then said nothing. It says that it ended by: length.",
        ),
    ],
    ids=["empty", "blank", "thoughts", "thoughts-at-the-limit"],
)
def test_an_answer_without_a_word(chunks: list[bytes], why: str, api: LlmApi, connect: Connect) -> None:
    api.chunks = chunks
    with pytest.raises(ApiFailed, match="openai ends without an answer") as failed:
        list(connect().chat(ask(parameters=LENGTH)))
    assert failed.value.why == why


@pytest.mark.parametrize("reason", ["error", "failed", "cancelled", "insufficient_system_resource"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_ends_by_an_error_is_none(reason: str, stream: bool, api: LlmApi, connect: Connect) -> None:  # noqa: FBT001 - a case
    choice = {"index": 0, "delta": {"content": "Hé"}, "message": {"content": "Hé"}, "finish_reason": reason}
    document = json.dumps({"choices": [choice]}).encode()
    api.chunks, api.answers = [b"data: " + document + b"\n\n", DONE], [] if stream else [(200, {}, document)]
    with pytest.raises(ApiFailed, match="cut off"):
        list(connect().chat(ask(stream=stream)))


@pytest.mark.parametrize("stream", [True, False])
def test_fewer_answers_than_were_asked_for_are_told(stream: bool, api: LlmApi, connect: Connect) -> None:  # noqa: FBT001 - a case
    """After those that came."""
    api.pieces = PIECES
    seen: list[Event] = []
    with pytest.raises(ApiFailed, match="gave 1 of 2 answers"):
        seen.extend(connect().chat(ask(stream=stream, parameters=Parameters(n=2))))
    assert "".join(event.text for event in seen if isinstance(event, Delta)) == "".join(PIECES)


def test_an_answer_without_words_is_one(api: LlmApi, connect: Connect) -> None:
    """The model calls a tool."""
    choice = {"index": 0, "message": {"content": None}, "finish_reason": "tool_calls"}
    api.answers = [(200, {}, json.dumps({"code": 7, "choices": [choice]}).encode())]
    assert list(connect().chat(ask(stream=False))) == [Finished("tool_calls")]


def test_a_server_that_does_not_stream(api: LlmApi, connect: Connect) -> None:
    """It answers with the whole document although a stream was asked for."""
    whole = {"choices": [{"index": 0, "message": {"content": "all at once"}, "finish_reason": "stop"}]}
    api.answers = [(200, {}, json.dumps(whole).encode())]
    assert [one.text for one in connect().chat(ASKED) if isinstance(one, Delta)] == ["all at once"]


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_in_the_form_before_chats(stream: bool, api: LlmApi, connect: Connect) -> None:  # noqa: FBT001 - a case
    """Some servers of models send `text` in place of a message."""
    old = {"choices": [{"index": 0, "text": "as it was", "finish_reason": "stop"}]}
    kind, body = ("text/event-stream", f"data: {json.dumps(old)}\n\ndata: [DONE]\n\n") if stream else ("application/json", json.dumps(old))
    api.answers = [(200, {"Content-Type": kind}, body.encode())]
    assert "".join(one.text for one in connect().chat(ask(stream=stream)) if isinstance(one, Delta)) == "as it was"


@pytest.mark.parametrize("kind", ["text/html", "text/event-stream", "text/plain"])
def test_a_web_page_in_place_of_a_stream(kind: str, api: LlmApi, connect: Connect) -> None:
    """Whatever its header says: gateways pass on the one of the answer that they replace."""
    api.answers = [(200, {"Content-Type": kind}, b"\n " + PAGE)]
    with pytest.raises(ApiFailed, match=r"something else than openai answers: 200 and a web page \(“502 Bad Gateway”\)"):
        list(connect().chat(ASKED))


REGION = "unsupported_country_region_territory"
PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>"
REFUSALS = [
    (
        401,
        b'{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}',
        "openai does not accept the key (401): Incorrect",
        "--key",
    ),
    (403, b'{"error":{"message":"Country not supported","code":"%b"}}' % REGION.encode(), "refuses the region", "--via"),
    (400, b'[{"error":{"message":"User location is not supported for the API use."}}]', "refuses the region", "--via"),
    (400, b'{"error":{"message":"Parameter region is not supported"}}', "openai refuses the request (400): Parameter region", ""),
    (403, b'{"error":{"code":7,"message":"no permission"}}', "openai forbids it (403): no permission", "may this key"),
    (404, b'{"error":{"message":"The model `m` does not exist","code":"model_not_found"}}', "has no model gpt-4o-mini", "--model"),
    (404, b'{"error":{"message":"Invalid URL"}}', "openai has nothing at /v1/chat/completions (404): Invalid URL", "--upstream"),
    (413, b"", "the request is too large", "max_body"),
    (413, PAGE, "something else than openai answers: 413 and a web page", "api check"),
    (422, b'{"detail":"temperature must be below 2"}', "openai refuses the request (422): temperature must be below 2", ""),
    (400, b'{"error":{"message":"request (15030 tokens) exceeds"}}', "openai refuses the request (400): request (15030 tokens)", ""),
    (
        429,
        b'{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}',
        "the quota of openai is used up",
        "account",
    ),
    (
        429,
        b'{"error":{"message":"Quota exceeded for requests per minute"}}',
        "openai had too many requests (429): Quota",
        "try again later",
    ),
    (404, b"", "openai has nothing at /v1/chat/completions (404)", "--upstream"),
    (429, b'{"error":{"message":"Rate limit reached"}}', "openai had too many requests (429): Rate limit", "try again later"),
    (500, b"oops", "openai is in trouble (500): oops", "try again"),
    (400, b'\xef\xbb\xbf{"error":{"message":"no"}}', "openai refuses the request (400): no", ""),
    (502, PAGE, "something else than openai answers: 502 and a web page (“502 Bad Gateway”)", "api check"),
    (200, PAGE, "something else than openai answers: 200 and a web page", "api check"),
    (504, b"", "openai did not answer in time (504)", "try again"),
    (302, b"", "something else than openai answers: 302, which leads to nowhere", "api check"),
    (502, b'{"error":{"type":"novaops_proxy","code":"bad_gateway","message":"x"}}', "cannot reach the API", "novaops proxy status"),
]


@pytest.mark.parametrize(("status", "body", "what", "fix"), REFUSALS)
@pytest.mark.parametrize("stream", [True, False])
def test_refusals(status: int, body: bytes, what: str, fix: str, stream: bool, api: LlmApi, connect: Connect) -> None:  # noqa: FBT001 - a case
    api.answers = [(status, {"Content-Type": "text/html" if body == PAGE else "application/json"}, body)]
    with pytest.raises(ApiFailed) as failed:
        list(connect().chat(ask(stream=stream)))
    assert what in failed.value.what
    assert fix in failed.value.fix
    assert failed.value.status == status
    assert len(api.requests) == 1


def test_no_key_at_all(api: LlmApi, connect: Connect) -> None:
    api.answers = [(401, {}, b'{"error":{"message":"no key"}}')]
    with pytest.raises(ApiFailed, match=r"openai asks for a key \(401\): no key"):
        list(connect(credential=None).chat(ASKED))
    assert api.requests[0].header("Authorization") is None


def test_a_clock_that_is_wrong(api: LlmApi, connect: Connect) -> None:
    api.answers = [(401, {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, b'{"error":{"message":"token is not valid yet"}}')] * 2
    with pytest.raises(ApiFailed) as failed:
        list(connect("sensenova", KeyPair("ak", Secret("sk"))).chat(ASKED))
    assert failed.value.fix.startswith("this machine's clock is ")
    assert failed.value.fix.endswith(" s ahead: set it right")
    sent = api.requests[0].header("Authorization") or ""
    assert sent.startswith("Bearer eyJ")
    with pytest.raises(ApiFailed, match="does not accept the key"):  # a plain key has no time in it
        list(connect("sensenova").chat(ASKED))


def test_it_is_tried_again_when_the_api_says_when(api: LlmApi, connect: Connect) -> None:
    api.answers = [(429, {"Retry-After": "0"}, b"{}"), (503, {"Retry-After": "0"}, b"{}")]
    assert [one for one in connect().chat(ASKED) if isinstance(one, Delta)]
    assert len(api.requests) == 3


@pytest.mark.parametrize(
    ("headers", "fix"),
    [
        ({"Retry-After": "3600"}, "Retry-After 3600"),
        ({"Retry-After": "soon"}, "soon"),
        ({"Retry-After": "Sun, 99 Foo 2026 99:99:99 GMT"}, "99 Foo"),
        ({}, "later"),
    ],
)
def test_it_is_not_tried_again(headers: dict[str, str], fix: str, api: LlmApi, connect: Connect) -> None:
    api.answers = [(429, headers, b"{}")]
    with pytest.raises(ApiFailed) as failed:
        list(connect().chat(ASKED))
    assert fix in failed.value.fix
    assert len(api.requests) == 1


def test_it_gives_up(api: LlmApi, connect: Connect) -> None:
    api.answers = [(429, {"Retry-After": "0"}, b"{}") for _ in range(9)]
    with pytest.raises(ApiFailed):
        list(connect().chat(ASKED))
    assert len(api.requests) == 1 + http.RETRIES


def test_leaving_the_answer_ends_the_request(api: LlmApi, connect: Connect) -> None:
    """The server sees the connection close: an answer that is not wanted any more costs nothing more."""
    api.pieces = ["word "] * 2000
    client = connect()
    events = client.chat(ASKED)
    next(events)
    events.close()
    assert [one for one in client.chat(ASKED) if isinstance(one, Delta)]
    assert api.connections == 2


def test_an_answer_that_does_not_come(api: LlmApi, connect: Connect) -> None:
    api.behaviour.delay_s = 30
    with pytest.raises(ApiFailed, match=r"openai said nothing for 0\.2 s"):
        list(connect(timeout=0.2).chat(ASKED))


def test_no_json(api: LlmApi, connect: Connect) -> None:
    api.answers = [(200, {}, b"hello")]
    with pytest.raises(ApiFailed, match="no JSON: 'hello'"):
        list(connect().chat(ask(stream=False)))
    api.answers = [(200, {}, b"[1]")]
    with pytest.raises(ApiFailed, match="no JSON object"):
        list(connect().chat(ask(stream=False)))


def test_a_byte_order_mark_before_json(api: LlmApi, connect: Connect) -> None:
    api.answers = [(200, {}, b'\xef\xbb\xbf{"data":[{"id":"m"}]}')]
    assert connect().models() == ["m"]


def test_nobody_listens(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = connect(route=direct(load("openai").located(f"http://127.0.0.1:{port}")))
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} refuses the connection"):
        list(client.chat(ASKED))
    client = connect("local", route=direct(load("local").located(f"http://127.0.0.1:{port}")))
    with pytest.raises(Unreachable, match="novaops api serve starts it"):
        list(client.chat(ASKED))


def test_a_connection_that_the_server_closed_meanwhile(api: LlmApi, connect: Connect) -> None:
    client = connect()
    assert list(client.chat(ASKED))
    api.stop()
    api.start()
    assert list(client.chat(ASKED))


def test_through_a_site(api: LlmApi, connect: Connect) -> None:
    """The site's own user goes instead of the key where it puts one in, and beside it where it has a token."""
    injecting = Route(load("openai"), "proxy:canada/openai", api.url, {"Authorization": Secret("Basic eDp5")}, sends_key=False)
    assert list(connect(route=injecting).chat(ASKED))
    assert api.requests[-1].header("Authorization") == "Basic eDp5"
    passing = Route(load("sensenova"), "proxy:canada/s", api.url, {"X-Gate": Secret("t")})
    assert list(connect("sensenova", route=passing).chat(ASKED))
    assert (api.requests[-1].header("X-Gate"), api.requests[-1].header("Authorization")) == ("t", f"Bearer {KEY}")
    assert passing.url("/files", 2) == f"{api.url}/files/v1/files"
    assert direct(load("sensenova")).url("/files", 2) == "https://file.sensenova.cn/v1/files"


def test_models(api: LlmApi, connect: Connect) -> None:
    assert connect().models() == ["model-a", "model-b"]
    assert connect("sensenova").models() == ["model-a", "model-b"]
    assert [request.path for request in api.requests] == ["/v1/models", "/v1/llm/models"]
    api.answers = [(200, {}, b"{}")]
    with pytest.raises(ApiFailed, match="no list of models"):
        connect().models()


def page(*names: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"data": [{"id": name} for name in names], **more}).encode()


@pytest.mark.parametrize(("name", "parameter"), [("openai", "after"), ("anthropic", "after_id"), ("sensenova", "after")])
def test_all_pages_of_the_models(name: str, parameter: str, api: LlmApi, connect: Connect) -> None:
    api.answers = [page("c", "b", has_more=True, last_id="b"), page("a", has_more=True), page(has_more=True)]
    assert connect(name).models() == ["a", "b", "c"]
    assert [request.target.partition("?")[2] for request in api.requests] == ["", f"{parameter}=b", f"{parameter}=a"]
    api.answers = [page("c", has_more=True)] * 2
    with pytest.raises(ApiFailed, match="sends the same page of it again"):
        connect(name).models()


def test_the_page_says_the_limit_of_anthropic() -> None:
    assert body(ask(model="m"), load("anthropic"), "anthropic")["max_tokens"] == 8192
    assert "Anthropic wants a limit with each request: 8192" in (HERE / "docs/api.md").read_text("utf-8")


def test_the_page_says_which_provider_has_which_parameter() -> None:
    rows = [line.strip("| ").split(" | ") for line in (HERE / "docs/api.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    names = [field.name for field in fields(Parameters)]
    shipped = {file.stem: load(file.stem).chat for file in (HERE / "novaops/providers").glob("*.yaml")}
    said = {row[0]: row[1:] for row in rows if row[0] in shipped and len(row) == len(names) + 2}
    assert said == {
        name: [*("✓" if one in chat.parameters else "–" for one in names), "✓" if chat.web_search else "–"]
        for name, chat in shipped.items()
    }
