"""From the words of a command line to converged hosts: the way that every changing verb takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from novaops.cli import output
from novaops.cli.options import PARALLEL, Options
from novaops.engine.converge import RunOptions
from novaops.engine.desired import DesiredState, bring_together
from novaops.engine.inventory import Host, Inventory
from novaops.engine.peers import DesiredHost, converge_all
from novaops.engine.playbooks import Playbooks

Desired = Callable[[Inventory, Playbooks, Host], DesiredState]
"""What a verb wants of a host, and of others for its sake."""


def converge_hosts(
    options: Options,
    words: Sequence[str],
    run: RunOptions,
    *,
    wanted: Desired,
    section: str | None = None,
    diff: bool = False,
) -> int:
    """Converge the hosts that the words mean, and show how it went. Gives the exit code.

    What is wanted of all hosts is known before the first one is contacted. Raises UsageError, InventoryError.
    """
    started = time.monotonic()
    known, playbooks = options.known()
    desired = bring_together(known.find(words, section), lambda host: wanted(known, playbooks, host))
    targets = options.targets([host for host, _ in desired])
    with output.progress(list(targets)) as tell:
        hosts = [DesiredHost(targets[host.name], resources) for host, resources in desired]
        reports = converge_all(hosts, run, tell, options.parallel or PARALLEL)
    return output.show(options, reports, started, diff=diff)
