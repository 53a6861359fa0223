"""Lists, files and knowledge bases of gateways that leave fields out, or send another kind of value in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import ApiFailed, Passage
from novaops.features.api.llm.route import direct
from novaops.features.api.remote import stores
from novaops.features.api.remote.embeddings import Embeddings
from novaops.features.api.remote.protocol import RemoteBase, RemoteFile
from novaops.providers.loader import load
from novaops.secret import Secret
from tests.support.llm_api import KEY, LlmApi

Ask = Callable[[str, Any, Callable[[Http], Any]], Any]


@pytest.fixture
def api() -> Iterator[LlmApi]:
    with LlmApi() as made:
        yield made


def reach(name: str, api: LlmApi) -> Http:
    provider = load(name).located(api.url)
    return Http(name, Secret(KEY), direct(provider.model_copy(update={"endpoints": provider.endpoints[:1] * 3})))


@pytest.fixture
def ask(api: LlmApi) -> Ask:
    """What is made of an answer of the provider of that name."""

    def of(name: str, answer: Any, do: Callable[[Http], Any]) -> Any:
        api.answers = [(200, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode())]
        with reach(name, api) as http:
            return do(http)

    return of


def files(http: Http) -> Any:
    return list(stores.files(http)[0].list())


def bases(http: Http) -> Any:
    return list(stores.bases(http).list())


def found(http: Http) -> Any:
    return list(stores.bases(http).search("vs_1", "text", 5))


@pytest.mark.parametrize(
    ("name", "answer", "do", "wanted"),
    [
        ("openai", {"data": []}, files, []),
        ("openai", {"data": [{"id": 7, "bytes": "5", "filename": None, "created_at": "yesterday"}]}, files, [RemoteFile("7", size=5)]),
        ("openai", {"data": [{"id": "f", "bytes": "many", "last_error": "no"}]}, files, [RemoteFile("f")]),
        ("openai", {"data": [{"id": "v", "file_counts": 3, "name": ["n"]}]}, bases, [RemoteBase("v", "n")]),
        ("openai", {"data": [{"id": "v", "file_counts": {"total": None}}]}, bases, [RemoteBase("v")]),
        ("openai", {"data": [None, {"content": [{"text": None}, {"text": "a"}], "filename": None}]}, found, [Passage("\na")]),
        ("openai", {"data": [{"content": "a", "filename": "b.txt"}]}, found, [Passage("", "b.txt")]),
        ("openai", {"data": []}, found, []),
        ("sensenova", {"knowledge_bases": []}, bases, []),
        ("sensenova", {"knowledge_bases": [{"id": "b", "files": 5, "status": None}]}, bases, [RemoteBase("b")]),
    ],
)
def test_odd_lists(ask: Ask, name: str, answer: Any, do: Callable[[Http], Any], wanted: Any) -> None:
    assert ask(name, answer, do) == wanted


@pytest.mark.parametrize("answer", [b"", {}, {"hello": "world"}, "x", 5, [], [{"id": "f"}], {"items": []}, {"data": None}, {"data": ["f"]}])
@pytest.mark.parametrize(
    ("name", "do", "what"),
    [
        ("openai", files, "files"),
        ("openai", bases, "knowledge bases"),
        ("openai", lambda http: stores.bases(http).files("vs_1"), "files"),
        ("openai", found, "passages"),
        ("sensenova", files, "files"),
        ("sensenova", bases, "knowledge bases"),
    ],
)
def test_an_answer_without_a_list_is_no_empty_one(ask: Ask, name: str, do: Callable[[Http], Any], what: str, answer: Any) -> None:
    with pytest.raises(ApiFailed, match=f"{name} answers with no list of {what}"):
        ask(name, answer, do)


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "no such key"}},
        {"code": 401, "message": "no such key", "data": None},
        {"success": False, "msg": "no such key"},
    ],
)
@pytest.mark.parametrize(
    "do",
    [files, bases, found, lambda http: stores.files(http)[0].remove("file-1"), lambda http: stores.bases(http).remove("vs_1")],
    ids=["files", "bases", "found", "remove-file", "remove-base"],
)
def test_an_error_with_the_status_of_success(ask: Ask, answer: Any, do: Callable[[Http], Any]) -> None:
    """It is no empty list, and nothing that was done."""
    with pytest.raises(ApiFailed, match="openai answers with an error: no such key"):
        ask("openai", answer, do)


def test_a_file_that_failed_is_no_refusal(ask: Ask) -> None:
    answer = {"id": "f", "status": "error", "error": {"message": "unreadable"}}
    assert ask("openai", answer, lambda http: stores.files(http)[0].get("f")).state == "failed"


@pytest.mark.parametrize(
    "do",
    [
        lambda http: stores.files(http)[0].remove("f"),
        lambda http: stores.bases(http).remove("f"),
        lambda http: stores.bases(http).take_out("b", "f"),
    ],
)
def test_what_is_not_deleted_is_said(ask: Ask, do: Callable[[Http], Any]) -> None:
    with pytest.raises(ApiFailed, match="says that f is not deleted"):
        ask("openai", {"id": "f", "deleted": False}, do)
    answer: Any
    for answer in ({}, {"hello": "world"}, {"id": "f"}, "x", [], {"deleted": None}):
        with pytest.raises(ApiFailed, match="does not say that f is deleted"):
            ask("openai", answer, do)
    for answer in (b"", {"id": "f", "deleted": True}):
        ask("openai", answer, do)


@pytest.mark.parametrize("name", ["openai", "sensenova"])
@pytest.mark.parametrize("do", [files, bases])
def test_lists_in_pages(api: LlmApi, name: str, do: Callable[[Http], Any]) -> None:
    """A server that does not know `after` sends its first page for ever."""

    def page(number: str) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps({"data": [{"id": number}], "has_more": number == "f"}).encode()

    with reach(name, api) as http:
        api.answers = [page("f"), page("g")]
        assert [each.id for each in do(http)] == ["f", "g"]
        assert "after=f" in api.requests[-1].target
        api.answers = [page("f")] * 3
        with pytest.raises(ApiFailed, match="the same page of it again"):
            do(http)
        assert len(api.requests) == 4


@pytest.mark.parametrize("answer", [{}, None, [], {"id": None}, {"id": ""}])
def test_what_has_no_id_is_said(ask: Ask, answer: Any) -> None:
    with pytest.raises(ApiFailed, match="without the id of a file"):
        ask("openai", answer, lambda http: stores.files(http)[0].get("file-1"))


def test_odd_embeddings(ask: Ask) -> None:
    def embed(http: Http) -> Any:
        return Embeddings(http, "m").embed(["a", "b"])

    assert ask("openai", {"data": [{"index": None, "embedding": [1]}, {"index": None, "embedding": [2]}]}, embed) == [[1.0], [2.0]]
    assert ask("openai", {"data": [{"index": "1", "embedding": [2]}, {"index": "0", "embedding": [1]}]}, embed) == [[1.0], [2.0]]
    for wrong in (5, [5], [{"embedding": None}], [{"embedding": [10**400]}], "text"):
        with pytest.raises(ApiFailed, match="no embeddings"):
            ask("openai", {"data": wrong}, embed)


def test_json_without_an_end(ask: Ask) -> None:
    with pytest.raises(ApiFailed, match="no JSON"):
        ask("openai", b"[" * 100_000, files)
