"""Whether nginx works with a file as it is now, or still with what it was when nginx read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import join, lines_of, quote, sh_file


@dataclass(frozen=True)
class Use:
    current: bool
    """Whether the file is in use as it is. True where nginx does not run: it reads everything when it starts."""
    served_until: str = ""
    """When the certificate ends that is shown in place of the one in the file, in OpenSSL's words."""
    there_until: str = ""
    """When the one in the file does."""


@dataclass(frozen=True)
class InUse(Question[Use]):
    """One of the files that nginx reads only when it starts or is told to. A certificate is asked for at `at` by the name `name`."""

    path: str
    at: str = ""
    """ADDRESS:PORT; "" for a file that nobody is shown."""
    name: str = ""
    family: ClassVar[str] = "in-use"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        paths = dict.fromkeys(question.path for question in questions)
        shown = [
            f"  certificate {number} {quote(question.path)} {quote(question.at)} {quote(question.name)} 2>/dev/null &\n"
            for number, question in enumerate(questions)
            if question.at
        ]
        asked = f"changed {join(paths)}\n{''.join(shown)}"
        return f'{sh_file(__package__, "in_use.sh")}if [ -n "$began" ]; then\n{asked}  wait\nfi\necho asked\n'

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Use | Missing]:
        lines = [line.split("\t") for line in lines_of(section.stdout)]
        if ["asked"] not in lines:
            return {}
        changed = {line[1] for line in lines if line[0] == "changed"}
        others = {int(line[1]): (line[2], line[3]) for line in lines if line[0] == "other"}
        return {
            question: Use(question.path not in changed and number not in others, *others.get(number, ("", "")))
            for number, question in enumerate(questions)
        }
