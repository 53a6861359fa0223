"""Files and knowledge bases at a provider, against a stand-in that the providers' own clients accept.

OpenAI's is at the end of this file, SenseNova's in tests/loopback/test_sensenova_client.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from novaops.errors import UsageError
from novaops.features.api.llm.protocol import ApiFailed, KeyPair
from novaops.features.api.remote import adding, stores, uploads
from novaops.features.api.remote.embeddings import Embeddings
from novaops.features.api.remote.protocol import RemoteFile
from novaops.secret import Secret
from tests.support.documents import pdf
from tests.support.provider_files import KEY, PAIR, Stand
from tests.unit.features.api.remote.conftest import Reach

KNOWLEDGE = json.dumps({"text_lst": ["ALM-1 is class T"], "qa_lst": []})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_POLLS", (0.001,))


def silent(*_: object) -> None:
    pass


def written(folder: Path, name: str, data: bytes | str) -> Path:
    file = folder / name
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return file


@pytest.mark.parametrize(("name", "id_of"), [("openai", "file-1"), ("sensenova", "f1")])
def test_a_file_is_sent_with_its_name_and_type_and_waited_for(there: Stand, reach: Reach, tmp_path: Path, name: str, id_of: str) -> None:
    http, seen = reach(name), list[tuple[int, int]]()
    there.slow = 3
    told: list[str] = []
    file = written(tmp_path, "manual.pdf", pdf([["text"]]))
    added = adding.add_file(http, file, "knowledge", tell=told.append, sent=lambda *sent: seen.append(sent))
    assert (added.status, added.file.id, added.file.state) == ("changed", id_of, "ready")
    kept = there.files[id_of]
    assert (kept.name, kept.type, kept.content) == ("manual.pdf", "application/pdf", file.read_bytes())
    assert kept.purpose == {"openai": "assistants", "sensenova": "KNOWLEDGE_BASE_2"}[name]
    assert seen[-1] == (len(kept.content), len(kept.content))
    assert told == [f"{id_of} is uploaded: waiting until it is ready. After Ctrl-C the same command waits on."]


@pytest.mark.parametrize("name", ["openai", "sensenova"])
def test_the_same_file_is_not_sent_twice(there: Stand, reach: Reach, tmp_path: Path, name: str) -> None:
    http, file = reach(name), written(tmp_path, "a.json", KNOWLEDGE)
    first = adding.add_file(http, file, "knowledge", tell=silent, sent=silent)
    again = adding.add_file(http, file, "knowledge", tell=silent, sent=silent)
    assert [first.status, again.status, again.file.id] == ["changed", "unchanged", first.file.id]
    assert len(there.files) == 1
    stores.files(http)[0].remove(first.file.id)
    assert adding.add_file(http, file, "knowledge", tell=silent, sent=silent).status == "changed"


@pytest.mark.parametrize(("other", "content"), [("somebody-elses.pdf", KNOWLEDGE.encode()), ("a.json", b"x" * 999)])
@pytest.mark.parametrize("name", ["openai", "sensenova"])
def test_somebody_elses_file_of_that_id_is_not_ours(
    there: Stand, reach: Reach, tmp_path: Path, name: str, other: str, content: bytes
) -> None:
    """The server was set up anew, and counts its files from the beginning."""
    http, file = reach(name), written(tmp_path, "a.json", KNOWLEDGE)
    first = adding.add_file(http, file, "knowledge", tell=silent, sent=silent)
    there.files[first.file.id].name, there.files[first.file.id].content = other, content
    again = adding.add_file(http, file, "knowledge", tell=silent, sent=silent)
    assert (again.status, again.file.id != first.file.id) == ("changed", True)
    assert there.files[again.file.id].content == KNOWLEDGE.encode()


@pytest.mark.parametrize(
    ("kept", "now", "is_known"),
    [
        ({"id": "f1", "name": "file", "size": 7}, RemoteFile("f1", "file", 7), True),
        ({"id": "f1", "name": "file", "size": 7}, RemoteFile("f1", "a.txt", 7), False),
        ({"id": "f1", "name": "file", "size": 7}, RemoteFile("f1"), True),
        ({"id": "f1", "name": "", "size": 0}, RemoteFile("f1", "a.txt", 7), True),
        ({"id": "f1"}, RemoteFile("f1", "a.txt", 7), True),
        ({"id": "f1"}, RemoteFile("f1", "other.txt", 7), False),
        ({"id": "f1"}, RemoteFile("f1", "a.txt", 8), False),
        (["f1"], RemoteFile("f1", "a.txt", 7), False),
    ],
)
def test_a_provider_may_call_a_file_otherwise(tmp_path: Path, kept: object, now: RemoteFile, *, is_known: bool) -> None:
    """What it said when the file was sent is what it has to say later."""
    record = tmp_path / "record"
    record.write_text(json.dumps(kept))
    store = SimpleNamespace(get=lambda _: now)
    assert (uploads._known(store, record, RemoteFile("", "a.txt", 7)) is not None) == is_known


@pytest.mark.parametrize("length", [70_000, 300_000])
def test_a_file_that_changes_while_it_is_sent(there: Stand, reach: Reach, tmp_path: Path, length: int) -> None:
    http, file = reach("openai"), written(tmp_path, "a.txt", "x" * 200_000)
    with pytest.raises(UsageError, match="It changed while it was sent"):
        adding.add_file(http, file, "knowledge", tell=silent, sent=lambda *_: os.truncate(file, length))
    there.files.clear()
    assert adding.add_file(http, file, "knowledge", tell=silent, sent=silent).status == "changed"


def test_another_purpose_is_another_upload(there: Stand, reach: Reach, tmp_path: Path) -> None:
    http, file = reach("openai"), written(tmp_path, "a.txt", "text")
    for purpose in ("knowledge", "user-data"):
        assert adding.add_file(http, file, purpose, tell=silent, sent=silent).status == "changed"
    assert [kept.purpose for kept in there.files.values()] == ["assistants", "user_data"]


def test_after_ctrl_c_the_same_command_waits_on(there: Stand, reach: Reach, tmp_path: Path) -> None:
    http, file = reach("sensenova"), written(tmp_path, "a.json", KNOWLEDGE)
    there.slow = 3
    first = adding.add_file(http, file, "knowledge", tell=silent, sent=silent, wait=False)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        uploads.wait(lambda: stores.files(http)[0].get(first.file.id), silent, interrupt)
    again = adding.add_file(http, file, "knowledge", tell=silent, sent=silent)
    assert (again.status, again.file.id, again.file.state, len(there.files)) == ("unchanged", first.file.id, "ready", 1)


@pytest.mark.parametrize("name", ["openai", "sensenova"])
def test_a_rejected_file_is_said_in_the_providers_words_and_sent_anew(there: Stand, reach: Reach, tmp_path: Path, name: str) -> None:
    there.rejects = "too many pages"
    http, file = reach(name), written(tmp_path, "a.json", KNOWLEDGE)
    with pytest.raises(ApiFailed) as error:
        adding.add_file(http, file, "knowledge", tell=silent, sent=silent)
    assert "does not accept a.json" in str(error.value)
    assert "too many pages" in str(error.value)
    there.slow = -1  # it says so at once
    with pytest.raises(ApiFailed, match="does not accept"):
        adding.add_file(http, file, "knowledge", tell=silent, sent=silent, wait=name == "sensenova")
    there.rejects = ""
    there.files.clear()
    assert adding.add_file(http, file, "knowledge", tell=silent, sent=silent).status == "changed"


def test_a_file_that_is_never_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_POLLS", (1.0, 200.0))
    naps: list[float] = []
    with pytest.raises(ApiFailed, match="is not ready after 600 s"):
        uploads.wait(lambda: RemoteFile("f1", state="pending"), silent, naps.append)
    assert naps == [1.0, 200.0, 200.0, 200.0]


def waited(*answers: RemoteFile | int) -> tuple[RemoteFile, list[str]]:
    """What comes of waiting for a file where these are the answers, the last one for ever; numbers are statuses. And what was told."""
    told: list[str] = []
    left = list(answers)

    def get() -> RemoteFile:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, int):
            raise ApiFailed(f"trouble ({now})", status=now)
        return now

    return uploads.wait(get, told.append, silent), told


def test_trouble_that_passes_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_POLLS", (100.0,))
    pending, ready = RemoteFile("f1", state="pending"), RemoteFile("f1")
    found, told = waited(502, pending, 429, 503, 503, pending, ready)
    assert found == ready
    assert [said.partition(":")[0] for said in told] == ["trouble (502)", "f1 is at work", "trouble (429)", "trouble (503)"]
    for status in (401, 403, 404):
        with pytest.raises(ApiFailed, match=f"trouble .{status}."):
            waited(pending, status, ready)
    with pytest.raises(ApiFailed, match=r"trouble \(502\)"):
        waited(pending, 502)


@pytest.mark.parametrize("name", ["openai", "sensenova"])
def test_a_wrong_key(reach: Reach, tmp_path: Path, name: str) -> None:
    file = written(tmp_path, "a.json", KNOWLEDGE)
    with pytest.raises(ApiFailed, match="does not accept the key"):
        adding.add_file(reach(name, Secret("sk-wrong")), file, "knowledge", tell=silent, sent=silent)


@pytest.mark.parametrize(("ahead", "said"), [(-60, "60 s ahead"), (4000, "4000 s behind")])
def test_a_wrong_clock_is_told_from_a_wrong_key(there: Stand, reach: Reach, ahead: float, said: str) -> None:
    pair = KeyPair(PAIR[0], Secret(PAIR[1]))
    assert stores.files(reach("sensenova", pair))[0].list() == []
    there.ahead = ahead
    with pytest.raises(ApiFailed) as error:
        stores.files(reach("sensenova", pair))[0].list()
    digits = "".join(c for c in error.value.fix if c.isdigit())
    assert abs(int(digits) - abs(ahead)) <= 2, error.value.fix
    assert said.rsplit(maxsplit=1)[-1] in error.value.fix
    there.ahead = 0
    with pytest.raises(ApiFailed, match="does not accept the key"):
        stores.files(reach("sensenova", KeyPair(PAIR[0], Secret("wrong"))))[0].list()


@pytest.mark.parametrize("name", ["openai", "sensenova"])
def test_a_knowledge_base_from_its_making_to_its_end(there: Stand, reach: Reach, tmp_path: Path, name: str) -> None:
    http = reach(name)
    bases = stores.bases(http)
    made = bases.create("alarms")
    assert [(one.id, one.name, one.files) for one in bases.list()] == [(made.id, "alarms", 0)]
    assert bases.get(made.id).state == "ready"
    files = [written(tmp_path, "a.json", KNOWLEDGE), written(tmp_path, "b.pdf", pdf([["text"]])), written(tmp_path, "c.txt", "class T")]
    added = [adding.add_to_base(http, made.id, file, tell=silent, sent=silent) for file in files]
    assert [(one.status, one.file.state) for one in added] == [("changed", "ready")] * 3
    assert adding.add_to_base(http, made.id, files[0], tell=silent, sent=silent).status == "unchanged"
    assert [file.id for file in bases.files(made.id)] == [one.file.id for one in added]
    bases.take_out(made.id, added[1].file.id)
    assert [file.id for file in bases.files(made.id)] == [added[0].file.id, added[2].file.id]
    assert len(there.files) == 3, "the files themselves stay"
    bases.remove(made.id)
    assert bases.list() == []


def test_lists_have_pages(reach: Reach, tmp_path: Path) -> None:
    http = reach("openai")
    for number in range(5):
        adding.add_file(http, written(tmp_path, f"{number}.txt", f"text {number}"), "knowledge", tell=silent, sent=silent, wait=False)
    assert [file.name for file in stores.files(http)[0].list()] == [f"{number}.txt" for number in range(5)]


@pytest.mark.parametrize("name", ["openai", "sensenova"])
def test_a_file_that_the_base_refuses_can_be_added_again(there: Stand, reach: Reach, tmp_path: Path, name: str) -> None:
    http = reach(name)
    made = stores.bases(http).create("b")
    file = written(tmp_path, "a.txt", "text")
    there.unreadable = "no text could be read"
    for _ in range(3):
        with pytest.raises(ApiFailed, match="does not accept"):
            adding.add_to_base(http, made.id, file, tell=silent, sent=silent)
    add = {"openai": ("POST", f"/v1/vector_stores/{made.id}/files"), "sensenova": ("PUT", f"/v1/llm/knowledge-bases/{made.id}")}[name]
    assert there.count(*add) == {"openai": 3, "sensenova": 5}[name], "each time it is put in; SenseNova takes it out in the same way"
    assert (len(there.files), len(there.bases[made.id].files)) == (1, 1)


def test_search(reach: Reach, there: Stand, tmp_path: Path) -> None:
    http = reach("openai")
    made = stores.bases(http).create("b")
    adding.add_to_base(http, made.id, written(tmp_path, "a.txt", "ALM-1 is class T"), tell=silent, sent=silent)
    found = stores.bases(http).search(made.id, "ALM-1?", 3)
    assert [(one.text, one.source, one.found_by) for one in found] == [("ALM-1 is class T", "a.txt", "provider")]
    assert there.bodies == [{"query": "ALM-1?", "max_num_results": 3}]
    with pytest.raises(UsageError, match="searches a knowledge base only to answer"):
        stores.bases(reach("sensenova")).search("s1", "x", 1)


@pytest.mark.parametrize("ask", [lambda http: stores.files(http)[0].list(), lambda http: stores.bases(http).create("x")])
def test_what_a_server_does_not_have_is_said(there: Stand, reach: Reach, ask: Callable[..., object]) -> None:
    there.missing = True
    with pytest.raises(UsageError) as error:
        ask(reach("openai"))
    assert str(error.value) in {
        f"openai {lacks}\nIt answers with 404 where OpenAI has them.\none of your own needs none: novaops api knowledge create NAME"
        for lacks in ("keeps no files", "has no knowledge bases")
    }


@pytest.mark.parametrize("name", ["deepseek", "anthropic", "sensenova-platform", "local"])
def test_a_provider_whose_file_names_none_is_not_asked(there: Stand, reach: Reach, name: str) -> None:
    """What is said is what novaops can do there: the API may well have some."""
    for store in (stores.files, stores.bases):
        with pytest.raises(UsageError, match=f"novaops (handles no files|knows no knowledge bases) at {name}\nIts file in providers/ "):
            store(reach(name))
    assert there.requests == []


def test_a_large_file_is_refused_unread(reach: Reach, there: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.pdf"
    with file.open("wb") as out:
        out.truncate(2 << 30)
    http = reach("openai")
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(UsageError, match="too large: 2 GiB"):
        adding.add_file(http, file, "knowledge", tell=silent, sent=silent)
    assert there.requests == []


def test_an_unknown_purpose(reach: Reach, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        adding.add_file(reach("sensenova"), written(tmp_path, "a.txt", "x"), "batch", tell=silent, sent=silent)
    assert (
        "novaops sends sensenova no files for batch\nIts file in providers/ names words for knowledge, fine-tune, assistant, vision."
        in str(error.value)
    )


def test_embeddings_come_in_the_order_of_the_texts(reach: Reach) -> None:
    found = Embeddings(reach("openai"), "m").embed(["a", "bb"])
    assert [(vector[0], vector[1]) for vector in found] == [(1, 0), (0, 2)]


# -- the stand-in is honest: OpenAI's own client, unchanged


@contextmanager
def sdk(there: Stand, key: str = KEY) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{there.url}/v1", api_key=key, max_retries=0) as client:
        yield client


def test_the_openai_client_understands_the_stand_in(there: Stand, tmp_path: Path) -> None:
    file = written(tmp_path, "a.txt", "ALM-1 is class T")
    with sdk(there) as client:
        made = client.files.create(file=file, purpose="assistants")
        assert (made.filename, made.status) == ("a.txt", "uploaded")
        client.files.retrieve(made.id)
        assert client.files.wait_for_processing(made.id, poll_interval=0).status == "processed"
        store = client.vector_stores.create(name="alarms")
        client.vector_stores.files.create(store.id, file_id=made.id)
        polled = client.vector_stores.files.poll(made.id, vector_store_id=store.id, poll_interval_ms=1)
        assert polled.status == "completed"
        found = client.vector_stores.search(store.id, query="ALM-1")
        assert [one.content[0].text for one in found] == ["ALM-1 is class T"]
        ask: Any = {"model": "m", "input": "ALM-1?", "tools": [{"type": "file_search", "vector_store_ids": [store.id]}]}
        whole: Any = client.responses.create(**ask, include=["file_search_call.results"])
        assert (whole.output_text, whole.output[0].results[0].text) == ("ALM-1 is class T", "ALM-1 is class T")
        plain: Any = client.responses.create(**ask)
        assert plain.output[0].results is None
        with client.responses.stream(**ask) as stream:
            assert "".join(event.delta for event in stream if event.type == "response.output_text.delta") == "ALM-1 is class T"
            final: Any = stream.get_final_response()
            assert (final.output_text, final.usage.output_tokens) == ("ALM-1 is class T", 3)
        assert [one.id for one in client.files.list()] == [made.id]
        client.vector_stores.files.delete(made.id, vector_store_id=store.id)
        client.vector_stores.delete(store.id)
        assert client.files.delete(made.id).deleted
    with sdk(there, "sk-wrong") as client, pytest.raises(openai.AuthenticationError):
        client.files.list()


@pytest.mark.parametrize("number", ["..", "", "a/../../b?c#d"])
def test_an_id_is_one_piece_of_a_path(there: Stand, reach: Reach, number: str) -> None:
    for store in (stores.files(reach("openai"))[0], stores.bases(reach("openai"))):
        with pytest.raises((UsageError, ApiFailed)):
            store.get(number)
    assert all(path.count("/") <= 3 and ".." not in path.split("/") for _, path in there.requests)
