"""Many hosts at once: one's failure is a value, the others go on, and all is said in the inventory's order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from typing import TypeVar

from novaops.errors import UsageError

OWN = 64
"""Descriptors that novaops itself may have open."""
_WAKE_S = 0.5

LEAST, ROOM = 4, 8
"""Descriptors of a host that is worked on, as a rule, and with a fresh login or a question to ssh at the same time."""

Host = TypeVar("Host")
Report = TypeVar("Report")


def make_room(hosts: int) -> None:
    """See that so many hosts at once may have their connections: raise this process's own limit of open files where it is too low.

    Raises UsageError where the system allows too few.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most, wanted = (sys.maxsize if hard == resource.RLIM_INFINITY else hard), OWN + ROOM * hosts
    if most < OWN + LEAST * hosts:
        fit = (most - OWN) // LEAST
        raise UsageError(
            f"{hosts} hosts at once need {OWN + LEAST * hosts} open files, and a process may have {most} here",
            why="Nothing was contacted.",
            fix=f"--parallel {fit}, or raise the hard limit (ulimit -Hn)" if fit > 0 else "raise the hard limit (ulimit -Hn)",
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, most), hard))


def each(hosts: Iterable[Host], work: Callable[[Host], Report], parallel: int) -> list[Report]:
    """What `work` gives for each host, at most `parallel` at a time."""
    executor = ThreadPoolExecutor(max_workers=max(1, parallel), thread_name_prefix="host")
    try:
        return over(executor, hosts, work)
    finally:
        # After Ctrl-C nobody waits for runs that go on by themselves; otherwise all is done by now.
        executor.shutdown(wait=False, cancel_futures=True)


def over(executor: Executor, hosts: Iterable[Host], work: Callable[[Host], Report]) -> list[Report]:
    futures = [executor.submit(work, host) for host in hosts]
    try:
        for future in futures:
            # Python does not see a Ctrl-C that comes in the moment before it waits without end.
            while not wait([future], _WAKE_S).done:
                pass
            future.result()  # raises what the first of them raised
    finally:
        for future in futures:
            future.cancel()
    return [future.result() for future in futures]
