"""Values of an API's answer as they are meant: a gateway may leave one out, or send another kind of value. Pure."""

from __future__ import annotations

from typing import Any


def count(value: Any) -> int:
    """A number of tokens or bytes, or of an answer; 0 for what is none."""
    try:
        return max(0, int(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def text(value: Any) -> str:
    """A text, also one in parts; "" for what is none. Half of a character that takes two is no text."""
    if isinstance(value, list):
        return "".join(map(text, value))
    if isinstance(value, dict):
        return text(value.get("text"))
    return "" if value is None or isinstance(value, bool) else str(value).encode("utf-8", "replace").decode()


def word(value: Any) -> str:
    """One that stands for something, such as why an answer ended, in any form."""
    return text(value) or str(value)


def fields(value: Any) -> dict[str, Any]:
    """Those of an object; none where it is none."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """Those of a list; none where it is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
