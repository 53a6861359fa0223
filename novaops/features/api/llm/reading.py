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
    return whole(piece(value))


def piece(value: Any) -> str:
    """The same of a text that goes on: a character that takes two in JSON may be cut in the middle."""
    if isinstance(value, list):
        return "".join(map(piece, value))
    if isinstance(value, dict):
        return piece(value.get("text"))
    return "" if value is None or isinstance(value, bool) else str(value)


def whole(text: str) -> str:
    """The text with the halves of each character put together. A half that is alone is no character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass").encode("utf-8", "replace").decode()


def ends_in_half(text: str) -> bool:
    return "\ud800" <= text[-1:] <= "\udbff"


def word(value: Any) -> str:
    """One that stands for something, such as why an answer ended, in any form."""
    return text(value) or str(value)


def fields(value: Any) -> dict[str, Any]:
    """Those of an object; none where it is none."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """Those of a list; none where it is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
