"""What the checks take for a testinfra host, where the answer to a command is the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


@dataclass(frozen=True)
class AnsweringHost:
    answer: Callable[[str], str]
    """What a command prints on the host; each ends with 0."""
    backend = SimpleNamespace(get_hostname=lambda: "box")

    def run(self, command: str) -> Any:
        return SimpleNamespace(rc=0, stdout=self.answer(command), stderr="")
