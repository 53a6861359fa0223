"""What is verified of which host. Errors on the operator's side are raised here, before any host is contacted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from novaops.engine.inventory import Host, Inventory
from novaops.engine.playbooks import Playbooks
from novaops.errors import UsageError
from novaops.verify import claims
from novaops.verify.claims import Entries


@dataclass(frozen=True)
class Chosen:
    host: Host
    entries: Entries
    unverified: tuple[str, ...]
    """Sections of the host that no file verifies."""


def choose(known: Inventory, playbooks: Playbooks, words: Sequence[str], only: Sequence[str]) -> tuple[list[Chosen], list[Chosen]]:
    """The hosts that the words mean, and, where no words were given, those left out because nothing verifies what they have.

    Raises UsageError where there is nothing to verify, InventoryError for a section of the wrong form.
    """
    every = [_chosen(known, playbooks, host, only) for host in known.find(words)]
    found = [chosen for chosen in every if chosen.entries]
    left_out = [chosen for chosen in every if not chosen.entries]
    if words and left_out:
        raise _nothing(left_out[0], known, only)
    if not found:
        one = next((chosen for chosen in left_out if chosen.unverified), None)
        raise _nothing(one, known, only)
    return found, [chosen for chosen in left_out if chosen.unverified]


def _chosen(known: Inventory, playbooks: Playbooks, host: Host, only: Sequence[str]) -> Chosen:
    folder = Path(known.file).parent
    by_name = {name: claims.find(name, folder) for name in host.sections if not only or name in only}
    entries = {
        feature: feature.entries(playbooks.by_name[name].settings(known, host), folder)
        for name, feature in by_name.items()
        if feature is not None
    }
    return Chosen(
        host,
        {feature: named for feature, named in entries.items() if named},
        tuple(name for name, feature in by_name.items() if feature is None),
    )


def _nothing(chosen: Chosen | None, known: Inventory, only: Sequence[str]) -> UsageError:
    verified = ", ".join(claims.known(Path(known.file).parent))
    wanted = f" among {', '.join(only)}" if only else ""
    if chosen is None:
        return UsageError(f"{known.file} has nothing to verify{wanted}", fix=f"give a host a section that can be verified: {verified}")
    if chosen.unverified:
        return UsageError(
            f"nothing of {chosen.host.name} can be verified{wanted}",
            why=f"It has {', '.join(chosen.unverified)}, for which there is no check.",
            fix=f"there are checks for {verified}",
        )
    return UsageError(
        f"{chosen.host.name} has nothing to verify{wanted}",
        fix=f"write what it should have into {known.file or 'an inventory (novaops init)'}; there are checks for {verified}",
    )


def refuse_unwritable(junit: Path) -> None:
    """Raises UsageError where the JUnit file could not be written; pytest would tell only after the last host."""
    folder = junit.absolute().parent
    if junit.is_dir():
        raise UsageError(f"--junit {junit}: this is a folder", fix="name a file")
    if not folder.is_dir():
        raise UsageError(f"--junit {junit}: there is no folder {folder}")
    if not os.access(junit if junit.exists() else folder, os.W_OK):
        raise UsageError(f"--junit {junit}: it cannot be written")
