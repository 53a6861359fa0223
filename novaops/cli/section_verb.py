"""From the words of a command line to converged hosts: the way that every changing verb takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from novaops.cli import output
from novaops.cli.options import INTERRUPTED, PARALLEL, Options, Run
from novaops.engine.converge import RunOptions
from novaops.engine.desired import DesiredState, bring_together
from novaops.engine.inventory import Host, Inventory
from novaops.engine.peers import DesiredHost, converge_all, together
from novaops.engine.playbooks import Playbooks
from novaops.engine.rollout import Interrupted
from novaops.engine.scope import Scope
from novaops.errors import UsageError
from novaops.model.plan import Note, Resource

Desired = Callable[[Callable[[Any], DesiredState], Host, Any], DesiredState]
"""What a verb makes of the entries of one host: of the way to the desired state of entries, the host, and its entries."""


HostDesired = Callable[[Inventory, Playbooks, Host], DesiredState]
"""What a verb wants of a host, and of others for its sake."""


def converge_entries(
    options: Options,
    words: Sequence[str],
    run: Run,
    scope: Scope,
    value: str | None,
    flags: Mapping[str, Any],
    desired: Desired | None = None,
) -> int:
    """Converge entries of the hosts' section: the one that is named `value`, with the flags over it, or those that the verb is for.

    Gives the exit code. `desired` is for a verb that wants something else of the entries than what the section means.
    """
    remarks: dict[str, list[Note]] = {}

    def wanted(known: Inventory, playbooks: Playbooks, host: Host) -> DesiredState:
        def of(entries: Any) -> DesiredState:
            return playbooks.desired(known, host, settings={scope.section: entries})

        entries = playbooks.by_name[scope.section].overridden(known, host, scope.key, value, flags, scope)
        remarks[host.name] = playbooks.by_name[scope.section].remarks(host, value, flags, scope)
        return of(entries) if desired is None else desired(of, host, entries)

    return converge_hosts(options, words, run.options(), wanted=wanted, section=scope.section, diff=run.diff, remarks=remarks)


def converge_hosts(
    options: Options,
    words: Sequence[str],
    run: RunOptions,
    *,
    wanted: HostDesired,
    section: str | None = None,
    diff: bool = False,
    remarks: Mapping[str, Sequence[Note]] | None = None,
    words_of_batch: Mapping[str, Any] | None = None,
) -> int:
    """Converge the hosts that the words mean, each with what is `wanted` of it, and show how it went. Gives the exit code.

    What is wanted of all hosts is known before the first one is contacted; `remarks` are further notes by host, which `wanted` may
    have made. `words_of_batch` is what a worker of the run's executor has to know of the verb. Raises InventoryError; UsageError
    also where nothing is wanted of any host: nothing done is not success.
    """
    started = time.monotonic()
    known, playbooks = options.known()
    desired = bring_together(known.find(words, section), lambda host: wanted(known, playbooks, host))
    if not any(resources for _, resources in desired):
        raise _fits_none(remarks) if remarks else _nothing_wanted(known, [host.name for host, _ in desired], section)
    desired = _of_shard(run, known, sorted(desired, key=lambda one: known.order(one[0])))  # peers came last
    if run.executor and words_of_batch is not None:
        from novaops.cli.elsewhere import converge_elsewhere

        return converge_elsewhere(options, run, known, _together(known, desired), words_of_batch, diff=diff)
    targets = options.targets([host for host, _ in desired], changing=True)
    code = None
    with output.progress(list(targets)) as tell:
        hosts = [DesiredHost(targets[host.name], resources) for host, resources in desired]
        try:
            reports = converge_all(hosts, run, tell, options.parallel or PARALLEL)
        except Interrupted as stop:
            reports, code = stop.reports, INTERRUPTED
    wanted_of = {host.name for host, resources in desired if resources}
    reports = [one if one.host in wanted_of else replace(one, notes=(*one.notes, _NOTHING)) for one in reports]
    if remarks:
        reports = [replace(one, notes=(*one.notes, *remarks.get(one.host, ()))) for one in reports]
    shard = str(run.rollout.shard or "")
    return output.show(options, options.noted(reports), started, diff=diff, code=code, shard=shard, changing=not run.check)


def _together(known: Inventory, desired: Sequence[tuple[Host, list[Resource]]]) -> list[list[str]]:
    """The names that one machine works on: of peers, and of one host that has several."""
    hosts = {host.name: host for host, _ in desired}
    return together({host.name: its for host, its in desired}, lambda name: [other.name for other in known.same_as(hosts[name])])


def _of_shard(run: RunOptions, known: Inventory, desired: Sequence[tuple[Host, list[Resource]]]) -> list[tuple[Host, list[Resource]]]:
    """Those of the hosts that are in the shard. Each is in one shard only, whatever the shards want of each other."""
    here = {name for names in _together(known, desired) if run.rollout.has(*names) for name in names}
    return [(host, its) for host, its in desired if host.name in here]


_NOTHING = Note("inventory", "nothing is wanted of this host")


def _nothing_wanted(known: Inventory, hosts: Sequence[str], section: str | None) -> UsageError:
    what = f"an entry of {section}:" if section else "a section"
    return UsageError(
        f"nothing is wanted of {', '.join(hosts)}",
        why="Nothing was contacted.",
        fix=f"give it {what} that this is for in {known.file or 'an inventory (novaops init)'}",
    )


def _fits_none(remarks: Mapping[str, Sequence[Note]]) -> UsageError:
    left = [f"{host}  {note.resource}  {note.text}" for host, notes in remarks.items() for note in notes]
    return UsageError(
        "no entry of the inventory is for this verb",
        why="\n".join(left),
        fix="name the entry that is meant, or change the inventory",
    )
