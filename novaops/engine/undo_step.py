"""The undoing of a step of an earlier run: its files as they were before, its commands undone by their `undo` commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from novaops.errors import HostFailed, Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.succeeds import Succeeds
from novaops.facts.value import NOTHING, ValueOf
from novaops.model.action import Action, Command, Restore, SetValue
from novaops.model.journal import RUNS
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Question
from novaops.shell import quote


def is_undoable(action: Mapping[str, Any]) -> bool:
    """Whether undo can do anything about an action, as the journal has it."""
    return action["kind"] in {"file", "value"} or bool(action.get("undo"))


@dataclass(frozen=True, eq=False)
class UndoStep(Resource):
    run: str
    """The run whose step it is."""
    step: Mapping[str, Any]
    """As the run's journal has it."""
    applied: tuple[int, ...]
    """The numbers of its actions that are still applied."""
    later: Mapping[str, str] = field(default_factory=dict)
    """Files that a later run has changed again, and the id of that run."""
    earlier: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Files that earlier steps of the same run had written too, and the sha256 of each before them. A file that has it is undone."""
    made: Sequence[str] = ()
    """The files and directories that the run has made."""
    tests: Sequence[str] = ()
    """What tells of each other command of the run that it is undone. Files that commands have made are known to nobody else."""

    @property
    def id(self) -> str:
        return str(self.step["resource"])

    @property
    def is_undoable(self) -> bool:
        """Whether anything of it can be undone."""
        return any(map(is_undoable, self._actions()))

    def questions(self) -> Iterable[Question[Any]]:
        for action in self._actions():
            if action["kind"] == "file":
                yield FileAt(action["path"])
            elif action["kind"] == "value":
                yield self._value(action)
            elif path := directory_of(action):
                yield from (_gone(path), self._in_use(path), *map(Succeeds, self.tests))
            elif action.get("undo") and action["undo"]["holds"]:
                yield Succeeds(action["undo"]["holds"])

    def plan(self, facts: Facts) -> Iterable[Step]:
        pairs: list[tuple[Change, Action]] = []
        for action in self._actions():
            pairs += self._back(action, facts, after_others=bool(pairs))
        if pairs:
            yield Step(self.id, tuple(change for change, _ in pairs), tuple(action for _, action in pairs), self._risk)

    @property
    def _risk(self) -> Risk:
        """Undoing what could lock somebody out could do so too. It never loses data."""
        return Risk.LOCKOUT if self.step["risk"] == Risk.LOCKOUT.value else Risk.NONE

    def notes(self, facts: Facts) -> Iterator[str]:
        del facts
        if self.step["cannot_undo"] and any(not a.get("undo") and a["kind"] == "command" for a in self._actions()):
            yield f"cannot be undone: {self.step['cannot_undo']}"

    def verify_works(self, facts: Facts) -> None:
        """Asked when all else is undone."""
        for path in filter(None, map(directory_of, self._actions())):
            if facts.known(self._in_use(path)):
                raise HostFailed(
                    f"{path} stays: Directory not empty",
                    why="Something is in it that the run did not put there. All else of the run is undone.",
                    fix=f"move that away, and then rmdir {quote(path)}; or leave it as it is",
                )

    def _actions(self) -> list[Mapping[str, Any]]:
        """The last one first."""
        return [self.step["actions"][index] for index in reversed(self.applied)]

    def _back(self, action: Mapping[str, Any], facts: Facts, *, after_others: bool) -> Iterator[tuple[Change, Action]]:
        """Whether a command is undone may change with what is undone before it: then the host itself looks, at that moment."""
        if action["kind"] == "file":
            yield from self._file_back(action, facts)
        elif action["kind"] == "value":
            yield from self._value_back(action, facts)
        elif path := directory_of(action):
            yield from self._directory_back(action, path, facts, after_others=after_others)
        elif (undo := action.get("undo")) and undo["holds"] and (after_others or not facts.known(Succeeds(undo["holds"]))):
            batch = action.get("batch", False)
            again = Command(tuple(action["words"]), holds=action["holds"], batch=batch) if action["holds"] else None
            command = Command(tuple(undo["words"]), holds=undo["holds"], undo=again, batch=batch)
            yield Change("undo", None, str(command)), command

    def _in_use(self, path: str) -> Succeeds:
        """Whether there is something in the directory that undoing the run leaves there."""
        ours = " ".join(f"-e {quote(one)}" for one in (path, *self.made))
        return Succeeds(f"find {quote(path)} -mindepth 1 -print0 | grep -z -q -v -x -F {ours}")

    def _directory_back(self, action: Mapping[str, Any], path: str, facts: Facts, *, after_others: bool) -> Iterator[tuple[Change, Action]]:
        """One that is in use stays. While commands are still to be undone, the host itself looks once more when its turn comes."""
        gone, in_use = _gone(path), self._in_use(path)
        emptied = after_others or not all(facts.known(Succeeds(test)) for test in self.tests)
        if facts.known(gone) or (facts.known(in_use) and not emptied):
            return
        again = Command(tuple(action["words"]), holds=action["holds"]) if action["holds"] else None
        command = Command(tuple(action["undo"]["words"]), holds=f"{gone.command} || {{ {in_use.command}; }}", undo=again)
        yield Change("undo", None, str(command)), command

    def _file_back(self, action: Mapping[str, Any], facts: Facts) -> Iterator[tuple[Change, Action]]:
        path = action["path"]
        found = facts[FileAt(path)]
        now = found.digest if isinstance(found, FileState) else ""
        permissions = (found.mode, found.owner, found.group) if isinstance(found, FileState) else None
        before, after = (tuple(known) if (known := action.get(f"rights_{when}")) else None for when in ("before", "after"))
        if (now == action["before"] and before in {None, permissions}) or now in self.earlier.get(path, ()):
            return
        if now != action["after"] and path in self.later:
            raise Refused(
                f"{path} was changed again by run {self.later[path]}", fix=f"undo that run first: novaops undo HOST {self.later[path]}"
            )
        if now != action["after"]:
            raise Refused(
                f"{path} was changed since run {self.run}",
                why="Putting the old one back would lose that change.",
                fix=f"what it was before the run is kept on the host: {RUNS}/{self.run}/kept/{action['kept']}",
            )
        kept = f"{RUNS}/{self.run}/kept/{action['kept']}" if action["before"] else ""
        states = {"expected": action["after"], "result": action["before"], "expected_permissions": after, "result_permissions": before}
        back = Restore(path, kept, **states, then=tuple(action["then"]))
        yield Change("file", "as run " + self.run + " left it", "as it was before" if kept else "gone"), back

    def _value(self, action: Mapping[str, Any]) -> ValueOf:
        return ValueOf(action["read"], f"{RUNS}/{self.run}/kept/{action['kept']}")

    def _value_back(self, action: Mapping[str, Any], facts: Facts) -> Iterator[tuple[Change, Action]]:
        question = self._value(action)
        value = facts.known(question)
        if value.now in {value.before, NOTHING}:
            return
        if value.now != action["result"]:
            raise Refused(
                f"{action['what']} was changed since run {self.run}",
                why="Putting the old one back would lose that change.",
                fix=f"what it was before the run is kept on the host: {question.kept}",
            )
        back = SetValue(
            *(action["what"], action["read"], action["keep"], tuple(action["write"])),
            value=None,
            expected=action["result"],
            result=value.before,
            kept=question.kept,
        )
        yield Change("value", f"as run {self.run} left it", "as it was before"), back


def directory_of(action: Mapping[str, Any]) -> str:
    """The directory that undoing the action takes away; "" for one that does something else."""
    words = (action.get("undo") or {}).get("words", [])
    return words[2] if words[:2] == ["rmdir", "--"] and len(words) == 3 else ""  # noqa: PLR2004 - and the path


def _gone(path: str) -> Succeeds:
    return Succeeds(f"[ ! -d {quote(path)} ]")
