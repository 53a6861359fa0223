"""Compute the steps from facts and desired resources. Pure: the same facts always give the same plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from novaops.errors import HostFailed, Refused, WaitingForPeer
from novaops.facts.file import FileAt, FileState
from novaops.model.action import Restore, WriteFile, payload
from novaops.model.plan import FreshLogin, Note, Plan, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question


def make_plan(resources: Sequence[Resource], facts: Facts) -> Plan:
    """The steps that lead from `facts` to `resources`, in the order the resources are written.

    Raises HostFailed when a fact that is needed could not be read, InventoryError when resources contradict each other.
    """
    steps: list[Step] = []
    refusals: list[tuple[str, Refused]] = []
    notes: list[Note] = []
    waits: list[tuple[str, WaitingForPeer]] = []
    claimed: dict[str, str] = {}
    for resource in resources:
        try:
            _not_claimed(resource, facts, claimed)  # first: its plan would show what is only foreseen as if it were on the host
            made = tuple(resource.plan(facts))
            notes.extend(_notes(resource, facts))
        except Refused as refusal:
            refusals.append((resource.id, refusal))
        except WaitingForPeer as wait:
            waits.append((resource.id, wait))
        else:
            steps.extend(made)
            facts = _predict(resource, made, facts)
    unproven = () if steps or refusals or waits else tuple(_unproven(resources, facts))
    return Plan(tuple(dict.fromkeys(r.id for r in resources)), tuple(steps), tuple(refusals), tuple(notes), unproven, tuple(waits))


def _unproven(resources: Iterable[Resource], facts: Facts) -> Iterator[tuple[str, HostFailed]]:
    """What is as wanted and does not work, with the reason."""
    for resource in resources:
        try:
            resource.verify_works(facts)
        except HostFailed as failure:
            yield resource.id, failure


def _not_claimed(resource: Resource, facts: Facts, claimed: dict[str, str]) -> None:
    """Raises Refused when another resource takes the same thing for itself."""
    for thing in resource.exclusive_keys(facts):
        if claimed.setdefault(thing, resource.id) != resource.id:
            raise Refused(f"{thing} is wanted for both {claimed[thing]} and {resource.id}", fix="change one of the two in the inventory")


def _predict(resource: Resource, steps: Sequence[Step], facts: Facts) -> Facts:
    """The facts as they will be after the steps, where a later resource rests on them: two lines may go into one file."""
    for action in (action for step in steps for action in step.actions):
        match action:
            case WriteFile(path=path, content=None) | Restore(path=path, result=""):
                facts = facts.but(FileAt(path), Missing.ABSENT)
            case WriteFile(path=path, content=content) if content is not None:
                facts = facts.but(FileAt(path), FileState("regular file", action.mode, action.owner, action.group, payload(content)))
            case Restore(path=path):
                mode, owner, group = action.result_permissions or ("", "", "")
                facts = facts.but(FileAt(path), FileState("regular file", mode, owner, group, predicted_digest=action.result))
    return resource.predict(facts)


def _notes(resource: Resource, facts: Facts) -> Iterator[Note]:
    yield from (Note(resource.id, text) for text in resource.notes(facts))


def guarded_ranges(steps: Sequence[Step]) -> list[range]:
    """The numbers of the steps that are done under guard, neighbours together."""
    found: list[range] = []
    for number, step in enumerate(steps):
        if step.risk is Risk.LOCKOUT:
            begin = found.pop().start if found and found[-1].stop == number else number
            found.append(range(begin, number + 1))
    return found


def first_undone(steps: Sequence[Step]) -> list[int]:
    """For each step, the number of the first one that is undone when it fails: the step itself, or the first of those done together."""
    firsts = list(range(len(steps)))
    for word in dict.fromkeys(step.together for step in steps if step.together):
        numbers = [number for number, step in enumerate(steps) if step.together == word]
        together = slice(numbers[0], numbers[-1] + 1)
        firsts[together] = [min(firsts[numbers[0]], first) for first in firsts[together]]
    return firsts


def fresh_logins(steps: Sequence[Step]) -> tuple[FreshLogin, ...]:
    """The logins by which these steps are confirmed, each once."""
    return tuple(dict.fromkeys(login for step in steps for login in step.fresh_logins)) or (FreshLogin(),)


def questions_of(resources: Iterable[Resource]) -> tuple[Question[Any], ...]:
    """Every question of every resource, each once."""
    return tuple(dict.fromkeys(question for resource in resources for question in resource.questions()))


def peer_questions_of(resources: Iterable[Resource]) -> dict[str, tuple[Question[Any], ...]]:
    """The questions that the resources ask of other hosts, by host name."""
    asked: dict[str, dict[Question[Any], None]] = {}
    for resource in resources:
        for peer, question in resource.peer_questions():
            asked.setdefault(peer, {})[question] = None
    return {peer: tuple(questions) for peer, questions in asked.items()}
