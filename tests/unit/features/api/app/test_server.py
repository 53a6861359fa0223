"""The routes as the page uses them, over the real server."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from novaops.errors import Unreachable, UsageError
from novaops.features.api.app import run
from novaops.features.api.app.backend import Event, ProviderBase, Question, Text
from novaops.features.api.app.run import listen
from novaops.features.api.app.session import Session
from tests.support.page_backend import CHOSEN, KEY, WAIT, PageBackend
from tests.support.page_server import Client, Served, served


@pytest.fixture
def backend() -> PageBackend:
    return PageBackend()


@pytest.fixture
def user(backend: PageBackend) -> Iterator[Client]:
    with served(backend, CHOSEN) as page:
        yield page.user()


def asked(text: str, base: str = "") -> str:
    messages = [{"role": "user", "text": text}]
    return json.dumps({"provider": "local", "via": "direct", "messages": messages, "parameters": {"temperature": 0.5}, "base": base})


def documents(user: Client, base: str = "manuals") -> dict[str, Any]:
    found = json.loads(user("GET", f"/api/bases/{base}/documents").body)["documents"]
    return {each["name"]: each for each in found}


def upload(user: Client, name: str, text: str = "text") -> int:
    return user("PUT", f"/api/bases/manuals/documents/{name}", text, Content_Type="application/octet-stream").status


def wait_for(user: Client, name: str, state: str) -> dict[str, Any]:
    """The document, as soon as it is in that state."""
    for _ in range(2000):
        found = documents(user).get(name)
        if found and found["state"] == state:
            return found  # type: ignore[no-any-return]
    raise AssertionError(documents(user))


@contextmanager
def streaming(user: Client, text: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", user.page.port, timeout=WAIT)
    headers = {"Cookie": user.cookie, "Origin": user.page.origin, "Content-Type": "application/json"}
    connection.request("POST", "/api/answer", asked(text), headers)
    with closing(connection), connection.getresponse() as answer:
        yield answer


def test_the_state_has_all_that_the_page_shows(user: Client) -> None:
    answer = user("GET", "/api/state")
    state = json.loads(answer.body)
    assert state["chosen"] == {"provider": "local", "via": "direct"}
    assert [each["name"] for each in state["providers"]] == ["local", "openai"]
    assert state["providers"][0]["routes"] == ["direct", "canada", "proxy:canada/openai"]
    assert (state["bases"], state["kinds"]) == (["manuals"], [".txt", ".md", ".pdf"])


def test_an_answer_comes_as_lines_with_their_times(user: Client, backend: PageBackend) -> None:
    answer = user("POST", "/api/answer", asked("hello", base="manuals"))
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert [line["kind"] for line in lines] == ["passages", "text", "text", "text", "used", "ended"]
    assert lines[0]["passages"] == [
        {"text": "Hold the button for ten seconds.", "document": "router.pdf", "place": "page 7", "found_by": "text"}
    ]
    assert "".join(line["text"] for line in lines if line["kind"] == "text") == "You said: hello "
    assert [line["ms"] for line in lines] == sorted(line["ms"] for line in lines)
    (question,) = backend.questions
    assert (question.choice, question.parameters, question.base) == (CHOSEN, {"temperature": 0.5}, "manuals")


def test_pieces_arrive_when_they_are_said(user: Client, backend: PageBackend) -> None:
    with streaming(user, "slowly") as answer:
        for _ in range(2):
            backend.go_on.release()
            assert json.loads(answer.readline())["kind"] == "text"
            assert not backend.closed.is_set(), "the answer is not complete"


def test_a_page_that_goes_away_ends_the_request(user: Client, backend: PageBackend) -> None:
    with streaming(user, "slowly " * 1000) as answer:
        backend.go_on.release()
        answer.readline()
    for _ in range(200):
        backend.go_on.release()
        if backend.closed.wait(0.05):
            break
    assert backend.closed.is_set()


def test_an_error_is_the_last_line(user: Client, backend: PageBackend) -> None:
    def cut(_: Question) -> Iterator[Event]:
        yield Text("Half ")
        raise UsageError("the answer was cut", why="so", fix="again")

    backend.answering = cut  # type: ignore[assignment]
    lines = [json.loads(line) for line in user("POST", "/api/answer", asked("x")).body.splitlines()]
    assert [line["kind"] for line in lines] == ["text", "error"]
    assert lines[1] == {"kind": "error", "code": "usage", "what": "the answer was cut", "why": "so", "fix": "again"}


def test_a_bug_in_the_middle_says_no_more_than_its_kind(user: Client, backend: PageBackend) -> None:
    def broken(_: Question) -> Iterator[Event]:
        yield Text("Half ")
        raise ValueError(KEY)

    backend.answering = broken  # type: ignore[assignment]
    body = user("POST", "/api/answer", asked("x")).body
    assert "ValueError" in body
    assert KEY not in body


@pytest.mark.parametrize(("via", "status", "said"), [("direct", 200, {"ms": 12}), ("canada", 502, None)])
def test_a_route_is_measured(user: Client, via: str, status: int, said: Any) -> None:
    answer = user("POST", "/api/check", json.dumps({"provider": "local", "via": via}))
    assert answer.status == status
    if said:
        assert json.loads(answer.body) == said
    else:
        assert json.loads(answer.body)["error"]["fix"] == "novaops host check canada says more"


AT = {"provider": "local", "via": "direct"}


def there(user: Client, base: str = "local/vs_1") -> dict[str, Any]:
    found = json.loads(user("POST", "/api/provider-files", json.dumps({**AT, "base": base})).body)["documents"]
    return {each["name"]: each for each in found}


def send(user: Client, name: str, text: str = "text", base: str = "local/vs_1", via: str = "direct") -> int:
    query = f"provider=local&via={via}&base={base}&purpose=fine-tune"
    return user("PUT", f"/api/provider-files/{name}?{query}", text, Content_Type="application/octet-stream").status


def wait_there(user: Client, name: str, state: str, base: str = "local/vs_1") -> dict[str, Any]:
    for _ in range(2000):
        found = there(user, base).get(name)
        if found and found["state"] == state:
            return found  # type: ignore[no-any-return]
    raise AssertionError(there(user, base))


def test_a_base_at_a_provider_from_its_making_to_its_end(user: Client, backend: PageBackend) -> None:
    made = user("POST", "/api/provider-bases/new", json.dumps({**AT, "name": " alarms "}))
    assert (made.status, json.loads(made.body)) == (201, {"id": "local/vs_1", "name": "alarms"})
    assert json.loads(user("POST", "/api/provider-bases", json.dumps(AT)).body) == {"bases": [{"id": "local/vs_1", "name": "alarms"}]}
    assert send(user, "slow.json") == 202
    found = wait_there(user, "slow.json", "sending")
    assert (found["part"], found["id"]) == (0.5, "")
    assert send(user, "slow.json", via="canada") == 400, "the same file at the same time, whatever the way"
    assert user("POST", "/api/provider-bases/delete", json.dumps({**AT, "base": "local/vs_1"})).status == 400
    backend.reading.release()
    found = wait_there(user, "slow.json", "ready")
    assert (found["id"], found["size"]) == ("file-1", 4)
    out = {**AT, "base": "local/vs_1", "id": "file-1"}
    assert user("POST", "/api/provider-files/remove", json.dumps(out)).status == 204
    assert (there(user), list(there(user, ""))) == ({}, ["slow.json"]), "out of the base, and not deleted"
    assert user("POST", "/api/provider-bases/delete", json.dumps({**AT, "base": "local/vs_1"})).status == 204
    assert backend.there == []


def test_the_files_of_a_provider(user: Client, backend: PageBackend) -> None:
    assert send(user, "train.jsonl", base="") == 202
    assert wait_there(user, "train.jsonl", "ready", "")["purpose"] == "fine-tune"
    assert user("POST", "/api/provider-files/remove", json.dumps({**AT, "base": "", "id": "file-1"})).status == 204
    assert backend.kept == {}


def test_a_file_that_a_provider_refuses_says_why_and_leaves_the_list(user: Client) -> None:
    assert send(user, "a.txt", "\x00", base="") == 202
    assert wait_there(user, "a.txt", "failed", "")["error"]["what"] == "cannot use a.txt"
    assert there(user) == {}, "it was not for that base"
    assert user("POST", "/api/provider-files/remove", json.dumps({**AT, "base": "", "name": "a.txt"})).status == 204
    assert there(user, "") == {}


def test_a_file_that_was_refused_hides_none_of_its_name(user: Client) -> None:
    assert send(user, "a.txt", "right") == 202
    wait_there(user, "a.txt", "ready")
    assert send(user, "a.txt", "\x00") == 202
    wait_there(user, "a.txt", "failed")
    found = json.loads(user("POST", "/api/provider-files", json.dumps({**AT, "base": "local/vs_1"})).body)["documents"]
    assert [(each["id"], each["state"]) for each in found] == [("file-1", "ready"), ("", "failed")]


def test_a_provider_that_takes_its_time_keeps_no_document_of_this_machine_waiting(user: Client, backend: PageBackend) -> None:
    for number in range(4):
        assert send(user, f"slow{number}.txt") == 202
    for number in range(4):
        wait_there(user, f"slow{number}.txt", "sending")
    assert upload(user, "quick.txt") == 202
    wait_for(user, "quick.txt", "ready")
    for _ in range(4):
        backend.reading.release()
    for number in range(4):
        wait_there(user, f"slow{number}.txt", "ready")


def test_a_base_is_searched_without_a_question(user: Client, backend: PageBackend) -> None:
    found = user("POST", "/api/search", json.dumps({**AT, "base": "manuals", "text": "which button?"}))
    assert [each["document"] for each in json.loads(found.body)["passages"]] == ["router.pdf"]
    assert not backend.questions


def test_a_base_with_vectors_is_made(user: Client, backend: PageBackend) -> None:
    assert user("POST", "/api/bases", '{"name": "mine", "embeddings": " local/embed-1 "}').status == 201
    assert backend.embeddings == "local/embed-1"


def test_a_base_from_its_making_to_its_end(user: Client, backend: PageBackend) -> None:
    assert user("POST", "/api/bases", '{"name": " mine "}').status == 201
    assert json.loads(user("GET", "/api/bases").body) == {"bases": ["manuals", "mine"]}
    assert user("POST", "/api/bases", '{"name": "mine"}').status == 400
    assert user("DELETE", "/api/bases/mine").status == 204
    assert user("DELETE", "/api/bases/mine").status == 400
    assert list(backend.known) == ["manuals"]


def test_a_file_is_read_after_it_was_received(user: Client, backend: PageBackend) -> None:
    assert upload(user, "slow.txt") == 202
    assert wait_for(user, "slow.txt", "reading")["passages"] == 0
    assert upload(user, "slow.txt") == 400, "the same file at the same time"
    assert user("DELETE", "/api/bases/manuals/documents/slow.txt").status == 400
    assert user("DELETE", "/api/bases/manuals").status == 400
    backend.reading.release()
    assert wait_for(user, "slow.txt", "ready")["passages"] == 3
    assert user("DELETE", "/api/bases/manuals/documents/slow.txt").status == 204
    assert list(documents(user)) == ["router.pdf"]


def test_a_name_in_chinese_with_spaces_stays(user: Client) -> None:
    assert upload(user, "%E6%95%B0%E6%8D%AE%20%231.txt") == 202
    wait_for(user, "数据 #1.txt", "ready")


def test_a_file_that_cannot_be_read_says_why_without_a_path(user: Client) -> None:
    assert upload(user, "a.txt", "\x00") == 202
    error = wait_for(user, "a.txt", "failed")["error"]
    assert (error["what"], error["why"], error["fix"]) == ("cannot use a.txt", "It is no text.", "save it as UTF-8")
    assert upload(user, "a.txt", "better") == 202
    wait_for(user, "a.txt", "ready")


def test_a_failed_file_can_be_taken_off_the_list(user: Client) -> None:
    upload(user, "a.txt", "\x00")
    wait_for(user, "a.txt", "failed")
    assert user("DELETE", "/api/bases/manuals/documents/a.txt").status == 204
    assert list(documents(user)) == ["router.pdf"]


def test_half_an_upload_leaves_nothing(user: Client, backend: PageBackend) -> None:
    with socket.create_connection(("127.0.0.1", user.page.port), timeout=WAIT) as connection:
        head = f"PUT /api/bases/manuals/documents/half.txt HTTP/1.1\r\nHost: 127.0.0.1:{user.page.port}\r\nOrigin: {user.page.origin}\r\n"
        connection.sendall(f"{head}Cookie: {user.cookie}\r\nContent-Length: 1000\r\n\r\nhalf".encode())
        wait_for(user, "half.txt", "receiving")
    while "half.txt" in documents(user):
        pass
    assert upload(user, "half.txt", "whole") == 202
    wait_for(user, "half.txt", "ready")
    assert backend.known["manuals"]["half.txt"] == 3


def test_a_file_that_finds_no_room_on_its_way_is_a_sentence(user: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        query = "provider=local&via=direct&base=&purpose=knowledge"
        answer = user("PUT", f"/api/provider-files/large.txt?{query}", "x" * 100_000, Content_Type="application/octet-stream")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["what"] == "cannot keep large.txt on its way"
    assert f"make room in {tmp_path}" in answer.body
    assert there(user, "") == {}


def test_nobody_makes_a_base_by_an_upload(user: Client) -> None:
    answer = user("PUT", "/api/bases/none/documents/a.txt", "text", Content_Type="application/octet-stream")
    assert (answer.status, "there is no knowledge base none" in answer.body) == (400, True)


def test_pieces_of_answers_are_not_held_back(backend: PageBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernel, which waits for a receipt of the piece before. Seen as 40 ms for each answer."""
    held: list[int] = []
    made = H11Protocol.connection_made

    def connection_made(self: H11Protocol, transport: Any) -> None:
        held.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        made(self, transport)

    monkeypatch.setattr(H11Protocol, "connection_made", connection_made)
    with served(backend, CHOSEN) as page:
        assert page.user()("GET", "/api/state").status == 200
    assert held
    assert all(held)


def test_a_port_in_use_is_a_sentence() -> None:
    with listen(0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            listen(port)
    assert (caught.value.what, caught.value.why) == (f"cannot listen on 127.0.0.1:{port}", "Another program listens there.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(
    backend: PageBackend, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """In the middle of an answer, and without a word."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sessions: list[Session] = []

    def session(port: int) -> Session:
        sessions.append(Session(port))
        return sessions[0]

    monkeypatch.setattr(run, "Session", session)
    threads: list[threading.Thread] = []

    def ask(port: int) -> None:
        with streaming(Served(port, sessions[0]).user(), "slowly on and on") as answer:
            backend.go_on.release()
            answer.readline()
            os.kill(os.getpid(), number)
            with suppress(http.client.HTTPException, OSError):
                answer.read()

    def opened(link: str) -> None:
        threads.append(threading.Thread(target=ask, args=(int(link.rpartition(":")[2].partition("/")[0]),)))
        threads[0].start()

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    run.serve(backend, CHOSEN, 0, opened, lambda _: None)
    threads[0].join()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    assert caplog.records == []
    assert list(tmp_path.iterdir()) == []
    backend.go_on.release()


def test_only_so_many_files_are_sent_at_a_time_and_one_that_waits_can_be_called_off(user: Client, backend: PageBackend) -> None:
    for number in range(5):
        assert send(user, f"slow{number}.txt") == 202
        wait_there(user, f"slow{number}.txt", "sending" if number < 4 else "queued")
    off = {**AT, "base": "local/vs_1", "name": "slow4.txt"}
    assert user("POST", "/api/provider-files/remove", json.dumps(off)).status == 204
    for _ in range(4):
        backend.reading.release()
    for number in range(4):
        wait_there(user, f"slow{number}.txt", "ready")
    assert sorted(each.name for each in backend.kept.values()) == [f"slow{number}.txt" for number in range(4)]


def test_what_is_sent_keeps_the_next_one_waiting_no_longer(user: Client, backend: PageBackend) -> None:
    """All of it is there, and the provider is at work on it."""
    for number in range(4):
        assert send(user, f"slow-at-work{number}.txt") == 202
        wait_there(user, f"slow-at-work{number}.txt", "sending")
    assert send(user, "quick.txt") == 202
    wait_there(user, "quick.txt", "queued")
    for _ in range(4):
        backend.reading.release()
    wait_there(user, "quick.txt", "ready")
    for number in range(4):
        wait_there(user, f"slow-at-work{number}.txt", "reading")
    for _ in range(4):
        backend.at_work.release()


def test_a_folder_that_was_tidied_away_is_made_anew(user: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with served(PageBackend(), CHOSEN) as page:
        user = page.user()
        [folder] = tmp_path.iterdir()
        folder.rmdir()
        assert upload(user, "a.txt") == 202
        wait_for(user, "a.txt", "ready")


def test_nothing_gets_into_a_base_while_it_is_deleted(user: Client, backend: PageBackend) -> None:
    backend.there = [ProviderBase("local/vs_1", "alarms")]
    assert send(user, "a.txt", "\x00") == 202
    wait_there(user, "a.txt", "failed")
    backend.fails["delete_there"] = Unreachable("it is down")
    base = json.dumps({**AT, "base": "local/vs_1"})
    assert user("POST", "/api/provider-bases/delete", base).status == 502
    assert list(there(user)) == ["a.txt"], "why it failed is known still"
    backend.waits["delete_there"] = threading.Semaphore(0)
    deleting = threading.Thread(target=user, args=("POST", "/api/provider-bases/delete", base))
    deleting.start()
    while (status := send(user, "b.txt")) == 202:
        wait_there(user, "b.txt", "ready")
    assert status == 400
    backend.waits["delete_there"].release()
    deleting.join()
    assert (backend.there, there(user).get("a.txt")) == ([], None)


def test_slow_providers_keep_nothing_else_waiting(user: Client, backend: PageBackend) -> None:
    backend.waits["provider_files"] = threading.Semaphore(0)
    asking = [threading.Thread(target=there, args=(user,)) for _ in range(45)]
    for each in asking:
        each.start()
    while len(backend.listed) < 20:
        pass
    assert json.loads(user("GET", "/api/bases").body) == {"bases": ["manuals"]}
    assert len(backend.listed) == 20
    for _ in asking:
        backend.waits["provider_files"].release()
    for each in asking:
        each.join()
