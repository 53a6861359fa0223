"""The probe: one read-only script that asks all questions, and the parsing of its output into facts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from novaops.model.question import Facts, Question, Section
from novaops.shell import whole

Families = Mapping[type[Question[Any]], Sequence[Question[Any]]]


def families(questions: Iterable[Question[Any]]) -> Families:
    """The questions by family, each once, in the order they came."""
    grouped: dict[type[Question[Any]], list[Question[Any]]] = {}
    for question in dict.fromkeys(questions):
        grouped.setdefault(type(question), []).append(question)
    return grouped


def boundary() -> str:
    """A random line that separates the sections: no host prints it by accident."""
    return f"novaops-{secrets.token_hex(16)}"


def script(asked: Families, mark: str) -> str:
    """The probe: each family in a subshell of its own, framed by `mark` on both streams, with its exit status."""
    parts = []
    for family, questions in asked.items():
        name = family.family
        parts.append(
            f"echo '{mark} {name}'; echo '{mark} {name}' >&2\n(\n{family.script(questions)}\n)\nprintf '\\n%s\\n' \"{mark} = $?\"\n"
        )
    parts.append(f"echo '{mark} end'; echo >&2; echo '{mark} end' >&2\n")
    return whole("".join(parts))


def read(asked: Families, mark: str, stdout: str, stderr: str) -> Facts:
    """The facts in the output of `script`. A family that is missing or cut short has no answers: all UNKNOWN."""
    complaints = _stderr(mark, stderr)
    answers: dict[Question[Any], Any] = {}
    reasons: dict[str, str] = {}
    sections = _sections(mark, stdout)
    for family, questions in asked.items():
        complaint = complaints.get(family.family, "")
        output = sections.get(family.family)
        if output is None:
            reasons[family.family] = "the host's answer was cut short"
            continue
        section = Section(output[0], complaint, output[1])
        reasons[family.family] = complaint
        try:
            answers.update(family.parse(questions, section))
        except (ValueError, KeyError, IndexError, RecursionError) as error:
            reasons[family.family] = f"its answer could not be understood ({error}) {complaint}"
    return Facts(answers, reasons)


def _sections(mark: str, stdout: str) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for part in stdout.split(f"{mark} ")[1:]:
        head, newline, rest = part.partition("\n")
        if head.startswith("= "):
            name = next(reversed(found), None)
            if name is not None and newline and head[2:].isascii() and head[2:].isdecimal():
                found[name] = (found[name][0].removesuffix("\n"), int(head[2:]))
        elif head != "end":
            found[head] = (rest, -1)
    return {name: output for name, output in found.items() if output[1] >= 0}


def _stderr(mark: str, stderr: str) -> dict[str, str]:
    parts = (part.partition("\n") for part in stderr.split(f"{mark} ")[1:])
    return {head: rest.strip() for head, _, rest in parts}
