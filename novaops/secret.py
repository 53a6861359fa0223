"""Secret: a value that can be passed around and compared, and that only `reveal` shows."""

from __future__ import annotations

import hmac


class Secret:
    """A value that prints as `[secret]` everywhere: str, repr, format, JSON. No dataclass: `asdict` would take it apart."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return False
        ours, theirs = (value.encode("utf-8", "surrogateescape") for value in (self._value, other.reveal()))
        return hmac.compare_digest(ours, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __str__(self) -> str:
        return "[secret]"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
