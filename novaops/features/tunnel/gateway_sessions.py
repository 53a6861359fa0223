"""What frees the port of a reverse tunnel on its gateway when the client is gone: a service of the gateway's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from novaops.features.tunnel.facts.ends import AuthorizedKeys
from novaops.features.tunnel.paths import FOLDER, SESSIONS_UNIT, UNITS, USER
from novaops.model.action import Command
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question
from novaops.resources.directory import Directory
from novaops.resources.file import File
from novaops.resources.unit import OwnUnit, Unit

HEARD_S = 35
"""Seconds without a sign of life after which a client is gone. It sends one every 10 s, and itself gives up after 40."""

NO_LISTENER = 'permitlisten="localhost:1"'
"""sshd has no word for "no port at all"; port 1 is one that only root may have (authorized_keys, sshd(8))."""

_HEAD = "managed by novaops: reverse tunnels that end here"
_SCRIPT = f"{FOLDER}/gateway.sessions"
_UNIT_FILE = f"{UNITS}/{SESSIONS_UNIT}"
_RELOAD = ("systemctl", "daemon-reload")
_RESTART = ("sh", "-c", 'systemctl daemon-reload && systemctl try-restart -- "$0"', SESSIONS_UNIT)


def sessions(templates: Any) -> Iterator[Resource]:
    """The service, running."""
    script = templates.render("tunnel/sessions.j2", head=_HEAD, user=USER, limit=HEARD_S)
    yield from (Directory("/etc/novaops"), Directory(FOLDER))
    # First the unit's file: only what systemd knows can be restarted.
    yield File(_UNIT_FILE, templates.render("tunnel/sessions.service.j2", head=_HEAD, script=_SCRIPT), then=_RESTART)
    yield File(_SCRIPT, script, check=("sh", "-n", "{}"), then=_RESTART)
    yield OwnUnit(SESSIONS_UNIT)


_NO_FOLDER = Command(
    ("sh", "-c", 'rmdir -- "$0" "${0%/*}" 2>/dev/null; true', FOLDER),
    undo=Command(("install", "-d", "-m", "0755", "--", FOLDER), holds=f"[ -d {FOLDER} ]"),
)
"""Without the folder where nothing else is in it; undo needs it again before it puts the files back."""


@dataclass(frozen=True)
class SessionsRemoved(Resource):
    """No such service, once no key may listen here any more."""

    yields_to_present: ClassVar[bool] = True

    @property
    def id(self) -> str:
        return self._parts[0].id

    @property
    def _parts(self) -> tuple[Resource, ...]:
        files = (File(path, None, then=_RELOAD) for path in (_UNIT_FILE, _SCRIPT))
        return (Unit(SESSIONS_UNIT, enabled=False, active=False), *files)

    def questions(self) -> Iterable[Question[Any]]:
        yield AuthorizedKeys()
        for part in self._parts:
            yield from part.questions()

    def plan(self, facts: Facts) -> Iterable[Step]:
        lines = facts.known(AuthorizedKeys()).lines
        if any("permitlisten=" in line and NO_LISTENER not in line for line in lines):
            return
        steps = [replace(step, resource=self.id) for part in self._parts for step in part.plan(facts)]
        if steps:
            steps[-1] = replace(steps[-1], actions=(*steps[-1].actions, _NO_FOLDER))
        yield from steps
