"""A secret is a type: it can be carried and compared, but only `reveal` shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that prints as `[secret]` everywhere: str, repr, format, JSON, tracebacks of dataclasses."""

    _value: str

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "[secret]"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
