"""From the words of a command line to converged hosts: the way that every changing verb takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from novaops import fleet
from novaops.cli import screen
from novaops.cli.frame import PARALLEL, Options
from novaops.converge import Manner, Progress, converge
from novaops.desired import Playbooks
from novaops.inventory import Host, Inventory
from novaops.plan import Resource
from novaops.report import HostReport
from novaops.target import Target

ResourcesFor = Callable[[Inventory, Playbooks, Host], list[Resource]]
"""What a verb wants of a host."""


def converge_hosts(
    options: Options,
    words: Sequence[str],
    manner: Manner,
    *,
    wanted: ResourcesFor,
    section: str | None = None,
    diff: bool = False,
) -> int:
    """Converge the hosts that the words mean, and show how it went. Gives the exit code.

    All wishes of all hosts are read before the first one is contacted. Raises UsageError, InventoryError.
    """
    started = time.monotonic()
    known, playbooks = options.known()
    hosts = known.find(words, section)
    resources = {host.name: wanted(known, playbooks, host) for host in hosts}
    targets = options.targets(hosts)
    with screen.progress([host.name for host in hosts]) as tell:
        work = partial(_one, targets, resources, manner, tell)
        reports = fleet.each([host.name for host in hosts], work, options.parallel or PARALLEL)
    return screen.show(options, reports, started, diff=diff)


def _one(targets: Mapping[str, Target], resources: Mapping[str, list[Resource]], manner: Manner, tell: Progress, name: str) -> HostReport:
    return converge(targets[name], resources[name], manner, tell)
