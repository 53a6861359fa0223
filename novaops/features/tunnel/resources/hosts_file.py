"""Lines of a tunnel in /etc/hosts: names that lead to listeners of the tunnel on this host. Every other byte stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.cloud_init import MANAGES_HOSTS
from novaops.facts.file import FileAt, FileState
from novaops.features.tunnel.facts.state import FRESH, PROBES
from novaops.features.tunnel.paths import config_file, hosts_comment, unit
from novaops.model.action import Command, WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import sh_file, whole_lines

HOSTS = "/etc/hosts"

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
        yield FileAt(HOSTS)
        if self.entries:
            yield MANAGES_HOSTS

    def refuse_foreign_lines(self, facts: Facts) -> None:
        """Raises Refused where a line that is not the tunnel's has one of the names."""
        wanted = {host for _, host in self.entries}
        for number, line in enumerate(self._text(facts).split("\n"), 1):
            words = line.partition("#")[0].split()
            named = wanted & {word.lower() for word in words[1:]}
            if named and not self._is_own(line):
                raise Refused(
                    f"{self.name}: {HOSTS}:{number} says where {min(named)} leads: {' '.join(words)}",
                    why="That line is not of this tunnel, and novaops does not change what others wrote.",
                    fix="take it out, or leave transparent: out",
                )

    def plan(self, facts: Facts) -> Iterable[Step]:
        self.refuse_foreign_lines(facts)
        text = self._text(facts)
        own = [line for line in text.split("\n") if self._is_own(line)]
        wanted = [f"{address} {host} {hosts_comment(self.name)}" for address, host in self.entries]
        if own == wanted:
            return
        found = facts[FileAt(HOSTS)]
        old = found if isinstance(found, FileState) else None
        kept = "".join(line for line in whole_lines(text) if not self._is_own(line))
        if wanted:
            kept += "\n" if kept and not kept.endswith("\n") else ""
            kept += "".join(f"{line}\n" for line in wanted)
        permissions = (old.mode, old.owner, old.group) if old else ("0644", "root", "root")
        write = WriteFile(
            HOSTS,
            kept.encode("utf-8", "surrogateescape"),
            *permissions,
            before=old.content if old else None,
            permissions_before=permissions if old else None,
        )
        answers = Command(("sh", "-c", _TUNNEL_ANSWERS, "tunnel-answers", config_file(self.name, "forwards"), unit(self.name)))
        yield Step(
            self.id,
            (Change("line", "; ".join(own) or None, "; ".join(wanted) or None),),
            (answers, write) if wanted else (write,),
        )

    def notes(self, facts: Facts) -> Iterator[str]:
        if bool(self.entries) and facts.known(MANAGES_HOSTS):
            yield f"cloud-init writes {HOSTS} anew at each boot (manage_etc_hosts): the name would lead past the tunnel until the next tunnel up"

    def _is_own(self, line: str) -> bool:
        return line.rstrip("\r\n").endswith(f" {hosts_comment(self.name)}")

    def _text(self, facts: Facts) -> str:
        found = facts[FileAt(HOSTS)]
        return (found.content or b"").decode("utf-8", "surrogateescape") if isinstance(found, FileState) else ""
