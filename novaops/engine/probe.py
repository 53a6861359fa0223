"""The probe: one read-only script that asks all questions, and the parsing of its output into facts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from novaops.model.question import Facts, Question, Section
from novaops.shell import assign, whole

AT_ONCE = 4
"""Families that a host answers at the same time, but for those that come first or last. Much of an answer is waiting for a server, or for a
program to start."""

_FRAMED = """\
framed() { # NUMBER NAME
  printf '%s %s\\n' "$mark" "$2"
  { said=$("answer_$1" 2>&1 >&3 3>&-); status=$?; } 3>&1
  printf '\\n%s = %s\\n%s\\n' "$mark" "$status" "$said"
}
"""

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
    """The probe: each family in a subshell of its own, `AT_ONCE` of them at the same time.

    What a family prints is framed by `mark`: its name, what it printed, its exit status, what it complained of. The host's
    files are left alone: a lane's answers wait in a pipe until the lanes after it have ended, and the lane itself once the pipe is full.
    """
    parts = [f"answer_{number}() (\n{family.script(questions)}\n)\n" for number, (family, questions) in enumerate(asked.items())]
    parts.append(assign(mark=mark) + _FRAMED)
    calls = [(family, f"framed {number} {family.family}") for number, family in enumerate(asked)]
    meanwhile, *others = ["; ".join(lane) for lane in _lanes([call for call in calls if call[0].when == "meanwhile"]) if lane] or [":"]
    for lane in others:
        meanwhile = f"{{ {lane}; }} | {{ {meanwhile}; cat; }}"
    first, last = ([call for family, call in calls if family.when == when] for when in ("first", "last"))
    parts += [f"{line}\n" for line in (*first, meanwhile, *last, 'echo "$mark end"')]
    return whole("".join(parts))


def _lanes(calls: Sequence[tuple[type[Question[Any]], str]]) -> list[list[str]]:
    """These calls, as they are made one after another. The first lane alone waits for no other, whatever it prints."""
    lanes: list[list[str]] = [[] for _ in range(AT_ONCE)]
    lanes[0] = [call for family, call in calls if family.bulky]
    for call in (call for family, call in calls if not family.bulky):
        min(lanes, key=len).append(call)
    return lanes


def read(asked: Families, mark: str, stdout: str) -> Facts:
    """The facts in the output of `script`. A family that is missing or cut short has no answers: all UNKNOWN.

    What a parser may raise is in `Question.parse`. Anything else is named as a fault of novaops: tests look
    for that, or ask the parser itself.
    """
    answers: dict[Question[Any], Any] = {}
    reasons: dict[str, str] = {}
    sections = _sections(mark, stdout)
    for family, questions in asked.items():
        section = sections.get(family.family)
        if section is None:
            reasons[family.family] = "the host's answer was cut short"
            continue
        reasons[family.family] = section.stderr
        try:
            answers.update(family.parse(questions, section))
        except (ValueError, KeyError, IndexError, RecursionError) as error:
            reasons[family.family] = f"its answer could not be understood ({error}) {section.stderr}"
        except Exception as error:  # noqa: BLE001 - a fault of ours, which must not take the answers of the other families away
            reasons[family.family] = f"novaops itself went wrong with its answer: {type(error).__name__}: {error}. Please report this."
    return Facts(answers, reasons)


def _sections(mark: str, stdout: str) -> dict[str, Section]:
    """What each family said, those left out that were cut short."""
    found: dict[str, Section] = {}
    begun: tuple[str, str] | None = None
    parts = stdout.split(f"{mark} ")[1:]
    for number, part in enumerate(parts, 1):
        head, newline, rest = part.partition("\n")
        status = head.removeprefix("= ")
        if status == head:
            begun = (head, rest)
        elif begun and newline and number < len(parts) and status.isascii() and status.isdecimal():
            name, printed = begun
            found[name] = Section(printed.removesuffix("\n"), rest.strip(), int(status))
            begun = None
    return found
