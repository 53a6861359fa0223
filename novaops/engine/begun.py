"""Which runs were begun: what is said of hosts when a command is interrupted."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from novaops.engine.report import HostReport, failure
from novaops.errors import GoingOn, NotBegun, NovaopsError

SECONDS = 3.0
"""How long an interrupted command waits to hear from hosts whose run is just being started."""


@dataclass
class _Run:
    id: str
    seen: bool = False
    """Whether the host was heard to carry it out."""


class Begun:
    """The newest run of each host. Once it is closed no run is begun any more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._runs: dict[str, _Run] = {}
        self._closed = False

    def begin(self, host: str, run: str) -> None:
        """From now on the host may carry out the run. Raises NotBegun after `close`."""
        with self._changed:
            if self._closed:
                raise NotBegun("interrupted")
            self._runs[host] = _Run(run)

    def seen(self, host: str) -> None:
        """The host carries it out."""
        with self._changed:
            self._runs[host].seen = True
            self._changed.notify_all()

    def ended(self, host: str) -> None:
        """It is over, and its end is in the host's report."""
        with self._changed:
            self._runs.pop(host, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Begin no run any more, and wait a moment for the hosts that were just told to."""
        deadline = time.monotonic() + SECONDS
        with self._changed:
            self._closed = True
            while not all(run.seen for run in self._runs.values()) and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def left(self, host: str, why: str) -> HostReport:
        """The report of a host on which nothing more will be done, because of `why`."""
        with self._changed:
            run = self._runs.get(host)
        error: NovaopsError = NotBegun(why)
        if run:
            what = f"run {run.id} goes on there by itself" if run.seen else f"whether run {run.id} was begun there is not known"
            error = GoingOn(f"interrupted: {what}", fix="novaops history HOST shows how it ended")
        return failure(host, error, run=run.id if run else "")
