"""--limit: it only ever leaves out some of the hosts that are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from novaops.engine import last_run
from novaops.errors import UsageError
from novaops.formats import names

if TYPE_CHECKING:
    from novaops.engine.inventory import Host, Inventory


@dataclass(frozen=True)
class Limit:
    words: str
    """As they were given."""
    names: frozenset[str]

    @classmethod
    def read(cls, words: str, known: Inventory) -> Limit:
        """Names, groups and @failed, with commas. Raises UsageError for a word that names no host, and where no run failed."""
        if not (named := names.words(words)):
            raise UsageError(f'--limit "{words}" names no host', fix=f"name hosts or groups, or {last_run.FAILED}")
        found: set[str] = set()
        for word in named:
            found |= set(last_run.failed(known.file) if word == last_run.FAILED else [host.name for host in known.meant(word)])
        return cls(words, frozenset(found))

    def of(self, hosts: Sequence[Host]) -> list[Host]:
        """Those of the hosts that it leaves. Raises UsageError where it leaves none."""
        left = [host for host in hosts if host.name in self.names]
        if left:
            return left
        why = f"Meant were {shortened([host.name for host in hosts])}; the limit has {shortened(sorted(self.names))}."
        raise UsageError(f"--limit {self.words} leaves no host", why=why, fix="name hosts or groups that are among those")


def shortened(names: Sequence[str], most: int = 12) -> str:
    """The names in a sentence, the last ones counted where there are many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
