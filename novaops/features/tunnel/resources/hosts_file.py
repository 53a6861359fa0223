"""Lines of a tunnel in /etc/hosts, and in what cloud-init makes it of: names that lead to listeners of the tunnel on this host.
Every other byte stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.cloud_init import TEMPLATES, HostsTemplate
from novaops.features.tunnel.facts.state import FRESH, PROBES
from novaops.features.tunnel.paths import config_file, hosts_comment, unit
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.etc_hosts import HOSTS, hosts_files, hosts_questions, hosts_text, write_hosts
from novaops.shell import sh_file, whole_lines

_TUNNEL_ANSWERS = f"{PROBES}fresh={FRESH}\n{sh_file(__package__, 'tunnel_answers.sh')}"
"""A name that leads into a dead tunnel is worse than one that does not lead into it."""


@dataclass(frozen=True)
class HostsEntries(Resource):
    name: str
    entries: tuple[tuple[str, str], ...]
    """Address and name of each; none to remove the lines of the tunnel."""

    @property
    def id(self) -> str:
        return f"hosts:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        return hosts_questions()

    def refuse_foreign_lines(self, facts: Facts) -> None:
        """Raises Refused where a line that is not the tunnel's has one of the names, now or after a boot."""
        wanted = {host for _, host in self.entries}
        for path in hosts_files(facts):
            for number, line in enumerate(hosts_text(path, facts).split("\n"), 1):
                words = line.partition("#")[0].split()
                named = wanted & {word.lower() for word in words[1:]}
                if named and not self._is_own(line):
                    raise Refused(
                        f"{self.name}: {path}:{number} says where {min(named)} leads: {' '.join(words)}",
                        why="That line is not of this tunnel, and novaops does not change what others wrote.",
                        fix="take it out, or leave transparent: out",
                    )

    def plan(self, facts: Facts) -> Iterable[Step]:
        self.refuse_foreign_lines(facts)
        changes: list[Change] = []
        actions: list[Action] = []
        for path in (HOSTS, *TEMPLATES.values()):
            text = hosts_text(path, facts)
            own = [line for line in text.split("\n") if self._is_own(line)]
            wanted = self._lines if path in hosts_files(facts) else []
            if own != wanted:
                field = "line" if path == HOSTS else "line of cloud-init's template"
                changes.append(Change(field, "; ".join(own) or None, "; ".join(wanted) or None))
                actions.append(write_hosts(path, self._with_lines(text, wanted), facts))
        if self.entries and actions:
            words = ("sh", "-c", _TUNNEL_ANSWERS, "tunnel-answers", config_file(self.name, "forwards"), unit(self.name))
            actions.insert(0, Command(words))
        if actions:
            yield Step(self.id, tuple(changes), tuple(actions))

    def notes(self, facts: Facts) -> Iterator[str]:
        template = facts[HostsTemplate()]
        if self.entries and template is not Missing.ABSENT and template not in hosts_files(facts):
            yield (
                f"cloud-init writes {HOSTS} anew at each boot (manage_etc_hosts), from a template that is not at {template}:"
                " the name would lead past the tunnel until the next tunnel up"
            )

    @property
    def _lines(self) -> list[str]:
        return [f"{address} {host} {hosts_comment(self.name)}" for address, host in self.entries]

    def _with_lines(self, text: str, wanted: list[str]) -> str:
        kept = "".join(line for line in whole_lines(text) if not self._is_own(line))
        if wanted and kept and not kept.endswith("\n"):
            kept += "\n"
        return kept + "".join(f"{line}\n" for line in wanted)

    def _is_own(self, line: str) -> bool:
        return line.rstrip("\r\n").endswith(f" {hosts_comment(self.name)}")
