"""Many hosts at once: one's failure is a value, the others go on, and all is said in the inventory's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

Host = TypeVar("Host")
Report = TypeVar("Report")


def each(hosts: Iterable[Host], work: Callable[[Host], Report], parallel: int) -> list[Report]:
    """What `work` gives for each host, at most `parallel` at a time."""
    executor = ThreadPoolExecutor(max_workers=max(1, parallel), thread_name_prefix="host")
    try:
        return over(executor, hosts, work)
    finally:
        # After Ctrl-C nobody waits for runs that go on by themselves; otherwise all is done by now.
        executor.shutdown(wait=False, cancel_futures=True)


def over(executor: Executor, hosts: Iterable[Host], work: Callable[[Host], Report]) -> list[Report]:
    return list(executor.map(work, hosts))
