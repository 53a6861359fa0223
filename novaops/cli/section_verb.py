"""From the words of a command line to converged hosts: the way that every changing verb takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from novaops.cli import output
from novaops.cli.options import PARALLEL, Options
from novaops.engine.converge import RunOptions
from novaops.engine.inventory import Host, Inventory
from novaops.engine.peers import DesiredHost, converge_all
from novaops.engine.playbooks import DesiredState, Playbooks
from novaops.model.plan import Resource

WishesFor = Callable[[Inventory, Playbooks, Host], DesiredState]
"""What a verb wants of a host, and of others for its sake."""


def converge_hosts(
    options: Options,
    words: Sequence[str],
    manner: RunOptions,
    *,
    wanted: WishesFor,
    section: str | None = None,
    diff: bool = False,
) -> int:
    """Converge the hosts that the words mean, and show how it went. Gives the exit code.

    All wishes of all hosts are read before the first one is contacted. Raises UsageError, InventoryError.
    """
    started = time.monotonic()
    known, playbooks = options.known()
    hosts = {host.name: host for host in known.find(words, section)}
    resources: dict[str, list[Resource]] = {name: [] for name in hosts}
    of_peers: list[tuple[Host, Resource]] = []
    for host in list(hosts.values()):
        wishes = wanted(known, playbooks, host)
        resources[host.name] += wishes.own
        of_peers += wishes.of_peers
    for peer, resource in of_peers:
        hosts.setdefault(peer.name, peer)
        its = resources.setdefault(peer.name, [])
        if resource not in its:  # several hosts may want the same of one
            its.append(resource)
    resources = {name: without_those_that_give_way(its) for name, its in resources.items()}
    targets = options.targets(list(hosts.values()))
    with output.progress(list(hosts)) as tell:
        work = [DesiredHost(targets[name], resources[name]) for name in hosts]
        reports = converge_all(work, manner, tell, options.parallel or PARALLEL)
    return output.show(options, reports, started, diff=diff)


def without_those_that_give_way(wanted: Sequence[Resource]) -> list[Resource]:
    """What one host wants away (`yields_to_present`) stays where another host wants it there."""
    stays = {resource.id for resource in wanted if not resource.yields_to_present}
    return [resource for resource in wanted if resource.id not in stays or not resource.yields_to_present]
