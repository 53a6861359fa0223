"""The verbs: files, knowledge, ask, as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.features.api.knowledge import store
from novaops.features.api.remote import uploads
from tests.support.documents import pdf
from tests.support.provider_files import KEY, Kept, Stand
from tests.unit.features.api.knowledge.test_base import ENTRIES, INCIDENT, MANUAL

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def novaops(tmp_path: Path, there: Stand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command line in a folder whose providers are the stand-in."""
    port = there.url.rpartition(":")[2]
    (tmp_path / "providers").mkdir()
    for name in ("openai", "sensenova"):
        shipped = Path(f"novaops/providers/{name}.yaml").read_text()
        start, end = shipped.index("endpoints:"), shipped.index("probe:")
        at = "".join(
            f"  - {{host: 127.0.0.1, port: {port}, path: {path}, tls: off}}\n" for path in ("/v1", "/compatible-mode", "/files/v1")
        )
        (tmp_path / f"providers/{name}.yaml").write_text(f"{shipped[:start]}endpoints:\n{at}{shipped[end:]}")
        monkeypatch.setenv(f"{name.upper()}_API_KEY", KEY)
    (tmp_path / "inventory.yaml").write_text("hosts: {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uploads, "_POLLS", (0.001,))

    def call(*words: str) -> tuple[int, str, str]:
        code = run(["api", *words])
        return code, *capsys.readouterr()

    return call


def document(result: tuple[int, str, str]) -> Any:
    return json.loads(result[1])


def test_an_incident_is_classified_wrongly_from_a_pdf_and_rightly_from_entries(novaops: Call, tmp_path: Path) -> None:
    (tmp_path / "manual.pdf").write_bytes(pdf(MANUAL))
    (tmp_path / "alarms.json").write_text(json.dumps(ENTRIES))
    novaops("knowledge", "create", "alarms")
    novaops("knowledge", "add", "alarms", "manual.pdf")
    code, said, _ = novaops("ask", "alarms", INCIDENT)
    assert code == 0
    assert "class A" in said
    assert "[1] manual.pdf, page 1" in said
    assert novaops("knowledge", "add", "alarms", "alarms.json")[1] == "~ alarms.json  changed  2 passages\n"
    code, said, _ = novaops("ask", "alarms", INCIDENT)
    assert "class: T" in said.split("\n")[0]
    assert said.split("\n")[2] == "[1] alarms.json, entry 1"
    found = document(novaops("ask", "alarms", INCIDENT, "--json"))
    assert (found["answers"][0]["text"], found["passages"][0]["found_by"]) == ("class: T", "key")


def test_the_life_of_a_base_of_ones_own(novaops: Call, tmp_path: Path) -> None:
    assert novaops("knowledge", "ls") == (0, "", "There are no bases.\n")
    assert novaops("knowledge", "create", "b")[1] == "~ b  changed  made; next: novaops api knowledge add b FILE\n"
    (tmp_path / "a.txt").write_text("请先挂载数据盘")
    assert novaops("knowledge", "add", "b", "a.txt")[1] == "~ a.txt  changed  1 passage\n"
    assert novaops("knowledge", "add", "b", "a.txt")[1] == "✓ a.txt  unchanged\n"
    assert novaops("knowledge", "search", "b", "挂载")[1] == "[1] a.txt, line 1  (by text)\n    请先挂载数据盘\n"
    assert novaops("knowledge", "search", "b", '"* OR')[::2] == (0, "Nothing fits.\n")
    assert document(novaops("knowledge", "ls", "b", "--json"))["documents"][0]["name"] == "a.txt"
    for text in ("zebra", "@zebra"):
        code, _, said = novaops("ask", "b", text)
        assert (code, "b holds nothing that fits the question" in said) == (2, True)
    assert novaops("knowledge", "rm", "b")[0] == 2
    assert novaops("knowledge", "rm", "b", "a.txt", "--whole")[0] == 2
    assert novaops("knowledge", "rm", "b", "a.txt")[1] == "~ a.txt  changed  deleted\n"
    assert novaops("knowledge", "rm", "b", "--whole")[1] == "~ b  changed  deleted\n"
    assert novaops("knowledge", "search", "b", "x")[0] == 2


def test_files_of_one_name_do_not_take_each_others_place(novaops: Call, tmp_path: Path) -> None:
    """As **/README.md names them. The second one was all that was in the base, and both were "changed" with each run."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text(f"what folder {folder} is for")
    novaops("knowledge", "create", "b")
    code, said, why = novaops("knowledge", "add", "b", "one/README.md", "two/README.md")
    assert (code, said) == (2, "")
    assert "one/README.md and two/README.md have one name" in why
    assert novaops("knowledge", "ls", "b")[2] == "There are no documents.\n"
    assert novaops("knowledge", "add", "b", "one/README.md", "./one/README.md")[1].count("README.md  changed") == 1


def test_a_base_that_cannot_be_used_hides_no_other(novaops: Call) -> None:
    """Such as one that a kill has left empty, one of a later novaops, a file of somebody else's."""
    novaops("knowledge", "create", "b")
    folder = store.file_of("b").parent
    (folder / "empty.sqlite").touch()
    (folder / "torn.sqlite").write_text("no database at all")
    (folder / "name of nobody.sqlite").touch()
    (folder / "folder.sqlite").mkdir()
    code, said, _ = novaops("knowledge", "ls")
    assert code == 0
    rows = {row.split()[0]: row for row in said.splitlines()[1:]}
    assert set(rows) == {"b", "empty", "torn", "name"}
    assert "empty.sqlite is no knowledge base of novaops's" in rows["empty"]
    assert "SQLite says: file is not a database" in rows["torn"]
    found = document(novaops("knowledge", "ls", "--json"))["bases"]
    assert [each["name"] for each in found if not each["trouble"]] == ["b"]


def test_documents_are_deleted_all_or_none(novaops: Call, tmp_path: Path) -> None:
    novaops("knowledge", "create", "b")
    for name in ("a.txt", "c.txt"):
        (tmp_path / name).write_text(f"text of {name}")
    novaops("knowledge", "add", "b", "a.txt", "c.txt")
    code, said, why = novaops("knowledge", "rm", "b", "a.txt", "b.txt")
    assert (code, said) == (2, "")
    assert "b has no document b.txt" in why
    assert [each["name"] for each in document(novaops("knowledge", "ls", "b", "--json"))["documents"]] == ["a.txt", "c.txt"]
    assert novaops("knowledge", "rm", "b", "a.txt", "c.txt")[1] == "~ a.txt  changed  deleted\n~ c.txt  changed  deleted\n"


def test_vectors_of_a_provider(novaops: Call, tmp_path: Path) -> None:
    assert novaops("knowledge", "create", "b", "--embeddings", "openai")[0] == 2
    assert novaops("knowledge", "create", "b", "--embeddings", "openai/m")[0] == 0
    (tmp_path / "a.json").write_text('["abc", "xyz"]')
    assert novaops("knowledge", "add", "b", "a.json")[0] == 0
    found = document(novaops("knowledge", "search", "b", "cab", "--json"))
    assert (found["passages"][0]["text"], found["passages"][0]["found_by"]) == ("abc", "vector")


def test_the_vectors_of_a_base_are_asked_for_as_the_flags_say(novaops: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("MY_KEY", KEY)
    (tmp_path / "a.json").write_text('["abc", "xyz"]')
    novaops("knowledge", "create", "b", "--embeddings", "openai/m")
    key = ("--key", "env:MY_KEY")
    assert "openai asks for a key" in novaops("knowledge", "add", "b", "a.json")[2]
    assert novaops("knowledge", "add", "b", "a.json", *key)[0] == 0
    assert novaops("knowledge", "search", "b", "cab", "--provider", "openai", *key)[0] == 0
    assert novaops("ask", "b", "cab", *key)[0] == 0
    assert novaops("chat", "cab", "--knowledge", "b", *key)[0] == 0
    code, _, said = novaops("knowledge", "search", "b", "cab", "--provider", "sensenova", *key)
    assert (code, "the vectors of b are of openai, and --provider says sensenova" in said) == (2, True)


def test_the_key_of_the_model_is_not_that_of_the_vectors(novaops: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text('["abc", "xyz"]')
    novaops("knowledge", "create", "b", "--embeddings", "openai/m")
    novaops("knowledge", "add", "b", "a.json")
    monkeypatch.setenv("OTHER", "sk-that-the-stand-in-refuses")
    monkeypatch.setenv("MY_KEY", KEY)
    other = ("--provider", "sensenova", "--key", "env:MY_KEY")
    assert novaops("ask", "b", "cab", *other)[0] == 0
    with (tmp_path / "inventory.yaml").open("a") as inventory:
        inventory.write("api: {provider: sensenova, key: env:OTHER}\n")
    monkeypatch.delenv("OPENAI_API_KEY")
    for words in (("ask", "b", "cab"), ("chat", "cab", "--knowledge", "b")):
        assert "openai asks for a key" in novaops(*words, "--key", "env:MY_KEY")[2], "it is sensenova's, which the inventory names"


def test_flags_for_an_api_that_is_not_asked_are_refused(novaops: Call, there: Stand, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc")
    novaops("knowledge", "create", "b")
    for words in (
        ("add", "b", "a.txt", "--provider", "nosuchprov"),
        ("search", "b", "abc", "--key", "env:NOSUCH"),
        ("ls", "b", "--key-id", "env:NOSUCH"),
        ("ls", "--via", "nowhere"),
        ("rm", "b", "--whole", "--upstream", "https://x.example.com"),
        ("create", "c", "--embeddings", "openai/m", "--key", "env:OPENAI_API_KEY"),
    ):
        code, _, said = novaops("knowledge", *words)
        assert (code, f"{words[-2]}: no API is asked" in said) == (2, True), words
    assert [each["name"] for each in document(novaops("knowledge", "ls", "--json"))["bases"]] == ["b"]
    assert not there.requests


def test_the_provider_of_vectors_has_to_be_there(novaops: Call) -> None:
    """Such a base could never be filled."""
    code, _, said = novaops("knowledge", "create", "b", "--embeddings", "nosuch/m")
    assert (code, "there is no provider nosuch" in said) == (2, True)
    assert novaops("knowledge", "ls")[2] == "There are no bases.\n"


def test_files(novaops: Call, there: Stand, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"text_lst": ["x"]}')
    (tmp_path / "b.json").write_text("[1]")
    code, _, said = novaops("files", "add", "a.json", "b.json", "--provider", "sensenova")
    assert (code, "Line 1: it is a list" in said, there.files) == (2, True, {})
    assert novaops("files", "add", "a.json", "--provider", "sensenova")[1] == "~ a.json  changed  f1  VALID\n"
    assert novaops("files", "add", "a.json", "--provider", "sensenova")[1] == "✓ a.json  unchanged  f1  VALID\n"
    assert document(novaops("files", "ls", "--provider", "sensenova", "--json"))["files"][0]["name"] == "a.json"
    assert novaops("files", "rm", "f1", "--provider", "sensenova")[1] == "~ f1  changed  deleted\n"
    assert novaops("files", "ls", "--provider", "sensenova")[2].endswith("There are no files.\n")
    code, _, said = novaops("files", "ls", "--provider", "deepseek", "--key", "env:OPENAI_API_KEY")
    assert (code, "novaops handles no files at deepseek" in said) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("files", "add", "bad\udcff.txt"),
        ("knowledge", "add", "openai/vs_1", "bad\udcff.txt"),
        ("files", "rm", "bad\udcff"),
        ("chat", "hello", "--model", "bad\udcff"),
        ("chat", "hello", "--knowledge", "openai/bad\udcff"),
        ("chat", "hello", "--user", "bad\udcff"),
        ("ask", "openai/vs_1", "bad\udcff"),
        ("ask", "openai/bad\udcff", "hello"),
        ("knowledge", "create", "bad\udcff", "--provider", "openai"),
        ("knowledge", "create", "bad\udcff"),
        ("knowledge", "ls", "openai/bad\udcff"),
        ("knowledge", "ls", "bad\udcff"),
        ("knowledge", "search", "openai/vs_1", "bad\udcff"),
        ("knowledge", "rm", "openai/vs_1", "bad\udcff"),
        ("knowledge", "rm", "openai/bad\udcff", "--whole"),
        ("models", "--provider", "bad\udcff"),
        ("models", "--upstream", "http://127.0.0.1/bad\udcff"),
    ],
)
def test_words_that_are_no_utf_8(novaops: Call, there: Stand, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "bad\udcff.txt").write_text("text")
    code, _, said = novaops(*words)
    assert (code, "itself went wrong" in said, there.requests) == (2, False, [])


def test_ctrl_c_while_it_waits(novaops: Call, there: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there.slow = 2
    (tmp_path / "a.txt").write_text("text")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(uploads, "wait", lambda *_: interrupt(0))
        code, _, said = novaops("files", "add", "a.txt")
    assert (code, "Interrupted. The same command goes on" in said) == (130, True)
    assert novaops("files", "add", "a.txt")[1] == "✓ a.txt  unchanged  file-1  processed\n"
    assert there.count("POST", "/v1/files") == 1


@pytest.mark.parametrize(("provider", "base"), [("openai", "vs_1"), ("sensenova", "s1")])
def test_a_base_at_a_provider(novaops: Call, there: Stand, tmp_path: Path, provider: str, base: str) -> None:
    kb = f"{provider}/{base}"
    (tmp_path / "a.json").write_text('{"text_lst": ["ALM-1 is class T"]}')
    assert f"~ {kb}  changed" in novaops("knowledge", "create", "alarms", "--provider", provider)[1]
    assert kb in novaops("knowledge", "ls", "--provider", provider)[1]
    assert novaops("knowledge", "add", kb, "a.json")[1].startswith("~ a.json  changed")
    assert novaops("knowledge", "add", kb, "a.json")[1].startswith("✓ a.json  unchanged")
    found = document(novaops("ask", kb, "ALM-1?", "--json"))
    assert "ALM-1 is class T" in found["passages"][0]["text"]
    if provider == "sensenova":
        assert (found["answers"][0]["text"], there.bodies[-1]["know_ids"]) == ("from the base", ["s1"])
    else:
        assert ("class T" in found["answers"][0]["text"], found["usage"]["answer_tokens"]) == (True, 3)
        assert there.bodies[-1]["tools"] == [{"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 5}]
        assert there.bodies[-1]["tool_choice"] == {"type": "file_search"}
        assert there.bodies[-1]["store"] is False
    assert document(novaops("chat", "ALM-1?", "--provider", provider, "--knowledge", kb, "--json"))["passages"] == found["passages"]
    assert novaops("knowledge", "search", kb, "ALM-1")[0] == (0 if provider == "openai" else 2)
    assert novaops("knowledge", "search", kb, "x", "--provider", "deepseek")[0] == 2
    assert novaops("knowledge", "rm", kb, "--whole")[0] == 0
    assert there.bases == {}


@pytest.mark.parametrize(("provider", "base"), [("openai", "vs_1"), ("sensenova", "s1")])
def test_an_answer_that_names_no_passage_says_so(novaops: Call, there: Stand, provider: str, base: str) -> None:
    """The model may have answered without a look into the base."""
    there.bases[base] = Kept(base, "alarms")
    note = f"The provider names no passage of {base}: the answer may come from elsewhere."
    for words in (("ask", f"{provider}/{base}", "ALM-1?"), ("chat", "ALM-1?", "--knowledge", f"{provider}/{base}", "--provider", provider)):
        code, _, said = novaops(*words)
        assert (code, said.splitlines()[-1]) == (0, note)
        assert document(novaops(*words, "--json"))["notes"] == [note]
    there.files["f1"] = Kept("f1", "a.txt", content=b"ALM-1 is class T")
    there.bases[base].files = {"f1": 9}
    assert document(novaops("ask", f"{provider}/{base}", "ALM-1?", "--json"))["notes"] == []


def with_store(novaops: Call, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ALM-1 is class T")
    novaops("knowledge", "create", "alarms", "--provider", "openai")
    assert novaops("knowledge", "add", "openai/vs_1", "a.txt")[0] == 0


def test_a_question_to_a_vector_store(novaops: Call, there: Stand, tmp_path: Path) -> None:
    """The model searches. Parameters have the names of that API, and those that it does not have are refused."""
    with_store(novaops, tmp_path)
    assert novaops("ask", "openai/vs_1", "ALM-1?", "--max-tokens", "9", "--user", "ana")[:2] == (0, "ALM-1 is class T\n\n[1] a.txt\n")
    assert (there.bodies[-1]["max_output_tokens"], there.bodies[-1]["safety_identifier"]) == (9, "ana")
    code, _, said = novaops("ask", "openai/vs_1", "ALM-1?", "--seed", "1")
    assert (code, "novaops knows no parameter of openai for --seed" in said) == (2, True)
    whole = document(novaops("chat", "ALM-1?", "--knowledge", "openai/vs_1", "--no-stream", "--json"))
    assert (whole["answers"], whole["passages"][0]["source"]) == ([{"text": "ALM-1 is class T", "finish_reason": "stop"}], "a.txt")
    there.rejects = "the store is being moved"
    code, _, said = novaops("ask", "openai/vs_1", "ALM-1?")
    assert (code, "breaks off with an error: the store is being moved" in said) == (1, True)


def test_a_server_without_the_responses_api_is_searched_from_here(novaops: Call, there: Stand, tmp_path: Path) -> None:
    file = tmp_path / "providers/openai.yaml"
    file.write_text(file.read_text().partition("ask:")[0])
    with_store(novaops, tmp_path)
    for words in (("ask", "openai/vs_1", "ALM-1?"), ("chat", "ALM-1?", "--knowledge", "openai/vs_1")):
        found = document(novaops(*words, "--json"))
        assert (found["answers"][0]["text"], found["passages"][0]["source"]) == ("ALM-1 is class T", "a.txt")
        assert "messages" in there.bodies[-1]


def test_a_chat_has_bases_of_ones_own_by_name(novaops: Call, there: Stand, tmp_path: Path) -> None:
    for name, text in (("alarms", "ALM-1 is class T"), ("people", "ALM-1 was seen by Ana")):
        (tmp_path / f"{name}.txt").write_text(text)
        novaops("knowledge", "create", name)
        novaops("knowledge", "add", name, f"{name}.txt")
    both = ("--knowledge", "people", "--knowledge", "alarms")
    code, said, told = novaops("chat", "What is ALM-1?", *both, "--context", "Be exact.")
    assert (code, said) == (0, "ALM-1 is class T\n"), "the answer alone is on stdout"
    assert "[1] people.txt, line 1\n[2] alarms.txt, line 1\n" in told
    given = there.bodies[-1]["messages"][0]["content"]
    assert given.index("Be exact.") < given.index("seen by Ana") < given.index("class T")
    assert "[1]" not in novaops("chat", "zebra", *both)[2], "where nothing fits, the model is asked all the same"
    code, _, said = novaops("chat", "hi", "--knowledge", "vs_1")
    assert (code, "there is no knowledge base vs_1" in said, "PROVIDER/vs_1 is one at a provider" in said) == (2, True, True)
    code, _, said = novaops("chat", "hi", "--knowledge", "sensenova/s1")
    assert (code, "the knowledge base sensenova/s1 is at sensenova, and openai is asked" in said) == (2, True)
