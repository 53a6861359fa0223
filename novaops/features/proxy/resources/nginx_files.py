"""nginx's files: all of a step are written, or none. NginxReload has nginx test and use them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, FileState, text_at
from novaops.features.proxy.facts.nginx import Nginx, NginxFacts
from novaops.features.proxy.resources.nginx_reload import STALE, WHEN_UNDONE, before_reload
from novaops.model.action import Text, WriteFile, payload
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.resources.file import File
from novaops.shell import lines_of

CONF = "/etc/nginx/conf.d"
OWN = "/etc/nginx/novaops"
SHARED = f"{CONF}/00-novaops.conf"
"""Read before the sites: nginx must know a log format before a log uses it."""
DEFAULT = f"{CONF}/novaops.conf"
"""The default server."""


@dataclass(frozen=True)
class Part:
    """One of the files. `content` gets the facts about nginx and the present text of the file, and gives None for no file."""

    path: str
    content: Callable[[NginxFacts, str], Text | None]
    mode: str = "0644"
    for_workers: bool = False
    """Whether nginx's workers, which are not root, may read it: only for what they open for each request."""
    read_anew: bool = False
    """Whether a change needs no reload: nginx opens it for each request, or does not read it at all."""
    then: tuple[str, ...] = ()
    """What makes a change count, for what something else than nginx reads."""

    who: Callable[[str], tuple[str, ...]] | None = None
    """Reads the names of those whom a file lets in. Names are no secrets: who gains or loses access is said."""
    reached: Callable[[str], tuple[str, ...]] | None = None
    """Reads from where, and under which names, a site is used: what changes of that is said."""

    @property
    def followed_by(self) -> tuple[str, ...]:
        return self.then if self.read_anew else WHEN_UNDONE


@dataclass(frozen=True)
class NginxFiles(Resource):
    """The files in the order in which they are written: a file comes after those that it refers to. NginxReload has to follow."""

    name: str
    parts: tuple[Part, ...]

    @property
    def id(self) -> str:
        return f"nginx:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Nginx(), FileAt(STALE))
        yield from (question for part in self.parts for question in File(part.path, "", then=part.followed_by).questions())
        yield from (question for part in self.parts for question in File(part.path, None, then=part.followed_by).questions())

    def plan(self, facts: Facts) -> Iterable[Step]:
        nginx = facts.known(Nginx())
        files = [(part, self._file(part, nginx, facts)) for part in self.parts]
        steps = [step for _, file in files for step in file.plan(facts)]
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
        changes += (change for part, file in files for change in _access(part, file, facts))
        step = Step(self.id, tuple(changes), tuple(action for step in steps for action in step.actions))
        read_anew = {part.path for part in self.parts if part.read_anew}
        needs_reload = any(isinstance(action, WriteFile) and action.path not in read_anew for action in step.actions)
        yield before_reload(step, facts) if needs_reload else step

    def _mentions(self, complaint: str, facts: Facts) -> bool:
        """Whether nginx complains of something that these files name, such as a certificate that was deleted."""
        found: list[Any] = [facts[FileAt(part.path)] for part in self.parts]
        texts = [(file.content or b"").decode("utf-8", "replace") for file in found if isinstance(file, FileState)]
        return any(f'"{path}"' in text for path in re.findall(r'"(/[^"]+)"', complaint) for text in texts)

    def _file(self, part: Part, nginx: NginxFacts, facts: Facts) -> File:
        old = text_at(part.path, facts)
        group = nginx.worker_group if part.for_workers else "root"
        return File(part.path, part.content(nginx, old), part.mode, group=group, then=part.followed_by)


def _access(part: Part, file: File, facts: Facts) -> Iterable[Change]:
    """Who gains and who loses access by a file, and whose secret is another one."""
    old = text_at(part.path, facts)
    new = "" if file.content is None else payload(file.content).decode("utf-8", "replace")
    for read in (part.who, part.reached if old and new else None):
        before, after = (read(old), read(new)) if read else ((), ())
        if set(before) != set(after):
            yield Change("who may use it", ", ".join(before) or None, ", ".join(after) or None)
    if part.who and (others := _with_another_secret(part.who, old, new)):
        yield Change("who has another secret", None, ", ".join(others))


def _with_another_secret(who: Callable[[str], tuple[str, ...]], old: str, new: str) -> list[str]:
    before, after = ({name: line for line in lines_of(text) for name in who(line)} for text in (old, new))
    return [name for name, line in after.items() if before.get(name, line) != line]


def is_ours(file: str) -> bool:
    return file in {SHARED, DEFAULT} or file.startswith((f"{CONF}/novaops-", f"{OWN}/"))


def site_files(name: str) -> tuple[str, str]:
    """The site's file, and the file of its server for plain http, which only a site with TLS has."""
    return f"{CONF}/novaops-{name}.conf", f"{CONF}/novaops-{name}.http.conf"


def _names_ours(complaint: str) -> bool:
    return any(mark in complaint for mark in (SHARED, DEFAULT, f"{CONF}/novaops-", f"{OWN}/", "/letsencrypt/live/novaops-"))


def no_file(path: str, who: Callable[[str], tuple[str, ...]] | None = None) -> Part:
    return Part(path, lambda _nginx, _old: None, who=who)


def removed(name: str, *paths: str) -> NginxFiles:
    """None of these files. The first one refers to the others."""
    return NginxFiles(name, tuple(map(no_file, paths)))
