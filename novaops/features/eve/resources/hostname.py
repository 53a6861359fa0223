"""The host's name and domain, which the wizard of the first login would have asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.facts.file import FileAt
from novaops.facts.machine import Machine
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.resources.etc_hosts import HOSTS, hosts_files, hosts_questions, hosts_text, write_hosts
from novaops.resources.file import File
from novaops.shell import quote, whole_lines

CLOUD_INIT = "/etc/cloud/cloud.cfg.d/99-novaops-eve.cfg"
_COMMENT = "# managed by novaops (novaops eve install)"


@dataclass(frozen=True)
class Hostname(Resource):
    name: str
    domain: str

    @property
    def id(self) -> str:
        return "eve:hostname"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Machine(), FileAt(CLOUD_INIT))
        yield from hosts_questions()

    def plan(self, facts: Facts) -> Iterator[Step]:
        changes: list[Change] = []
        actions: list[Action] = []
        if (now := facts.known(Machine()).hostname) != self.name:
            changes.append(Change("hostname", now, self.name))
            actions.append(_set(self.name, _set(now)))
        for path in hosts_files(facts):  # the reboot of an installation is one of those at which cloud-init makes the file anew
            text = hosts_text(path, facts)
            if (wanted := self._hosts(text)) != text:
                changes.append(Change("hosts" if path == HOSTS else "hosts of cloud-init", None, self._line))
                actions.append(write_hosts(path, wanted, facts))
        for step in File(CLOUD_INIT, f"{_COMMENT}\npreserve_hostname: true\n").plan(facts):
            changes.append(Change("cloud-init", None, "leaves the name as it is"))
            actions += [Command(("mkdir", "-p", "--", CLOUD_INIT.rpartition("/")[0])), *step.actions]
        if changes:
            yield Step(self.id, tuple(changes), tuple(actions))

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
