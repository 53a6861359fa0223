"""One reload of nginx for all that a run changes for it.

Each step that changes nginx's files first writes a note that nginx has not taken them up. The last one has nginx test and take up
everything, and removes the note. All of these steps are done together: where nginx does not accept what it gets, all of it is undone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import HostFailed
from novaops.facts.file import FileAt, FileState
from novaops.facts.unit import UnitNamed
from novaops.features.proxy.facts.nginx import Nginx
from novaops.model.action import Command, WriteFile
from novaops.model.plan import Change, Resource, Step, Wrapped
from novaops.model.question import Facts, Missing, Question
from novaops.shell import sh_file

STALE = "/run/novaops-nginx-stale"
"""The note. It does not outlive a reboot: then nginx starts with the files as they are."""

TAKE_UP = ("sh", "-c", sh_file(__package__, "take_up.sh"), "take-up")
"""Words that make nginx use its configuration as it is now."""

_NOTE = "nginx has not taken up what a run of novaops has changed, beginning with "

WHEN_UNDONE = ("sh", "-c", f"[ -e {STALE} ] || {{ {TAKE_UP[2]}\n}}", "take-up")
"""Follows each file. While the note is there, as in a run, nothing is done. A later `novaops undo` restores the files without a note."""

_RUNS = "systemctl is-active -q nginx.service"

_START = Command(
    ("systemctl", "start", "nginx.service"), holds=_RUNS, undo=Command(("systemctl", "stop", "nginx.service"), holds=f"! {_RUNS}")
)
"""Runs once the files are there, as nginx may not start without them, and before an authority requests what they serve."""


def before_reload(step: Step, facts: Facts) -> Step:
    """The step, which changes something for nginx, with the note before it. `facts` are those it was planned on, with FileAt(STALE)."""
    found = facts[FileAt(STALE)]
    if isinstance(found, FileState):
        return replace(step, together=_beginning(found))
    note = WriteFile(STALE, f"{_NOTE}{step.resource}\n", then=WHEN_UNDONE)
    return replace(step, actions=(note, *step.actions), together=step.resource)


def _beginning(note: FileState) -> str:
    """The resource that wrote the note. Its step and those up to the reload are done together; what comes later is not."""
    return (note.content or b"").decode("utf-8", "replace").removeprefix(_NOTE).strip()


@dataclass(frozen=True)
class BeforeReload(Wrapped):
    """Something that changes what nginx reads."""

    resource: Resource

    def questions(self) -> Iterable[Question[Any]]:
        yield from (FileAt(STALE), *self.resource.questions())

    def plan(self, facts: Facts) -> Iterable[Step]:
        return (before_reload(step, facts) for step in self.resource.plan(facts))


@dataclass(frozen=True)
class NginxReload(Resource):
    """What is changed for nginx by the resources before this one is in use."""

    why: str = ""
    serves: bool = True
    """Whether nginx has to run, and is started where it does not."""
    settles: bool = True
    """Whether the changes stay from here on. Where they do not, `Settled` has to follow: what fails before it undoes them too."""

    @property
    def id(self) -> str:
        return f"nginx:(reload{self.why})"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (FileAt(STALE), UnitNamed("nginx.service"), Nginx())

    def plan(self, facts: Facts) -> Iterable[Step]:
        note, unit = facts[FileAt(STALE)], facts[UnitNamed("nginx.service")]
        if not isinstance(note, FileState):
            return
        starts = (_START,) if self.serves and (unit is Missing.ABSENT or unit.active != "active") else ()
        forget = (_forget(note),) if self.settles else ()
        change = Change("nginx", "with the files of before", "with those that are there")
        yield Step(self.id, (change,), (Command(TAKE_UP), *starts, *forget), together=_beginning(note))

    def verify_works(self, facts: Facts) -> None:
        """Raises HostFailed where the sites answer by a configuration that nginx has read before, and would not read again."""
        if self.serves and self.settles and (complaint := facts.known(Nginx()).broken):
            raise HostFailed(
                f"nginx does not accept its configuration as it is: {complaint}",
                why="It goes on with what it has read before. It would not start again, after a reboot either, and takes up no renewed certificate.",
                fix="put that right; nginx -t shows it",
            )


@dataclass(frozen=True)
class Settled(Resource):
    """What nginx has taken up before stays, whatever fails from here on."""

    why: str

    @property
    def id(self) -> str:
        return f"nginx:(settled{self.why})"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(STALE)

    def plan(self, facts: Facts) -> Iterable[Step]:
        note = facts[FileAt(STALE)]
        if isinstance(note, FileState):
            yield Step(self.id, (Change("nginx", "may go back", "stays with these files"),), (_forget(note),), together=_beginning(note))


def _forget(note: FileState) -> WriteFile:
    return WriteFile(STALE, None, before=note.content, permissions_before=(note.mode, note.owner, note.group))
