"""The host's name and domain, which the wizard of the first login would have asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.facts.cloud_init import MANAGES_HOSTS
from novaops.facts.file import FileAt, FileState
from novaops.facts.machine import Machine
from novaops.model.action import Action, Command, WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.shell import quote, whole_lines

HOSTS = "/etc/hosts"
CLOUD_INIT = "/etc/cloud/cloud.cfg.d/99-novaops-eve.cfg"
TEMPLATE = "/etc/cloud/templates/hosts.debian.tmpl"
"""What cloud-init makes HOSTS of at each boot, where it is told to (manage_etc_hosts), as on DigitalOcean. The reboot of an installation is one."""
_COMMENT = "# managed by novaops (novaops eve install)"


@dataclass(frozen=True)
class Hostname(Resource):
    name: str
    domain: str

    @property
    def id(self) -> str:
        return "eve:hostname"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Machine(), FileAt(HOSTS), FileAt(CLOUD_INIT), FileAt(TEMPLATE), MANAGES_HOSTS)

    def plan(self, facts: Facts) -> Iterator[Step]:
        changes: list[Change] = []
        actions: list[Action] = []
        if (now := facts.known(Machine()).hostname) != self.name:
            changes.append(Change("hostname", now, self.name))
            actions.append(_set(self.name, _set(now)))
        for path, name in ((HOSTS, "hosts"), (TEMPLATE, "hosts of cloud-init")):
            if path == HOSTS or (facts.known(MANAGES_HOSTS) and facts[FileAt(path)] is not Missing.ABSENT):
                for write in self._with_line(path, facts):
                    changes.append(Change(name, None, self._line))
                    actions.append(write)
        for step in File(CLOUD_INIT, f"{_COMMENT}\npreserve_hostname: true\n").plan(facts):
            changes.append(Change("cloud-init", None, "leaves the name as it is"))
            actions += [Command(("mkdir", "-p", "--", CLOUD_INIT.rpartition("/")[0])), *step.actions]
        if changes:
            yield Step(self.id, tuple(changes), tuple(actions))

    def _with_line(self, path: str, facts: Facts) -> Iterator[WriteFile]:
        found = facts[FileAt(path)]
        old = found if isinstance(found, FileState) else None
        text = ((old.content if old else None) or b"").decode("utf-8", "surrogateescape")
        if (wanted := self._hosts(text)) != text:
            kept = (old.mode, old.owner, old.group) if old else ("0644", "root", "root")
            content = wanted.encode("utf-8", "surrogateescape")
            yield WriteFile(path, content, *kept, before=old.content if old else None, permissions_before=kept if old else None)

    @property
    def _line(self) -> str:
        names = f"{self.name}.{self.domain} {self.name}" if self.domain else self.name
        return f"127.0.1.1 {names} {_COMMENT}"

    def _hosts(self, text: str) -> str:
        """Its own line is the one with the comment; the others stay. None is needed where another one says the same: cloud-init takes comments away."""
        if self._line in text.split("\n"):
            return text
        others = "".join(line for line in whole_lines(text) if not line.rstrip("\n").endswith(_COMMENT))
        if any(_words(line) == _words(self._line) for line in others.split("\n")):
            return others
        return f"{others}{'' if not others or others.endswith(chr(10)) else chr(10)}{self._line}\n"


def _words(line: str) -> list[str]:
    return line.partition("#")[0].split()


def _set(name: str, undo: Command | None = None) -> Command:
    return Command(("hostnamectl", "set-hostname", "--", name), holds=f'[ "$(uname -n)" = {quote(name)} ]', undo=undo)
