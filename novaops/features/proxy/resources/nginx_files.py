"""nginx's files: written together, tested by nginx as part of its whole configuration, and in use by the running nginx, or none of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.unit import UnitNamed
from novaops.features.proxy.facts.nginx import Nginx, NginxFacts
from novaops.model.action import Command, Text, WriteFile
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.shell import sh_file

CONF = "/etc/nginx/conf.d"
OWN = "/etc/nginx/novaops"
SHARED = f"{CONF}/00-novaops.conf"
"""Read before the sites: nginx must know a log format before a log uses it."""
DEFAULT = f"{CONF}/novaops.conf"
"""The default server."""
NO_AUTHORITY = f"{OWN}/no-authority.pem"
"""Beside a folder of authorities: nginx also wants a file."""

TAKE_UP = ("sh", "-c", sh_file(__package__, "take_up.sh"), "take-up")
"""Words that make nginx use its configuration as it is now."""

_RUNS = "systemctl is-active -q nginx.service"

_START = Command(
    ("systemctl", "start", "nginx.service"), holds=_RUNS, undo=Command(("systemctl", "stop", "nginx.service"), holds=f"! {_RUNS}")
)
"""Runs once the files are there, as nginx may not start without them, and before an authority requests what they serve."""


@dataclass(frozen=True)
class Part:
    """One of the files. `content` gets the facts about nginx and the present text of the file, and gives None for no file."""

    path: str
    content: Callable[[NginxFacts, str], Text | None]
    mode: str = "0644"
    for_workers: bool = False
    """Whether nginx's workers, which are not root, may read it: only for what they open for each request."""
    then: tuple[str, ...] = TAKE_UP
    """What makes a change count; nothing for what nginx opens for each request."""


@dataclass(frozen=True)
class NginxFiles(Resource):
    """The files in the order in which they are written: a file comes after those that it refers to."""

    name: str
    parts: tuple[Part, ...]
    serves: bool = True
    """Whether nginx has to run for them, and is started where it does not."""

    @property
    def id(self) -> str:
        return f"nginx:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Nginx(), UnitNamed("nginx.service"))
        yield from (question for part in self.parts for question in File(part.path, "", then=part.then).questions())
        yield from (question for part in self.parts for question in File(part.path, None, then=part.then).questions())

    def plan(self, facts: Facts) -> Iterable[Step]:
        nginx = facts.known(Nginx())
        steps = [step for part in self.parts for step in self._file(part, nginx, facts).plan(facts)]
        if not steps:
            return
        if nginx.broken and not _names_ours(nginx.broken) and not self._mentions(nginx.broken, facts):
            raise Refused(
                f"nginx does not accept its configuration as it is: {nginx.broken}",
                why="With this error nginx neither takes up anything new nor starts again.",
                fix="put that right first; nginx -t shows it",
            )
        changes = [
            replace(change, field=f"{step.resource.rpartition('/')[2]} {change.field}") if len(self.parts) > 1 else change
            for step in steps
            for change in step.changes
            if change.before is not None or change.field in {"file", "content", "then"}  # the permissions of a new file say nothing
        ]
        # nginx reloads after each file, so that an undo, which goes the other way round, also ends with a reload.
        actions = [action for step in steps for action in step.actions]
        unit = facts[UnitNamed("nginx.service")]
        written = any(isinstance(action, WriteFile) and action.content is not None for action in actions)
        if self.serves and written and (unit is Missing.ABSENT or unit.active != "active"):
            actions.append(_START)
        yield Step(self.id, tuple(changes), tuple(actions))

    def _mentions(self, complaint: str, facts: Facts) -> bool:
        """Whether nginx complains of something that these files name, such as a certificate that was deleted."""
        found: list[Any] = [facts[FileAt(part.path)] for part in self.parts]
        texts = [(file.content or b"").decode("utf-8", "replace") for file in found if isinstance(file, FileState)]
        return any(f'"{path}"' in text for path in re.findall(r'"(/[^"]+)"', complaint) for text in texts)

    def _file(self, part: Part, nginx: NginxFacts, facts: Facts) -> File:
        found = facts[FileAt(part.path)]
        old = "" if found is Missing.ABSENT else (found.content or b"").decode("utf-8", "replace")
        group = nginx.worker_group if part.for_workers else "root"
        return File(part.path, part.content(nginx, old), part.mode, group=group, then=part.then)


def is_ours(file: str) -> bool:
    return file in {SHARED, DEFAULT} or file.startswith((f"{CONF}/novaops-", f"{OWN}/"))


def site_files(name: str) -> tuple[str, str]:
    """The site's file, and the file of its server for plain http, which only a site with TLS has."""
    return f"{CONF}/novaops-{name}.conf", f"{CONF}/novaops-{name}.http.conf"


def _names_ours(complaint: str) -> bool:
    return any(mark in complaint for mark in (SHARED, DEFAULT, f"{CONF}/novaops-", f"{OWN}/", "/letsencrypt/live/novaops-"))


def no_file(path: str) -> Part:
    return Part(path, lambda _nginx, _old: None)


def removed(name: str, *paths: str) -> NginxFiles:
    """None of these files. The first one refers to the others."""
    return NginxFiles(name, tuple(map(no_file, paths)))
