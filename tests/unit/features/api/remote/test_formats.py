"""What providers want files to be: which line is wrong, and what it should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import UsageError
from novaops.features.api.remote import formats, json_places

GOOD = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
CALL = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [{}]}]}\n'
BATCH = '{"custom_id": "%s", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}\n'
BASE = '{"text_lst": ["a"],\n "qa_lst": [\n  {"std_q": "q", "simi_qs": ["p"], "answer": "a"},\n  {"std_q": "q", "answer": "a"}\n]}'


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("form", "purpose", "name", "text"),
    [
        ("openai", "fine-tune", "a.jsonl", GOOD * 9 + CALL),
        ("openai", "fine-tune", "a.jsonl", '{"input": {}, "preferred_output": [], "non_preferred_output": []}\n' * 10),
        ("openai", "batch", "a.jsonl", BATCH % 1 + BATCH % 2),
        ("openai", "knowledge", "a.json", "[1]"),
        ("openai", "knowledge", "a.md", "数据"),
        ("openai", "vision", "a.png", "anything"),
        ("sensenova", "knowledge", "a.json", BASE),
        ("sensenova", "knowledge", "a.pdf", "anything"),
        ("sensenova", "fine-tune", "a.json", '[{"instruction": "i", "input": "", "output": "o"}]'),
    ],
)
def test_good_files(tmp_path: Path, form: str, purpose: str, name: str, text: str) -> None:
    formats.check(form, purpose, written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("form", "purpose", "name", "text", "why", "want"),
    [
        ("openai", "fine-tune", "a.jsonl", GOOD * 9, "It has 9 examples, and at least 10", "a line like"),
        ("openai", "fine-tune", "a.json", "[]", "ends with .json, and JSON Lines (.jsonl) are wanted", formats.CHAT_LINE),
        ("openai", "fine-tune", "a.jsonl", GOOD + '[{"messages": []}]', "Line 2: it is a list", formats.CHAT_LINE),
        ("openai", "fine-tune", "a.jsonl", GOOD + "\n", "Line 2: it is empty", formats.CHAT_LINE),
        ("openai", "fine-tune", "a.jsonl", GOOD + "{'a': 1}", "Line 2: it is not JSON: Expecting property name", formats.CHAT_LINE),
        ("openai", "fine-tune", "a.jsonl", GOOD + "7", "Line 2: it is no object", formats.CHAT_LINE),
        ("openai", "fine-tune", "a.jsonl", '{"instruction": "i", "output": "o"}',
         "Line 1: there is no list “messages”; the names here are instruction, output", formats.CHAT_LINE),
        ("openai", "fine-tune", "a.jsonl", '{"messages": [{"role": "bot", "content": "x"}]}',
         "message 1 has the role 'bot'", formats.CHAT_LINE),
        ("openai", "fine-tune", "a.jsonl", '{"messages": [{"role": "user", "content": ""}]}',
         "message 1 has no content", formats.CHAT_LINE),
        ("openai", "fine-tune", "a.jsonl", '{"messages": [{"role": "user", "content": "x"}]}', "nothing to learn", formats.CHAT_LINE),
        ("openai", "batch", "a.jsonl", BATCH % 1 + BATCH % 1, "Line 2: custom_id 1 is that of line 1 too", formats.BATCH_LINE),
        *(
            ("openai", "batch", "a.jsonl", BATCH % 1 + BATCH.replace('"%s"', number), "Line 2: custom_id is no text", formats.BATCH_LINE)
            for number in ('["a"]', '{"a": 1}', "1", "true", "1.5")
        ),
        ("openai", "batch", "a.jsonl", '{"custom_id": "1"}', "Line 1: there is no method", formats.BATCH_LINE),
        ("openai", "knowledge", "a.jsonl", "{}", "File search does not read .jsonl", "one of json, md"),
        ("openai", "knowledge", "a.json", '{"a": 1,\n}', "Line 2, column 1 is not JSON", "double quotes"),
        ("sensenova", "knowledge", "a.jsonl", "{}", "SenseNova reads no JSON Lines", formats.KNOWLEDGE),
        ("sensenova", "knowledge", "a.json", '[{"q": 1}]', "Line 1: it is a list, and has neither", formats.KNOWLEDGE),
        ("sensenova", "knowledge", "a.json", '{"a": 1, "b": 2}', "it is an object with a, b, and has neither", formats.KNOWLEDGE),
        ("sensenova", "knowledge", "a.json", '{"text_lst": [], "x": 1}', "nobody knows “x”", formats.KNOWLEDGE),
        ("sensenova", "knowledge", "a.json", '{\n"text_lst":\n "x"}', "Line 3: text_lst is no list", formats.KNOWLEDGE),
        ("sensenova", "knowledge", "a.json", '{"text_lst": ["a",\n 7]}', "Line 2: text_lst, entry 2 is no text", formats.KNOWLEDGE),
        ("sensenova", "knowledge", "a.json", BASE.replace('"std_q": "q", "a', '"a'),
         "Line 4: qa_lst, entry 2 has no text std_q", formats.KNOWLEDGE),
        ("sensenova", "knowledge", "a.json", BASE.replace('["p"]', '"p"'), "Line 3: simi_qs of qa_lst, entry 1", formats.KNOWLEDGE),
        ("sensenova", "fine-tune", "a.jsonl", GOOD, "lines of messages are OpenAI's form", formats.INSTRUCTIONS),
        ("sensenova", "fine-tune", "a.json", "{}", "Line 1: it is no list of examples", formats.INSTRUCTIONS),
        ("sensenova", "fine-tune", "a.json", '[{"instruction": "i", "input": "", "output": "o"},\n\n{"input": ""}]',
         "Line 3: example 2 has no text instruction", formats.INSTRUCTIONS),
        ("sensenova", "fine-tune", "a.json", '[{"instruction": "i", "input": "", "output": " "}]', "the output of example 1 is empty", ""),
    ],
)  # fmt: skip
def test_wrong_files(tmp_path: Path, form: str, purpose: str, name: str, text: str, why: str, want: str) -> None:
    with pytest.raises(UsageError) as error:
        formats.check(form, purpose, written(tmp_path, name, text))
    assert f"has not the form for {purpose}" in error.value.what
    assert why in error.value.why
    assert want in error.value.fix


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    for name, form in (("a.json", "sensenova"), ("a.txt", "openai")):
        (tmp_path / name).write_bytes("数据".encode("gb18030"))
        with pytest.raises(UsageError, match="as text in UTF-8"):
            formats.check(form, "knowledge", tmp_path / name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 0, 2]))
def test_elements_are_those_that_python_reads_and_stand_on_their_lines(values: list[Any], indent: int | None) -> None:
    text = json.dumps(values, indent=indent)
    found = list(json_places.elements(text))
    assert [placed.value for placed in found] == values
    lines = text.split("\n")
    assert all(lines[placed.line - 1].strip()[:1] in json.dumps(placed.value) or lines[placed.line - 1][:1] == "[" for placed in found)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=5), st.sampled_from([None, 1]))
def test_members_are_those_that_python_reads(values: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(values, indent=indent)
    found = [
        (name, json.JSONDecoder().raw_decode(text, start)[0], text.count("\n", 0, start) + 1 == line)
        for name, start, line in json_places.members(text)
    ]
    assert found == [(name, value, True) for name, value in values.items()]
