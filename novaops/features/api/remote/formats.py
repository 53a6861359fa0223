"""The forms that providers want files in, checked before anything is sent: which line is wrong, and what it should be.

A provider says of a wrong file that it is wrong, minutes later and not where. Files for fine-tuning and for knowledge bases have
different forms, and each provider has its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from novaops.errors import UsageError
from novaops.features.api.knowledge.documents import Unreadable, size_of
from novaops.features.api.knowledge.read_entries import parse
from novaops.features.api.remote import json_places
from novaops.features.api.remote.json_places import Placed

CHAT_LINE = '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'
BATCH_LINE = '{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {…}}'
INSTRUCTIONS = '[{"instruction": "…", "input": "…", "output": "…"}, …]'
KNOWLEDGE = '{"text_lst": ["…"], "qa_lst": [{"std_q": "…", "simi_qs": ["…"], "answer": "…"}]}'
LEAST = 10
"""Examples that OpenAI wants for fine-tuning."""
MOST_JSON = 200 << 20
"""Bytes of one JSON document: all of it is in memory to be checked."""
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_READ_BY_OPENAI = (
    ".json",
    ".md",
    ".txt",
    ".pdf",
    ".docx",
    ".doc",
    ".pptx",
    ".html",
    ".tex",
    ".py",
    ".js",
    ".ts",
    ".java",
    ".c",
    ".cpp",
    ".css",
)
_TEXT = (".json", ".jsonl", ".txt", ".md")


class WrongLine(ValueError):
    def __init__(self, line: int, what: str, want: str) -> None:
        super().__init__(f"Line {line}: {what}." if line else f"{what}.")
        self.want = want


def check(form: str, purpose: str, path: Path) -> None:
    """Raises UsageError, with the line and the form that it should have, for a file that the provider would refuse."""
    rule = _RULES.get((form, purpose))
    if rule is None:
        return
    try:
        rule(path)
    except WrongLine as error:
        raise UsageError(f"{path} has not the form for {purpose}", why=str(error), fix=f"it should be: {error.want}") from None
    except Unreadable as error:
        raise UsageError(f"{path} has not the form for {purpose}", why=str(error), fix=error.fix) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path} as text in UTF-8", why=f"{error}.", fix="save it as UTF-8") from None


def _chat_lines(path: Path) -> None:
    count = 0
    for count, placed in enumerate(_lines(path, CHAT_LINE), 1):  # noqa: B007 - the last one is the count
        _chat_line(placed)
    if count < LEAST:
        raise WrongLine(0, f"It has {count} examples, and at least {LEAST} are wanted", f"a line like {CHAT_LINE} for each example")


def _chat_line(placed: Placed) -> None:
    value, line = placed.value, placed.line
    if set(value) >= {"input", "preferred_output", "non_preferred_output"}:
        return
    messages = value.get("messages")
    if not isinstance(messages, list) or not messages:
        found = f"the names here are {', '.join(map(str, value)) or 'none'}" if "messages" not in value else "it is no list of messages"
        raise WrongLine(line, f"there is no list “messages”; {found}", CHAT_LINE)
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            role = message.get("role") if isinstance(message, dict) else None
            raise WrongLine(line, f"message {number} has the role {role!r}, which is none of {', '.join(_ROLES)}", CHAT_LINE)
        if not message.get("content") and not (message.get("tool_calls") or message.get("function_call")):
            raise WrongLine(line, f"message {number} has no content", CHAT_LINE)
    if not any(message["role"] == "assistant" for message in messages):
        raise WrongLine(line, "no message is of the assistant, and there is nothing to learn", CHAT_LINE)


def _batch_lines(path: Path) -> None:
    seen: dict[str, int] = {}
    for placed in _lines(path, BATCH_LINE):
        value, line = placed.value, placed.line
        missing = [name for name in ("custom_id", "method", "url", "body") if not value.get(name)]
        if missing:
            raise WrongLine(line, f"there is no {missing[0]}", BATCH_LINE)
        number = value["custom_id"]
        if not isinstance(number, str):
            raise WrongLine(line, "custom_id is no text", BATCH_LINE)
        if number in seen:
            raise WrongLine(line, f"custom_id {number} is that of line {seen[number]} too", BATCH_LINE)
        seen[number] = line


def _lines(path: Path, want: str) -> Iterator[Placed]:
    """Of JSON Lines, one after the other. Raises WrongLine for one that is no object."""
    if path.suffix.lower() != ".jsonl":
        raise WrongLine(0, f"Its name ends with {path.suffix or 'nothing'}, and JSON Lines (.jsonl) are wanted", f"lines like {want}")
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                raise WrongLine(number, "it is empty", want)
            if line.strip() in {"[", "]"} or line.lstrip().startswith("["):
                raise WrongLine(number, "it is a list, and each line has to be an object of its own", want)
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise WrongLine(number, f"it is not JSON: {error}", want) from None
            if not isinstance(value, dict):
                raise WrongLine(number, "it is no object", want)
            yield Placed(value, number)


def _openai_knowledge(path: Path) -> None:
    if path.suffix.lower() not in _READ_BY_OPENAI:
        kinds = ", ".join(each[1:] for each in _READ_BY_OPENAI)
        raise WrongLine(0, f"File search does not read {path.suffix or 'files without an ending'}", f"one of {kinds}")
    if path.suffix.lower() in _TEXT:
        _text_in_utf8(path)
    if path.suffix.lower() == ".json":
        parse(_document(path))


def _text_in_utf8(path: Path) -> None:
    with path.open(encoding="utf-8") as file:
        for _ in iter(lambda: file.read(1 << 20), ""):
            pass


def _sensenova_knowledge(path: Path) -> None:
    kind = path.suffix.lower()
    if kind == ".jsonl":
        raise WrongLine(0, "SenseNova reads no JSON Lines", f"a .json with {KNOWLEDGE}")
    if kind != ".json":
        return
    text = _document(path)
    whole = parse(text)
    if not isinstance(whole, dict) or not set(whole) & {"text_lst", "qa_lst"}:
        kind = (
            "a list"
            if isinstance(whole, list)
            else f"an object with {', '.join(list(whole)[:5])}"
            if isinstance(whole, dict)
            else "a value"
        )
        raise WrongLine(1, f"it is {kind}, and has neither text_lst nor qa_lst", KNOWLEDGE)
    if other := sorted(set(whole) - {"text_lst", "qa_lst"}):
        raise WrongLine(1, f"nobody knows “{other[0]}”", KNOWLEDGE)
    for name, start, line in json_places.members(text):
        if not isinstance(whole[name], list):
            raise WrongLine(line, f"{name} is no list", KNOWLEDGE)
        for number, placed in enumerate(json_places.elements(text, start, line), 1):
            _knowledge_entry(name, number, placed)


def _knowledge_entry(name: str, number: int, placed: Placed) -> None:
    value, line, where = placed.value, placed.line, f"{name}, entry {number}"
    if name == "text_lst":
        if not isinstance(value, str) or not value.strip():
            raise WrongLine(line, f"{where} is no text", KNOWLEDGE)
        return
    if not isinstance(value, dict):
        raise WrongLine(line, f"{where} is no object", KNOWLEDGE)
    for field in ("std_q", "answer"):
        if not isinstance(value.get(field), str) or not value[field].strip():
            raise WrongLine(line, f"{where} has no text {field}", KNOWLEDGE)
    similar = value.get("simi_qs", [])
    if not isinstance(similar, list) or not all(isinstance(each, str) for each in similar):
        raise WrongLine(line, f"simi_qs of {where} is no list of texts", KNOWLEDGE)


def _instructions(path: Path) -> None:
    if path.suffix.lower() != ".json":
        found = f"Its name ends with {path.suffix or 'nothing'}, and one JSON document is wanted"
        raise WrongLine(0, f"{found}; lines of messages are OpenAI's form", INSTRUCTIONS)
    text = _document(path)
    whole = parse(text)
    if not isinstance(whole, list) or not whole:
        raise WrongLine(1, "it is no list of examples", INSTRUCTIONS)
    for number, placed in enumerate(json_places.elements(text), 1):
        value = placed.value
        if not isinstance(value, dict):
            raise WrongLine(placed.line, f"example {number} is no object", INSTRUCTIONS)
        for field in ("instruction", "input", "output"):
            if not isinstance(value.get(field), str):
                raise WrongLine(placed.line, f"example {number} has no text {field}", INSTRUCTIONS)
        if not value["output"].strip():
            raise WrongLine(placed.line, f"the output of example {number} is empty", INSTRUCTIONS)


def _document(path: Path) -> str:
    size_of(path, MOST_JSON)
    return path.read_text("utf-8-sig")


_RULES: dict[tuple[str, str], Callable[[Path], None]] = {
    ("openai", "fine-tune"): _chat_lines,
    ("openai", "batch"): _batch_lines,
    ("openai", "knowledge"): _openai_knowledge,
    ("sensenova", "fine-tune"): _instructions,
    ("sensenova", "knowledge"): _sensenova_knowledge,
}
"""By the form of the provider's files, and the purpose."""
