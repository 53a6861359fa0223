"""JSON and JSON Lines: each entry is a passage of its own, found by its keys. Pure.

["a text", …]                                     texts
[{"code": "ALM-7003", "class": "optics"}, …]      entries; a .jsonl has one in each line
{"ALM-7003": {"class": "optics"}, …}              entries by their key
{"text_lst": […], "qa_lst": [{"std_q": …, "simi_qs": […], "answer": …}]}     SenseNova's KNOWLEDGE_BASE_1
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from novaops.features.api.knowledge.documents import SPLIT, Limits, Read, Unreadable
from novaops.features.api.knowledge.passages import Part
from novaops.features.api.knowledge.read_text import decode

KEYS = ("key", "keys", "id", "code", "name", "title", "term", "question", "std_q", "simi_qs", "编号", "代码", "名称", "标题", "问题")
"""Fields of an entry that it is known by."""
_LONGEST = 200
"""Characters of a key: longer ones are texts."""


def read_json(data: bytes, limits: Limits) -> Read:
    text, notes = decode(data)
    value = parse(text)
    if isinstance(value, Mapping) and ("text_lst" in value or "qa_lst" in value):
        return Read(_up_to(_knowledge_base_1(value), limits), notes)
    if isinstance(value, Mapping):
        return Read(_up_to((_entry(item, f"entry “{key}”", (key,)) for key, item in value.items()), limits), notes)
    if isinstance(value, list):
        return Read(_up_to((_entry(item, f"entry {number}") for number, item in enumerate(value, 1)), limits), notes)
    raise Unreadable("It holds one bare value; a list or an object of entries can be searched.")


def read_json_lines(data: bytes, limits: Limits) -> Read:
    text, notes = decode(data)
    return Read(_up_to(_lines(text), limits), notes)


def _lines(text: str) -> Iterator[Part]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _entry(parse(line, number), f"line {number}")


def parse(text: str, line: int | None = None) -> Any:
    """Raises Unreadable with the line, the column and the text there."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        number = line or error.lineno
        near = error.doc[error.pos : error.pos + 20].split("\n")[0]
        why = f"Line {number}, column {error.colno} is not JSON: {error.msg}{f', at {near!r}' if near else ''}."
        raise Unreadable(why, "JSON has its names and texts in double quotes, and no comma behind the last item") from None
    except RecursionError:
        raise Unreadable("It is nested too deeply.") from None
    except Unreadable:
        raise
    except ValueError as error:  # a number with more digits than Python reads
        raise Unreadable(f"It has a value that cannot be read: {error}.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises Unreadable for a name that stands there twice: JSON would keep the last of them, and the others would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise Unreadable(f"An object in it has “{twice}” twice: one of them would be lost.", "make a list of entries of it")
    return found


def _up_to(parts: Iterator[Part], limits: Limits) -> list[Part]:
    found: list[Part] = []
    for part in parts:
        if len(found) == limits.entries:
            raise Unreadable(f"It has more than {limits.entries:,} entries.", SPLIT)
        found.append(part)
    return found


def _knowledge_base_1(value: Mapping[str, Any]) -> Iterator[Part]:
    for field, name in (("text_lst", "text"), ("qa_lst", "question")):
        items = value.get(field, [])
        if not isinstance(items, list):
            raise Unreadable(f"{field} is not a list.")
        for number, item in enumerate(items, 1):
            yield _entry(item, f"{name} {number}")


def _entry(item: Any, place: str, keys: tuple[str, ...] = ()) -> Part:
    if not isinstance(item, Mapping):
        text = _text(item)
        return Part("\n".join((*keys, text)), place, keys, whole=True)
    own = tuple(key for field in KEYS for key in _key_texts(item.get(field)))
    lines = [f"{name}: {_text(value)}" for name, value in item.items()]
    return Part("\n".join((*keys, *lines)), place, tuple(dict.fromkeys((*keys, *own))), whole=True)


def _key_texts(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, (str, int)) and not isinstance(each, bool) and str(each).strip() and len(str(each)) <= _LONGEST:
            yield str(each)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " | ".join(value)
    return json.dumps(value, ensure_ascii=False)
