"""Secrets taken out of what an API says, also where it says them in pieces. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from novaops.errors import NovaopsError

SHOWN = "[secret]"
_SHORTEST = 6
"""Characters: a shorter key is no secret, and part of other words."""


class Redactor:
    """Takes a text in pieces, and gives it on without secrets. What may be the beginning of one is held back until that is known."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
        self._held = ""

    def feed(self, text: str) -> str:
        text = self.text(self._held + text)
        held = max((_overlap(text, secret) for secret in self._secrets), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def end(self) -> str:
        held, self._held = self._held, ""
        return held

    def text(self, text: str) -> str:
        """A whole text."""
        for secret in self._secrets:
            text = text.replace(secret, SHOWN)
        return text

    def error(self, error: NovaopsError) -> NovaopsError:
        """The same error, without them."""
        error.what, error.why, error.fix = map(self.text, (error.what, error.why, error.fix))
        return error


def _overlap(text: str, secret: str) -> int:
    """The length of the longest end of `text` that `secret` begins with."""
    return next((length for length in range(min(len(text), len(secret) - 1), 0, -1) if text.endswith(secret[:length])), 0)
