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
    gone: str = ""
    """What is to be said of hosts that failed and that the inventory has no more: they are meant, and nobody works on them."""

    @classmethod
    def read(cls, words: str, known: Inventory) -> Limit:
        """Names, groups and @failed, with commas. Raises UsageError for a word that names no host, and where no run failed."""
        if not (named := names.words(words)):
            raise UsageError(f'--limit "{words}" names no host', fix=f"name hosts or groups, or {last_run.FAILED}")
        failed = last_run.failed(known.file) if last_run.FAILED in named else []
        found = {host.name for word in named if word != last_run.FAILED for host in known.meant(word)}
        missing = [name for name in failed if name not in known.hosts and name not in found]
        gone = f"{last_run.FAILED} has hosts that are not in {known.file}: {shortened(missing)}" if missing else ""
        return cls(words, frozenset(found.union(failed)), gone)

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
