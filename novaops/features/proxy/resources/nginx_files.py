"""Files of nginx's: accepted by nginx as a part of the whole configuration, and taken up by the nginx that runs, or none of them."""

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

CONF = "/etc/nginx/conf.d"
OWN = "/etc/nginx/novaops"
SHARED = f"{CONF}/00-novaops.conf"
"""Read before the sites: nginx wants to know a log's format before the log."""
DEFAULT = f"{CONF}/novaops.conf"
"""What answers for no site."""

_TAKE_UP = r"""command -v nginx >/dev/null || exit 0
said=$(nginx -t 2>&1) || { printf '%s\n' "$said" | grep -E '\[(emerg|crit|alert)\]' || printf '%s\n' "$said"; exit 1; }
children() { cat "/proc/$1/task/$1/children" 2>/dev/null || pgrep -P "$1"; }
serves() { ! tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -q 'worker process is shutting down' && [ -e "/proc/$1/cmdline" ]; }
systemctl is-active -q nginx.service || exit 0
main=$(systemctl show -p MainPID --value nginx.service)
before=" $(children "$main" | tr '\n' ' ') "
marked=$(wc -c </var/log/nginx/error.log 2>/dev/null || echo 0)
systemctl reload nginx.service || exit
tries=0
while [ $tries -lt 100 ]; do
  new=0 old=0
  for worker in $(children "$main"); do
    case $before in
      *" $worker "*) ! serves "$worker" || old=1 ;;
      *) new=1 ;;
    esac
  done
  [ "$new$old" != 10 ] || exit 0
  tries=$((tries + 1)); sleep 0.1
done
echo 'nginx was told to read its configuration again, and goes on with the old one'
! tail -c +"$((marked + 1))" /var/log/nginx/error.log | grep -q 'bind() to .*(98' || echo 'a restart of nginx may do it, where nginx itself has the port: from one address to all of them, or back, it cannot reload'
tail -c +"$((marked + 1))" /var/log/nginx/error.log | grep -E '\[(emerg|alert|crit)\]' | tail -n 1
exit 1"""
"""A reload only asks: nginx goes on as before when, say, it does not get a port. So wait until new workers serve, and no old one does.
An nginx that does not run is not started here: taking a site away, or an undo, is no reason to."""

TAKEN_UP = ("sh", "-c", _TAKE_UP, "take-up")
"""Words that make nginx's configuration count."""

_RUNS = "systemctl is-active -q nginx.service"

_START = Command(
    ("systemctl", "start", "nginx.service"), holds=_RUNS, undo=Command(("systemctl", "stop", "nginx.service"), holds=f"! {_RUNS}")
)
"""After files that nginx may not have been able to start without, and before an authority asks for what they say."""


@dataclass(frozen=True)
class Part:
    """One of the files. `content` sees nginx and the text that is there; None for no file."""

    path: str
    content: Callable[[NginxFacts, str], Text | None]
    mode: str = "0644"
    for_workers: bool = False
    """Whether nginx's workers may read it, who are not root: only for what they open with each request."""
    read_anew: bool = False
    """Whether nginx opens it with each request, and need not be told of a change."""


@dataclass(frozen=True)
class NginxFiles(Resource):
    """In the order in which they are written: what refers to others after them."""

    name: str
    parts: tuple[Part, ...]
    serves: bool = True
    """Whether nginx has to run for what they say, and is started where it does not."""

    @property
    def id(self) -> str:
        return f"nginx:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Nginx(), UnitNamed("nginx.service"))
        yield from (question for part in self.parts for question in File(part.path, "", then=TAKEN_UP).questions())
        yield from (question for part in self.parts for question in File(part.path, None, then=TAKEN_UP).questions())

    def plan(self, facts: Facts) -> Iterable[Step]:
        nginx = facts.known(Nginx())
        steps = [step for part in self.parts for step in self._file(part, nginx, facts).plan(facts)]
        if not steps:
            return
        if nginx.broken and not _names_ours(nginx.broken) and not self._mentions(nginx.broken, facts):
            raise Refused(
                f"nginx does not accept its configuration as it is: {nginx.broken}",
                why="With that, nothing new would count, and nginx does not start again.",
                fix="put that right first; nginx -t shows it",
            )
        changes = [
            replace(change, field=f"{step.resource.rpartition('/')[2]} {change.field}") if len(self.parts) > 1 else change
            for step in steps
            for change in step.changes
            if change.before is not None or change.field in {"file", "content", "then"}  # the rights of what is new say nothing
        ]
        # Each of them is taken up by itself, so that an undo, which goes the other way round, ends with what it put back last.
        actions = [action for step in steps for action in step.actions]
        unit = facts[UnitNamed("nginx.service")]
        written = any(isinstance(action, WriteFile) and action.content is not None for action in actions)
        if self.serves and written and (unit is Missing.ABSENT or unit.active != "active"):
            actions.append(_START)
        yield Step(self.id, tuple(changes), tuple(actions))

    def _mentions(self, complaint: str, facts: Facts) -> bool:
        """Whether these files name what nginx complains of, such as a certificate that is not there any more."""
        found: list[Any] = [facts[FileAt(part.path)] for part in self.parts]
        texts = [(file.content or b"").decode("utf-8", "replace") for file in found if isinstance(file, FileState)]
        return any(f'"{path}"' in text for path in re.findall(r'"(/[^"]+)"', complaint) for text in texts)

    def _file(self, part: Part, nginx: NginxFacts, facts: Facts) -> File:
        found = facts[FileAt(part.path)]
        old = "" if found is Missing.ABSENT or not isinstance(found, FileState) else (found.content or b"").decode("utf-8", "replace")
        group = nginx.worker_group if part.for_workers else "root"
        return File(part.path, part.content(nginx, old), part.mode, group=group, then=() if part.read_anew else TAKEN_UP)


def is_ours(file: str) -> bool:
    return file in {SHARED, DEFAULT} or file.startswith((f"{CONF}/novaops-", f"{OWN}/"))


def site_files(name: str) -> tuple[str, str]:
    """The site, and with TLS what answers plain http."""
    return f"{CONF}/novaops-{name}.conf", f"{CONF}/novaops-{name}.http.conf"


def _names_ours(complaint: str) -> bool:
    return any(mark in complaint for mark in (SHARED, DEFAULT, f"{CONF}/novaops-", f"{OWN}/", "/letsencrypt/live/novaops-"))


def gone(name: str, *paths: str) -> NginxFiles:
    """None of these files; the first one refers to the others."""
    return NginxFiles(name, tuple(Part(path, lambda _nginx, _old: None) for path in paths))
