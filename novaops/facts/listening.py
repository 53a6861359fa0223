"""Who listens on which TCP port."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section

_LINE = re.compile(r"LISTEN\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+:\S+(?:\s+users:\((?P<users>.*)\))?\s*")
_USER = re.compile(r'\("(?P<program>.*?)",pid=\d+,fd=\d+\)')


@dataclass(frozen=True)
class Listener:
    address: str
    """As ss says it, without brackets: 0.0.0.0, 192.0.2.1, ::, or * for both kinds at once."""
    port: int
    programs: tuple[str, ...]
    """Names of processes, each once; none for what the kernel itself listens on."""


@dataclass(frozen=True)
class Listening(Question[tuple[Listener, ...]]):
    family: ClassVar[str] = "listening"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        del questions
        return "ss -l -t -n -p -H && echo end\n"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, tuple[Listener, ...] | Missing]:
        *lines, end = section.stdout.splitlines()
        if section.status or end != "end":
            return {}
        return dict.fromkeys(questions, tuple(map(_listener, lines)))


def _listener(line: str) -> Listener:
    """Raises ValueError for a line that is none."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(f"ss said: {line}")
    address, _, _ = found["address"].partition("%")  # 127.0.0.53%lo
    programs = dict.fromkeys(user["program"] for user in _USER.finditer(found["users"] or ""))
    return Listener(address.strip("[]"), int(found["port"]), tuple(programs))
