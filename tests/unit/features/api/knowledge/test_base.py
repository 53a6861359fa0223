"""Bases: adding, searching, removing, and the file that they are."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from novaops.errors import HostFailed, UsageError
from novaops.features.api.knowledge import base, prompt, store
from novaops.features.api.knowledge.search import search
from novaops.features.api.llm.protocol import Passage
from tests.support.documents import pdf


class Letters:
    """A model that knows how often each letter stands in a text."""

    model = "letters"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]


class Fixed(Letters):
    """A model that gives the same vector for each text."""

    def __init__(self, vector: list[float]) -> None:
        self.vector = vector

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self.vector for _ in texts]


class Failing(Letters):
    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        del texts
        raise HostFailed("no server")


def write(folder: Path, name: str, data: object) -> Path:
    file = folder / name
    file.write_bytes(data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode())
    return file


def test_life_of_a_base(tmp_path: Path, data_home: Path) -> None:
    assert base.list_bases() == []
    base.create("notes")
    file = data_home / "novaops/knowledge/notes.sqlite"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file.parent, file)] == [0o700, 0o600]
    added = base.add_document("notes", write(tmp_path, "a.md", "# Disks\nMount the data disk.\n\n# Fans\nReplace the fan."))
    assert (added.status, added.passages) == ("changed", 2)
    assert [(one.name, one.documents, one.passages) for one in base.list_bases()] == [("notes", 1, 2)]
    assert [passage.source for passage in search("notes", "how do I mount a disk?")] == ["a.md, “Disks”, lines 1–3"]
    base.remove_documents("notes", ["a.md"])
    assert search("notes", "mount disk") == []
    base.remove("notes")
    assert base.list_bases() == []


def test_the_same_file_again_changes_nothing_and_a_new_one_of_its_name_replaces_it(tmp_path: Path) -> None:
    base.create("b")
    file = write(tmp_path, "a.txt", "mount the disk")
    assert base.add_document("b", file).status == "changed"
    assert base.add_document("b", file).status == "unchanged"
    again = base.add_document("b", write(tmp_path, "copy.txt", "mount the disk"))
    assert (again.status, again.notes) == ("unchanged", ["the same file is there as a.txt"])
    write(tmp_path, "a.txt", "replace the fan")
    assert base.add_document("b", file).status == "changed"
    assert [document.name for document in base.list_documents("b")] == ["a.txt"]
    assert search("b", "disk") == []
    assert [passage.text for passage in search("b", "fan")] == ["replace the fan"]


def entries(name: str) -> list[tuple[str, str]]:
    return [(passage.document, passage.text) for passage in search(name, "ALM-1")]


def test_a_document_that_comes_to_be_equal_to_another_one_leaves_nothing_old(tmp_path: Path) -> None:
    base.create("b")
    first, second = write(tmp_path, "a.json", {"ALM-1": "class new"}), write(tmp_path, "b.json", {"ALM-1": "class OLD"})
    for file in (first, second):
        assert base.add_document("b", file).status == "changed"
    write(tmp_path, "b.json", {"ALM-1": "class new"})
    added = base.add_document("b", second)
    assert (added.status, added.passages) == ("changed", 0)
    assert added.notes == ["the same file is there as a.json; what b.json was before is taken out"]
    assert entries("b") == [("a.json", "ALM-1\nclass new")]
    assert base.add_document("b", second).status == "unchanged"
    assert [document.name for document in base.list_documents("b")] == ["a.json"]


def test_another_process_adds_an_equal_document_meanwhile(tmp_path: Path) -> None:
    base.create("b")
    first, second = write(tmp_path, "a.json", {"ALM-1": "class new"}), write(tmp_path, "b.json", {"ALM-1": "class OLD"})
    base.add_document("b", second)
    write(tmp_path, "b.json", {"ALM-1": "class new"})

    def other(doing: str) -> None:
        if doing == "storing":
            base.add_document("b", first)

    assert base.add_document("b", second, tell=other).status == "changed"
    assert entries("b") == [("a.json", "ALM-1\nclass new")]


MANUAL = [
    ["Optical alarms", "Loss of signal on an optical interface is an access fault when the customer side is affected.",
     "Interface down after loss of signal on an optical interface: access fault, class A, see customer power."],
    ["Transport alarms", "Fibre breaks are class T."],
]  # fmt: skip
ENTRIES = [
    {"code": "ALM-7003", "alarm": "fibre break on a trunk", "class": "T"},
    {"code": "ALM-7001", "alarm": "loss of signal on an optical interface, interface down", "class": "A"},
]
INCIDENT = "ALM-7003: interface down, loss of signal on an optical interface of a trunk. Which class?"


def test_an_incident_is_wrong_from_a_pdf_and_right_from_entries(tmp_path: Path) -> None:
    """The words of the incident are those of another class. Its code says which it is, and only entries are found by it."""
    documents = {"pdf": write(tmp_path, "manual.pdf", pdf(MANUAL)), "json": write(tmp_path, "alarms.json", ENTRIES)}
    for name, files in {"pdf": ["pdf"], "json": ["json"], "both": ["pdf", "json"]}.items():
        base.create(name)
        for file in files:
            base.add_document(name, documents[file])
    assert "class A" in search("pdf", INCIDENT)[0].text
    for name in ("json", "both"):
        first = search(name, INCIDENT)[0]
        assert (first.found_by, first.source) == ("key", "alarms.json, entry 1")
        assert "class: T" in first.text


REQUEST = "您好，我是昨天刚刚加入贵公司技术支援部门的新同事，正在替一位客户处理他昨晚提交的工单，请问应该如何挂载"


@pytest.mark.parametrize(
    "question",
    [REQUEST, f"{' '.join(f'word{number}' for number in range(500))} fstab", f"{' '.join(f'word{number}' for number in range(500))} fst"],
    ids=["chinese", "last-word", "last-word-begins"],
)
def test_every_word_of_a_long_question_is_looked_for(tmp_path: Path, question: str) -> None:
    base.create("b")
    base.add_document("b", write(tmp_path, "a.txt", "数据盘的挂载写在 fstab"))
    assert [passage.document for passage in search("b", question)] == ["a.txt"]


def test_rare_words_count_where_there_are_too_many_common_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("novaops.features.api.knowledge.search._HITS", 20)
    common = [f"common{number}" for number in range(40)]
    base.create("b")
    base.add_document("b", write(tmp_path, "a.json", [*[" ".join(common)] * 30, "rare"]))
    assert search("b", " ".join([*common, "rare"]))[0].text == "rare"
    assert search("b", " ".join(common))[0].text == " ".join(common)


def test_longer_keys_come_first(tmp_path: Path) -> None:
    base.create("b")
    base.add_document("b", write(tmp_path, "a.json", {"LOS": "short", "LOS trunk": "long", "other": "los los los"}))
    assert [(passage.place, passage.found_by) for passage in search("b", "LOS trunk!")] == [
        ("entry “LOS trunk”", "key"), ("entry “LOS”", "key"), ("entry “other”", "text"),
    ]  # fmt: skip


def test_vectors_find_what_words_do_not(tmp_path: Path) -> None:
    base.create("b", "here/letters")
    base.add_document("b", write(tmp_path, "a.json", ["abc", "xyz", "kkk"]), embedder=Letters())
    assert search("b", "cba") == []
    found = search("b", "cba xyz", embedder=Letters())
    assert [(passage.text, passage.found_by) for passage in found[:2]] == [("xyz", "text"), ("abc", "vector")]


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], [1e300, 1e300]])
def test_vectors_that_say_nothing_are_refused(tmp_path: Path, vector: list[float]) -> None:
    base.create("b", "here/letters")
    with pytest.raises(UsageError, match="gave vectors that say nothing"):
        base.add_document("b", write(tmp_path, "a.txt", "text"), embedder=Fixed(vector))
    assert base.list_documents("b") == []


def test_vectors_of_another_size_are_said(tmp_path: Path) -> None:
    """The server has another model under the name of the old one."""
    base.create("b", "here/letters")
    base.add_document("b", write(tmp_path, "a.txt", "text"), embedder=Letters())
    base.add_document("b", write(tmp_path, "b.txt", "other"), embedder=Fixed([3.0, 4.0]))
    with pytest.raises(UsageError, match="1 of 2 vectors have another size than those that the model gives now"):
        search("b", "text", embedder=Letters())


def test_what_fails_leaves_the_base_as_it_was(tmp_path: Path) -> None:
    base.create("b", "here/letters")
    file = write(tmp_path, "a.txt", "text")
    with pytest.raises(HostFailed):
        base.add_document("b", file, embedder=Failing())
    with pytest.raises(UsageError, match="its model was not given"):
        base.add_document("b", file)
    assert base.list_documents("b") == []


def test_errors_about_bases(data_home: Path) -> None:
    with pytest.raises(UsageError, match="there is no knowledge base x"):
        search("x", "y")
    with pytest.raises(UsageError, match=r"there is no knowledge base \.\./x"):
        base.create("../x")
    base.create("b")
    with pytest.raises(UsageError, match="there is a knowledge base b already"):
        base.create("b")
    with pytest.raises(UsageError, match="has no document z"):
        base.remove_documents("b", ["z"])
    file = data_home / "novaops/knowledge/b.sqlite"
    sqlite3.connect(file).execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="version 99"):
        search("b", "y")
    file.write_bytes(b"no database" * 100)
    with pytest.raises(UsageError, match="SQLite says") as damaged:
        search("b", "y")
    assert damaged.value.fix == "delete that file, where nothing in it is needed, and create the base anew"
    sqlite3.connect(data_home / "novaops/knowledge/foreign.sqlite").execute("CREATE TABLE x (y)")
    with pytest.raises(UsageError, match="no knowledge base of novaops"):
        base.remove("foreign")


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_can_be_asked_for(text: str) -> None:
    if not store.listed():
        base.create("b")
    search("b", text)


def test_passages_in_a_prompt() -> None:
    passages = [Passage("x" * 8000, "a.pdf", "page 1", "text"), Passage("y" * 8000, "b.txt", "line 2", "text")]
    chosen = prompt.fitting(passages)
    assert chosen == passages[:1]
    assert prompt.context(chosen).endswith("\n\n[1] a.pdf, page 1\n" + "x" * 8000)
    assert prompt.fitting([Passage("z" * 99_999, "a", "b", "text")])


def test_two_processes_that_add_the_same_file(tmp_path: Path) -> None:
    base.create("b")
    file = write(tmp_path, "a.txt", "text")

    def other(doing: str) -> None:
        if doing == "storing":
            base.add_document("b", file)

    assert base.add_document("b", file, tell=other).status == "unchanged"
    assert len(base.list_documents("b")) == 1
