"""Lines of a tunnel in /etc/hosts: names that lead to listeners of its own on this host. Every other byte stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.succeeds import Succeeds
from novaops.features.tunnel.facts.state import ASK, FRESH
from novaops.features.tunnel.paths import hosts_mark, unit
from novaops.features.tunnel.paths import own as own_file
from novaops.model.action import Command, WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question

HOSTS = "/etc/hosts"

_CLOUD_INIT = Succeeds(
    "grep -rqsE '^[[:space:]]*manage_etc_hosts:[[:space:]]*(true|True|template|localhost)' /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d"
    " /var/lib/cloud/instance/vendor-data.txt /var/lib/cloud/instance/user-data.txt"
)

_CAME_THROUGH = rf"""{ASK}
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
begun=$(date +%s)
until rm -f "$folder"/*; ask_through "$1" "$folder" listener; ! grep -qs '^no' "$folder"/*; do
  if [ $(($(date +%s) - begun)) -ge {FRESH} ]; then
    echo "no request comes through the tunnel, so no name is led into it: {HOSTS} stays as it is" >&2
    sed -n 's/^no\t[^\t]*\t[^\t]*\t//p' "$folder"/* >&2
    journalctl -u "$2" -b -n 20 -o cat --no-pager -q 2>/dev/null | grep -E 'failed|denied|refused' | tail -n 1 >&2
    exit 1
  fi
  sleep 0.5
done
"""
"""A name that leads into a dead tunnel is worse than one that leads nowhere new."""


@dataclass(frozen=True)
class HostsEntries(Resource):
    name: str
    entries: tuple[tuple[str, str], ...]
    """Address and name of each; none where nothing of the tunnel is to be left."""

    @property
    def id(self) -> str:
        return f"hosts:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(HOSTS)
        if self.entries:
            yield _CLOUD_INIT

    def refuse_strangers(self, facts: Facts) -> None:
        """Raises Refused where somebody else says where one of the names leads."""
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
        self.refuse_strangers(facts)
        text = self._text(facts)
        own = [line for line in text.split("\n") if self._is_own(line)]
        wanted = [f"{address} {host} {hosts_mark(self.name)}" for address, host in self.entries]
        if own == wanted:
            return
        found = facts[FileAt(HOSTS)]
        old = found if isinstance(found, FileState) else None
        kept = "".join(line for line in text.splitlines(keepends=True) if not self._is_own(line))
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
        came_through = Command(("sh", "-c", _CAME_THROUGH, "came-through", own_file(self.name, "forwards"), unit(self.name)))
        yield Step(
            self.id,
            (Change("line", "; ".join(own) or None, "; ".join(wanted) or None),),
            (came_through, write) if wanted else (write,),
        )

    def notes(self, facts: Facts) -> Iterator[str]:
        if bool(self.entries) and facts.known(_CLOUD_INIT):
            yield f"cloud-init writes {HOSTS} anew at each boot (manage_etc_hosts): the name would lead past the tunnel until the next tunnel up"

    def _is_own(self, line: str) -> bool:
        return line.rstrip("\r\n").endswith(f" {hosts_mark(self.name)}")

    def _text(self, facts: Facts) -> str:
        found = facts[FileAt(HOSTS)]
        return (found.content or b"").decode("utf-8", "surrogateescape") if isinstance(found, FileState) else ""
