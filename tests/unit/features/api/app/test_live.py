"""The page's backend with a real client of an API, and real knowledge bases."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from novaops.cli.options import Options
from novaops.errors import Unreachable, UsageError
from novaops.features.api.access import ApiFlags
from novaops.features.api.app import connections as connections_module
from novaops.features.api.app.backend import Choice
from novaops.features.api.app.connections import Connections
from novaops.features.api.app.live import LiveBackend
from novaops.features.api.remote import uploads
from novaops.ssh.target import Target
from tests.support.llm_api import KEY, LlmApi
from tests.support.page_server import Client, served
from tests.support.provider_files import KEY as STAND_KEY
from tests.support.provider_files import Kept, Stand, stand

INVENTORY = """\
hosts:
  canada:
    address: 198.51.100.7
    proxy:
      - {name: openai, provider: openai, domain: proxy.example.com, tls: off, auth: {basic: {nova: env:PROXY_PASSWORD}, inject: env:KEY}}
      - {name: other, provider: deepseek, domain: deepseek.example.com, tls: off, auth: {passthrough: true, from: [198.51.100.0/24]}}
      - {name: gone, provider: openai, domain: gone.example.com, tls: off, state: absent}
  aliyun: {address: 192.0.2.20}
"""


@pytest.fixture
def api() -> Iterator[LlmApi]:
    with LlmApi() as running:
        yield running


@pytest.fixture
def connections(api: LlmApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connections]:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PROXY_PASSWORD", "proxy-password")
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    options = Options(inventory=tmp_path / "inventory.yaml")
    found = Connections(options, ApiFlags(provider="local", upstream=f"{api.url}/v1", key="env:MY_KEY"), lambda _: None)
    yield found
    found.close()


@pytest.fixture
def user(connections: Connections) -> Iterator[Client]:
    with served(LiveBackend(connections), connections.chosen) as page:
        yield page.user()


def answer(user: Client, text: str = "hello", **more: Any) -> list[dict[str, Any]]:
    body = {"provider": "local", "via": "direct", "messages": [{"role": "user", "text": text}], **more}
    return [json.loads(line) for line in user("POST", "/api/answer", json.dumps(body)).body.splitlines()]


def said(lines: list[dict[str, Any]]) -> str:
    return "".join(line["text"] for line in lines if line["kind"] == "text")


def test_an_answer_of_the_api(user: Client, api: LlmApi) -> None:
    lines = answer(user, parameters={"temperature": 0.5, "max_tokens": 5})
    assert said(lines) == "Hello, world"
    assert [line["kind"] for line in lines[-2:]] == ["ended", "used"]
    (asked,) = api.asked
    assert (asked["temperature"], asked["max_tokens"], asked["stream"]) == (0.5, 5, True)


@pytest.mark.parametrize(
    ("reason", "last"),
    [
        ("length", {"kind": "ended", "reason": "length"}),
        ("content_filter", {"kind": "error", "what": "local kept the answer back, or a part of it"}),
    ],
)
def test_an_answer_that_is_not_whole(reason: str, last: dict[str, str], user: Client, api: LlmApi) -> None:
    """The page itself says of a limit that the answer is cut."""
    choice = {"index": 0, "delta": {"content": "half"}, "finish_reason": reason}
    api.chunks = [f"data: {json.dumps({'choices': [choice]})}\n\n".encode()]
    lines = answer(user)
    assert said(lines) == "half"
    assert last.items() <= lines[-1].items()


def test_the_measure_and_the_models(user: Client) -> None:
    choice = json.dumps({"provider": "local", "via": "direct"})
    assert json.loads(user("POST", "/api/check", choice).body)["ms"] >= 0
    assert json.loads(user("POST", "/api/models", choice).body) == {"models": ["model-a", "model-b"]}


def test_no_key_reaches_the_page(user: Client, api: LlmApi) -> None:
    """Not in any answer, also where the API says it, whole or in pieces, in its text or in an error."""
    answers = []
    api.pieces = ["Your key is ", KEY[:5], KEY[5:9], KEY[9:], ", is it? ", KEY]
    answers.append(json.dumps(answer(user)))
    assert answers[0].count("[secret]") == 2
    error = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}).encode()
    for path in ("answer", "check", "models"):
        api.answers = [(401, {}, error)]
        body = {"provider": "local", "via": "direct"} | ({"messages": [{"role": "user", "text": "x"}]} if path == "answer" else {})
        answers.append(user("POST", f"/api/{path}", json.dumps(body)).body)
        assert "[secret]" in answers[-1]
    answers += [user("GET", path).body for path in ("/", "/app.js", "/api/state", "/api/bases", "/texts.json")]
    for secret in (KEY, "proxy-password", base64.b64encode(b"nova:proxy-password").decode()):
        assert not [found for found in answers if secret in found]


def test_no_key_reaches_the_page_in_pieces_of_thoughts(user: Client, api: LlmApi) -> None:
    pieces = [json.dumps({"choices": [{"index": 0, "delta": {"reasoning": piece}}]}) for piece in ("key ", KEY[:5], KEY[5:])]
    end = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": KEY}]})
    api.chunks = [f"data: {each}\n\n".encode() for each in (*pieces, end)]
    lines = answer(user)
    assert said(lines) == "key [secret]"
    assert KEY not in json.dumps(lines)


def test_no_key_reaches_the_page_from_this_machine(user: Client) -> None:
    """Of a base of one's own: its name, the names of its documents, what was wrong with one, and their text."""
    name = f"b-{KEY}"
    shown = user("POST", "/api/bases", json.dumps({"name": name})).body
    for file, text in ((f"{KEY}.md", f"Button\n\nIt is {KEY}."), (f"{KEY}.json", "{")):
        shown += user("PUT", f"/api/bases/{name}/documents/{file}", text, Content_Type="application/octet-stream").body
    while "receiving" in (found := user("GET", f"/api/bases/{name}/documents").body) or "reading" in found:
        pass
    shown += found + user("GET", "/api/state").body + user("GET", "/api/bases").body
    lines = answer(user, "button?", base=name)
    assert [each["text"] for each in lines[0]["passages"]] == ["Button\n\nIt is [secret]."]
    shown += json.dumps(lines) + user("POST", "/api/bases", json.dumps({"name": name})).body
    assert shown.count("[secret]") > 8
    assert KEY not in shown


def test_only_what_the_page_offers_can_be_chosen(connections: Connections) -> None:
    for choice in (Choice("openai", "root@192.0.2.1"), Choice("../../etc", "direct"), Choice("openai", "proxy:canada/other")):
        with pytest.raises(UsageError, match="there is no route"):
            connections.access(choice)


@pytest.mark.parametrize(
    "said", [{"provider": "nothing"}, {"via": "nowhere", "provider": "local"}, {"provider": "openai"}, {"key": "env:NOT_SET"}]
)
def test_a_wrong_flag_is_said_at_the_start(connections: Connections, tmp_path: Path, said: dict[str, str]) -> None:
    del connections
    with pytest.raises(UsageError):
        Connections(Options(inventory=tmp_path / "inventory.yaml"), ApiFlags(**said), lambda _: None)


def test_without_flags_a_key_may_be_missing(connections: Connections, tmp_path: Path) -> None:
    del connections
    plain = Connections(Options(inventory=tmp_path / "inventory.yaml"), ApiFlags(), lambda _: None)
    assert (plain.chosen, plain.providers()[0].usable) == (Choice("openai", "direct"), False)


def test_routes_are_those_of_the_inventory(connections: Connections) -> None:
    found = {each.name: each for each in connections.providers()}
    assert next(iter(found)) == "local", "the chosen one is the first"
    assert list(found["local"].routes) == ["direct", "canada", "aliyun"]
    assert list(found["openai"].routes) == ["direct", "canada", "aliyun", "proxy:canada/openai"]
    assert list(found["deepseek"].routes) == ["direct", "canada", "aliyun", "proxy:canada/other"]
    assert (found["local"].usable, found["openai"].usable) == (True, False)
    assert "azure" not in found


def test_a_site_with_a_key_of_its_own_needs_none_here(connections: Connections, tmp_path: Path) -> None:
    plain = Connections(
        Options(inventory=tmp_path / "inventory.yaml"), ApiFlags(provider="openai", via="proxy:canada/openai"), lambda _: None
    )
    (first, *_) = plain.providers()
    assert (first.name, first.usable, list(first.routes)) == ("openai", True, ["direct", "canada", "aliyun", "proxy:canada/openai"])
    assert plain.access(plain.chosen).credential is None
    del connections


@pytest.mark.parametrize(("route", "provider"), [("proxy:canada/openai", "deepseek"), ("canada", "local")])
def test_the_page_begins_by_the_route_that_a_chat_would_take(connections: Connections, tmp_path: Path, route: str, provider: str) -> None:
    """The inventory's is not for each provider: its site was offered, and given the key, whatever stands behind it."""
    del connections
    file = tmp_path / "inventory.yaml"
    file.write_text(f'{file.read_text()}\napi: {{provider: openai, route: "{route}"}}\n')
    begun = Connections(Options(inventory=file), ApiFlags(provider=provider, key="env:PROXY_PASSWORD"), lambda _: None)
    assert (begun.chosen, begun.access(begun.chosen).route.name) == (Choice(provider, "direct"), "direct")


def test_a_question_to_a_base_has_its_passages(user: Client, api: LlmApi, tmp_path: Path) -> None:
    assert user("POST", "/api/bases", '{"name": "router"}').status == 201
    text = "# Reset\n\nHold the button for ten seconds.\n"
    assert user("PUT", "/api/bases/router/documents/manual.md", text, Content_Type="application/octet-stream").status == 202
    while not (found := json.loads(user("GET", "/api/bases/router/documents").body)["documents"]) or found[0]["state"] != "ready":
        pass
    assert found[0]["passages"] == 1
    lines = answer(user, "Which button?", base="router")
    (passage,) = lines[0]["passages"]
    assert passage["document"] == "manual.md"
    assert "ten seconds" in passage["text"]
    assert "Hold the button for ten seconds." in api.asked[0]["messages"][0]["content"]
    assert answer(user, "zzz", base="router")[0]["passages"] == []
    assert not (tmp_path / "data/novaops/knowledge/manual.md").exists()
    assert user("DELETE", "/api/bases/router").status == 204


def test_a_copy_of_a_document_is_not_lost_without_a_word(user: Client) -> None:
    assert user("POST", "/api/bases", '{"name": "router"}').status == 201
    for name in ("a.md", "b.md"):
        user("PUT", f"/api/bases/router/documents/{name}", "Hold the button.", Content_Type="application/octet-stream")
        while "reading" in (found := user("GET", "/api/bases/router/documents").body):
            pass
    first, second = json.loads(found)["documents"]
    assert (first["name"], first["state"], second["name"], second["state"]) == ("a.md", "ready", "b.md", "failed")
    assert second["error"]["why"] == "The same file is there as a.md."


def test_a_question_takes_a_context_and_a_search_of_the_web(user: Client, api: LlmApi, connections: Connections) -> None:
    found = {each.name: each.web_search for each in connections.providers()}
    assert (found["local"], found["openai"]) == (False, False), "of one that cannot be asked nothing is offered"
    assert said(answer(user, context="The sky is green.")) == "Hello, world"
    assert api.asked[0]["messages"][0] == {"role": "system", "content": "Base the answer on this:\n\nThe sky is green."}
    (line,) = answer(user, web_search=True)
    assert "novaops knows no way to let local search the web" in line["what"]
    assert len(api.asked) == 1


def test_a_context_stands_before_the_passages_of_a_base(user: Client, api: LlmApi) -> None:
    assert user("POST", "/api/bases", '{"name": "router"}').status == 201
    assert user("PUT", "/api/bases/router/documents/m.md", "Hold the button.", Content_Type="application/octet-stream").status == 202
    while "reading" in user("GET", "/api/bases/router/documents").body:
        pass
    answer(user, "Which button?", base="router", context="The sky is green.")
    sent = api.asked[0]["messages"][0]["content"]
    assert 0 < sent.index("The sky is green.") < sent.index("Hold the button.")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"nothing": 1}, "no parameter nothing"),
        ({"n": 1.5}, "n"),
        ({"temperature": float("inf")}, "the value of temperature"),
        ({"top_p": float("nan")}, "the value of top_p"),
        ({"temperature": 10**400}, "the value of temperature"),
        ({"temperature": -3}, "the value of temperature"),
        ({"top_p": 1.5}, "the value of top_p"),
        ({"max_tokens": 0}, "the value of max_tokens"),
        ({"repetition_penalty": -1}, "the value of repetition_penalty"),
        ({"n": 0}, "the value of n"),
        ({"user": 5}, "the value of user"),
        ({"temperature": "0.5"}, "the value of temperature"),
    ],
)
def test_a_parameter_that_cannot_be_is_said(user: Client, api: LlmApi, parameters: dict[str, Any], words: str) -> None:
    (line,) = answer(user, parameters=parameters)
    assert line["kind"] == "error"
    assert words in line["what"]
    assert not api.asked


def test_a_cut_stream_is_an_error_after_what_was_said(user: Client, api: LlmApi) -> None:
    api.behaviour.cut = "chunked"
    lines = answer(user)
    assert lines[-1]["kind"] == "error"
    assert "cut off in the middle" in lines[-1]["what"]
    assert said(lines)


def openai_at(url: str, folder: Path) -> None:
    """The shipped file of openai, with that address."""
    shipped = yaml.safe_load(Path("novaops/providers/openai.yaml").read_text())
    shipped["endpoints"] = [{"host": "127.0.0.1", "port": int(url.rpartition(":")[2]), "path": "/v1", "tls": False}]
    (folder / "providers").mkdir()
    (folder / "providers/openai.yaml").write_text(yaml.safe_dump(shipped))


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Client, Stand]]:
    """The page of somebody whose openai is the stand-in for files and knowledge bases."""
    with stand() as there:
        monkeypatch.setenv("OPENAI_API_KEY", STAND_KEY)
        openai_at(there.url, tmp_path)
        with page_of("openai", tmp_path, monkeypatch) as user:
            yield user, there


@contextmanager
def page_of(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The page of somebody who has that provider in a folder of their own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    (folder / "inventory.yaml").write_text("hosts: {}\n")
    found = Connections(Options(inventory=folder / "inventory.yaml"), ApiFlags(provider=name), lambda _: None)
    with closing(found), served(LiveBackend(found), found.chosen) as page:
        yield page.user()


@pytest.mark.parametrize("searches", [True, False])
def test_a_base_at_a_provider_is_listed_and_asked(provider: tuple[Client, Stand], tmp_path: Path, searches: bool) -> None:  # noqa: FBT001 - a case
    user, there = provider
    assert json.loads(user("GET", "/api/state").body)["providers"][0]["web_search"] is True
    if not searches:
        file = tmp_path / "providers/openai.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "ask": None}))
    there.files["file-1"] = Kept("file-1", "alarms.txt", content=b"ALM-1 is class T")
    there.bases["vs_1"] = Kept("vs_1", "alarms", files={"file-1": 9})
    at = {"provider": "openai", "via": "direct"}
    assert json.loads(user("POST", "/api/provider-bases", json.dumps(at)).body)["bases"] == [{"id": "openai/vs_1", "name": "alarms"}]
    files = json.loads(user("POST", "/api/provider-files", json.dumps({**at, "base": "openai/vs_1"})).body)
    assert [(each["id"], each["name"], each["state"]) for each in files["documents"]] == [("file-1", "alarms.txt", "ready")]
    lines = answer(user, "ALM-1?", **at, base="openai/vs_1")
    assert said(lines) == "ALM-1 is class T"
    assert [each["document"] for line in lines if line["kind"] == "passages" for each in line["passages"]] == ["alarms.txt"]
    assert ("tools" in there.bodies[-1]) is searches
    there.bases["vs_1"].files = {}
    assert [line["passages"] for line in answer(user, "ALM-1?", **at, base="openai/vs_1") if line["kind"] == "passages"] == [[]]
    wrong = answer(user, "ALM-1?", **at, base="sensenova/s1")
    assert "the knowledge base sensenova/s1 is not at openai" in wrong[-1]["what"]
    there.missing = True
    assert json.loads(user("POST", "/api/provider-bases", json.dumps(at)).body) == {"bases": []}


def sent(user: Client, name: str, text: str, **query: str) -> dict[str, Any]:
    """What is listed of a file that was sent to the provider, once nothing is at work any more."""
    at = {"provider": "openai", "via": "direct", "base": query.pop("base", "")}
    to = urlencode({**at, **query})
    assert user("PUT", f"/api/provider-files/{name}?{to}", text, Content_Type="application/octet-stream").status == 202
    while True:
        found = [each for each in listed(user, at) if each["name"] == name]
        if all(each["state"] in {"ready", "failed"} for each in found):
            return found[-1]


AT = {"provider": "openai", "via": "direct"}


def listed(user: Client, at: dict[str, str]) -> list[dict[str, Any]]:
    return json.loads(user("POST", "/api/provider-files", json.dumps(at)).body)["documents"]  # type: ignore[no-any-return]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider is looked at again without a pause."""
    monkeypatch.setattr(uploads, "_POLLS", (0.0,))


@pytest.mark.usefixtures("at_once")
def test_a_base_at_a_provider_is_made_filled_asked_and_deleted(provider: tuple[Client, Stand]) -> None:
    user, there = provider
    state = json.loads(user("GET", "/api/state").body)["providers"][0]
    assert (state["keeps_bases"], state["purposes"][:3], state["largest"]) == (True, ["knowledge", "fine-tune", "batch"], 512 << 20)
    base = json.loads(user("POST", "/api/provider-bases/new", json.dumps({**AT, "name": "alarms"})).body)["id"]
    assert (base, there.bases["vs_1"].name) == ("openai/vs_1", "alarms")
    found = sent(user, "alarms.txt", "ALM-1 is class T", base=base)
    assert (found["id"], found["state"]) == ("file-1", "ready")
    assert (there.files["file-1"].content, there.files["file-1"].purpose) == (b"ALM-1 is class T", "assistants")
    assert said(answer(user, "ALM-1?", **AT, base=base)) == "ALM-1 is class T"
    passages = json.loads(user("POST", "/api/search", json.dumps({**AT, "base": base, "text": "ALM-1"})).body)["passages"]
    assert [(each["document"], each["text"]) for each in passages] == [("alarms.txt", "ALM-1 is class T")]
    out = {**AT, "base": base, "id": "file-1"}
    assert user("POST", "/api/provider-files/remove", json.dumps(out)).status == 204
    assert (there.bases["vs_1"].files, list(there.files)) == ({}, ["file-1"])
    assert user("POST", "/api/provider-bases/delete", json.dumps({**AT, "base": base})).status == 204
    assert there.bases == {}


@pytest.mark.usefixtures("at_once")
def test_files_of_a_provider_are_checked_sent_once_and_deleted(provider: tuple[Client, Stand]) -> None:
    user, there = provider
    wrong = sent(user, "train.jsonl", '{"prompt": "x"}\n', purpose="fine-tune")
    assert wrong["state"] == "failed"
    assert (wrong["error"]["what"], wrong["error"]["why"][:7]) == ("train.jsonl has not the form for fine-tune", "Line 1:")
    assert there.files == {}, "nothing was sent"
    example = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    lines = f"{json.dumps(example)}\n" * 10
    right = sent(user, "train.jsonl", lines, purpose="fine-tune")
    assert (right["id"], right["purpose"], right["size"]) == ("file-1", "fine-tune", len(lines))
    sent(user, "train.jsonl", lines, purpose="fine-tune")
    assert there.count("POST", "/v1/files") == 1
    assert user("POST", "/api/provider-files/remove", json.dumps({**AT, "base": "", "id": "file-1"})).status == 204
    assert there.files == {}


@pytest.mark.usefixtures("at_once")
def test_why_a_provider_refuses_a_file_is_shown(provider: tuple[Client, Stand]) -> None:
    user, there = provider
    there.rejects = f"too odd for {STAND_KEY}"
    found = sent(user, "a.txt", "text", purpose="knowledge")
    assert found["state"] == "failed"
    assert "too odd for [secret]" in json.dumps(found)


def test_files_that_come_at_once_all_get_into_a_base_whose_list_is_given_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    """SenseNova's. Two who read the list, change it and send it back would lose one."""
    del at_once
    with stand() as there:
        monkeypatch.setenv("SENSENOVA_API_KEY", STAND_KEY)
        shipped = yaml.safe_load(Path("novaops/providers/sensenova.yaml").read_text())
        here = {"host": "127.0.0.1", "port": int(there.url.rpartition(":")[2]), "tls": False}
        shipped["endpoints"] = [{**here, "path": "/v1"}, {**here, "path": "/compatible-mode"}, {**here, "path": "/files/v1", "at": "/f"}]
        (tmp_path / "providers").mkdir()
        (tmp_path / "providers/sensenova.yaml").write_text(yaml.safe_dump(shipped))
        there.bases["s1"] = Kept("s1", "alarms")
        to = {"provider": "sensenova", "via": "direct", "base": "sensenova/s1"}
        with page_of("sensenova", tmp_path, monkeypatch) as user:
            assert json.loads(user("GET", "/api/state").body)["providers"][0]["searches"] is False
            for number in range(6):
                path = f"/api/provider-files/{number}.txt?{urlencode(to)}"
                assert user("PUT", path, f"text {number}", Content_Type="application/octet-stream").status == 202
            while [each for each in listed(user, to) if each["state"] not in {"ready", "failed"}]:
                pass
            assert sorted(each["name"] for each in listed(user, to)) == [f"{number}.txt" for number in range(6)]
        assert sorted(there.bases["s1"].files) == sorted(there.files)


@pytest.mark.usefixtures("at_once")
def test_a_file_for_two_places_at_once_is_sent_once(provider: tuple[Client, Stand], monkeypatch: pytest.MonkeyPatch) -> None:
    user, there = provider
    both = threading.Barrier(2)
    known = uploads._known

    def slowly(*given: Any) -> Any:
        found = known(*given)
        with suppress(threading.BrokenBarrierError):
            both.wait(1)  # where both may ask whether it is there before one has sent it
        return found

    monkeypatch.setattr(uploads, "_known", slowly)
    there.bases |= {name: Kept(name, name) for name in ("vs_1", "vs_2")}
    for base in there.bases:
        to = urlencode({**AT, "base": f"openai/{base}"})
        assert user("PUT", f"/api/provider-files/a.txt?{to}", "text", Content_Type="application/octet-stream").status == 202
    for base in there.bases:
        while [each["state"] for each in listed(user, {**AT, "base": f"openai/{base}"})] != ["ready"]:
            pass
    assert there.count("POST", "/v1/files") == 1


def test_a_file_that_the_provider_is_at_work_on_is_not_called_failed(
    provider: tuple[Client, Stand], monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    del at_once
    user, there = provider
    monkeypatch.setattr(uploads, "PATIENCE", -1.0)
    there.slow = 10**6
    to = {**AT, "base": ""}
    path = f"/api/provider-files/a.txt?{urlencode({**to, 'purpose': 'knowledge'})}"
    assert user("PUT", path, "text", Content_Type="application/octet-stream").status == 202
    while not (found := listed(user, to)) or not found[0].get("id"):
        pass
    assert [(each["name"], each["state"]) for each in found] == [("a.txt", "pending")]
    there.bases["vs_1"] = Kept("vs_1", "alarms")
    inside = {**AT, "base": "openai/vs_1"}
    path = f"/api/provider-files/a.txt?{urlencode(inside)}"
    assert user("PUT", path, "text", Content_Type="application/octet-stream").status == 202
    while [each["state"] for each in listed(user, inside)] != ["failed"]:
        pass
    assert listed(user, inside)[0]["error"]["fix"] == "add it again: it is waited for, and not sent a second time", "it is not in the base"


def test_what_is_on_its_way_is_shown_where_the_provider_cannot_be_asked(provider: tuple[Client, Stand]) -> None:
    user, there = provider
    path = f"/api/provider-files/a.jsonl?{urlencode({**AT, 'base': '', 'purpose': 'fine-tune'})}"
    assert user("PUT", path, "wrong", Content_Type="application/octet-stream").status == 202
    while not [each for each in listed(user, {**AT, "base": ""}) if each["state"] == "failed"]:
        pass
    there.missing = True
    answered = json.loads(user("POST", "/api/provider-files", json.dumps({**AT, "base": ""})).body)
    assert (answered["error"]["what"], answered["documents"][0]["name"]) == ("openai keeps no files", "a.jsonl")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"base": "sensenova/s1"}, "the knowledge base sensenova/s1 is not at openai"),
        ({"base": "", "purpose": "nonsense"}, "novaops sends openai no files for nonsense"),
        ({"base": "", "purpose": "knowledge", "via": "nowhere"}, "there is no route nowhere to openai"),
    ],
)
def test_a_place_that_cannot_be_is_said_before_a_byte_is_taken(provider: tuple[Client, Stand], query: dict[str, str], words: str) -> None:
    user, there = provider
    path = f"/api/provider-files/a.txt?{urlencode({**AT, **query})}"
    answered = user("PUT", path, "text", Content_Type="application/octet-stream")
    assert (answered.status, words in answered.body) == (400, True)
    assert there.requests == []


def test_the_names_of_files_are_asked_for_once(provider: tuple[Client, Stand]) -> None:
    user, there = provider
    there.files["file-1"] = Kept("file-1", "alarms.txt")
    there.bases["vs_1"] = Kept("vs_1", "alarms", files={"file-1": 9, "file-gone": 9})
    for _ in range(3):
        found = listed(user, {**AT, "base": "openai/vs_1"})
        assert [each["name"] for each in found] == ["alarms.txt", "file-gone"]
    assert there.count("GET", "/v1/files") == 1


def test_one_failed_request_closes_no_way_that_others_use(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    through = replace(connections.access(connections.chosen), through=Target("canada", "192.0.2.1"))
    monkeypatch.setattr(connections, "access", lambda _: through)
    ended: list[int] = []

    @contextmanager
    def opened(*_: Any) -> Iterator[None]:
        yield
        ended.append(1)

    monkeypatch.setattr(connections_module, "opened", opened)
    with connections.http(connections.chosen):
        with pytest.raises(Unreachable), connections.http(connections.chosen):
            raise Unreachable("cut")
        assert not ended, "somebody uses it"
    assert ended, "nobody uses the lost one any more"
    connections.close()
    with pytest.raises(UsageError, match="has ended"), connections.http(connections.chosen):
        pass


def test_a_base_somewhere_else_is_not_touched(provider: tuple[Client, Stand]) -> None:
    user, there = provider
    there.bases["s1"] = Kept("s1", "alarms")
    for base in ("sensenova/s1", "s1", ""):
        answered = user("POST", "/api/provider-bases/delete", json.dumps({**AT, "base": base}))
        assert (answered.status, "is not at openai" in answered.body) == (400, True)
    assert list(there.bases) == ["s1"]


def test_a_base_with_vectors_finds_by_meaning(provider: tuple[Client, Stand]) -> None:
    user, _ = provider
    assert user("POST", "/api/bases", '{"name": "near", "embeddings": "openai/letters"}').status == 201
    assert user("PUT", "/api/bases/near/documents/a.md", "aabbcc", Content_Type="application/octet-stream").status == 202
    while "ready" not in user("GET", "/api/bases/near/documents").body:
        pass
    found = json.loads(user("POST", "/api/search", json.dumps({**AT, "base": "near", "text": "abcabc"})).body)["passages"]
    assert [(each["document"], each["found_by"]) for each in found] == [("a.md", "vector")]


@pytest.mark.parametrize(("model", "words"), [("letters", "names no model of vectors"), ("nothing/letters", "there is no route")])
def test_a_model_of_vectors_that_cannot_be_is_said(provider: tuple[Client, Stand], model: str, words: str) -> None:
    user, _ = provider
    answered = user("POST", "/api/bases", json.dumps({"name": "near", "embeddings": model}))
    assert (answered.status, words in answered.body) == (400, True)
    assert json.loads(user("GET", "/api/bases").body) == {"bases": []}


def test_several_answers_and_whom_the_provider_is_told_of(api: LlmApi, connections: Connections, tmp_path: Path) -> None:
    del connections
    choices = [{"index": number, "delta": {"content": word}, "finish_reason": "stop"} for number, word in enumerate(("one", "two"))]
    api.chunks = [f"data: {json.dumps({'choices': [each]})}\n\n".encode() for each in choices]
    openai_at(api.url, tmp_path)
    options = Options(inventory=tmp_path / "inventory.yaml")
    with closing(Connections(options, ApiFlags(provider="openai", key="env:MY_KEY"), lambda _: None)) as found:
        assert {"n", "user"} <= set(found.providers()[0].parameters)
        with served(LiveBackend(found), found.chosen) as page:
            lines = answer(page.user(), provider="openai", parameters={"n": 2, "user": "ana"})
    assert [(line["kind"], line["answer"], line.get("text")) for line in lines] == [
        ("text", 0, "one"),
        ("ended", 0, None),
        ("text", 1, "two"),
        ("ended", 1, None),
    ]
    assert (api.asked[0]["n"], api.asked[0]["user"]) == (2, "ana")


@pytest.mark.parametrize("searches", [True, False])
def test_no_key_reaches_the_page_from_a_base_at_a_provider(provider: tuple[Client, Stand], tmp_path: Path, searches: bool) -> None:  # noqa: FBT001 - a case
    user, there = provider
    if not searches:
        file = tmp_path / "providers/openai.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "ask": None}))
    there.files["file-1"] = Kept("file-1", f"{STAND_KEY}.txt", content=f"ALM-1 is {STAND_KEY}".encode())
    there.bases["vs_1"] = Kept("vs_1", STAND_KEY, files={"file-1": 9})
    at = {"provider": "openai", "via": "direct"}
    shown = user("POST", "/api/provider-bases", json.dumps(at)).body
    shown += user("POST", "/api/provider-files", json.dumps({**at, "base": "openai/vs_1"})).body
    shown += json.dumps(answer(user, "ALM-1?", **at, base="openai/vs_1"))
    assert shown.count("[secret]") >= 3
    assert STAND_KEY not in shown
