"""How the hosts of one command follow each other: in batches, in shards, and when no more are begun."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from novaops.engine import parallel
from novaops.engine.begun import Begun
from novaops.engine.query import Progress
from novaops.engine.report import RIGHT, HostReport, words
from novaops.errors import UsageError

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True)
class Serial:
    """The size of a batch: so many hosts, or so many percent of them."""

    number: int
    percent: bool = False

    @classmethod
    def read(cls, text: str) -> Serial:
        """Raises UsageError for anything but N or N%."""
        found = re.fullmatch(r"([1-9][0-9]{0,5})(%?)", text)
        if found is None or (found[2] and int(found[1]) > 100):  # noqa: PLR2004 - percent
            raise UsageError(f'--serial "{text}" is no size of a batch', fix="10 is ten hosts, 10% a tenth of them")
        return cls(int(found[1]), bool(found[2]))

    def of(self, hosts: int) -> int:
        return max(1, hosts * self.number // 100) if self.percent else self.number


@dataclass(frozen=True)
class Shard:
    """One of `total` parts of all hosts, counted from 1. Which part a host is in depends on its name alone."""

    number: int
    total: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """Raises UsageError for anything but I/N with I from 1 to N."""
        found = re.fullmatch(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", text)
        if found is None or int(found[1]) > int(found[2]):
            raise UsageError(f'--shard "{text}" is no shard', fix="2/5 is the second of five")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def has(self, together: Sequence[str]) -> bool:
        """Whether it has the hosts with these names, which stay together."""
        digest = hashlib.sha256(min(together).encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8]) % self.total == self.number - 1


@dataclass(frozen=True)
class Rollout:
    serial: Serial | None = None
    """None: all hosts are one batch."""
    stop_after: int | None = None
    """No host is begun any more when so many have failed."""
    shard: Shard | None = None
    only: frozenset[str] | None = None
    """The hosts of a batch that an executor gave out; None: all."""
    told: Callable[[HostReport], None] = field(default=lambda _: None, compare=False)
    """Called with each host's report when it has ended, by a thread of its own."""

    def has(self, *together: str) -> bool:
        """Whether these hosts, which stay together, are in the shard and the batch; without one all are."""
        return (self.shard is None or self.shard.has(together)) and (self.only is None or together[0] in self.only)


ALL_AT_ONCE = Rollout()


def read(serial: str | None = None, stop_after: int | None = None, shard: str | None = None) -> Rollout:
    """Raises UsageError."""
    return Rollout(Serial.read(serial) if serial else None, stop_after, Shard.read(shard) if shard else None)


class Group(Protocol):
    """Hosts that are worked on together."""

    @property
    def names(self) -> Sequence[str]: ...

    def reports(self) -> list[HostReport]:
        """Work on them. Errors are values of the reports."""

    def so_far(self, why: str) -> list[HostReport]:
        """How each of them stands where nothing more will be done. `why` is the reason."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, and how each host stands."""

    def __init__(self, reports: list[HostReport]) -> None:
        super().__init__()
        self.reports = reports


def roll_out(groups: Sequence[Group], rollout: Rollout, begun: Begun, progress: Progress, limit: int) -> list[HostReport]:
    """Work on all groups, `limit` at a time, batch after batch. The reports are in the order of the groups.

    Raises Interrupted at Ctrl-C: no run is begun after that, and what each host was at is known.
    """
    return _RollOut(groups, rollout, begun, progress).go(limit)


class _RollOut:
    def __init__(self, groups: Sequence[Group], rollout: Rollout, begun: Begun, progress: Progress) -> None:
        self._groups = groups
        self._rollout = rollout
        self._begun = begun
        self._progress = progress
        self._failed: list[str] = []
        self._done: dict[int, list[HostReport]] = {}
        """The reports by the number of the group."""

    def go(self, limit: int) -> list[HostReport]:
        executor = ThreadPoolExecutor(max_workers=max(1, limit), thread_name_prefix="host")
        try:
            for batch in batches(self._groups, self._rollout.serial):
                parallel.over(executor, batch, self._turn)
        except KeyboardInterrupt:
            self._begun.close()
            raise Interrupted(self._reports("interrupted")) from None
        finally:
            # After Ctrl-C nobody waits for runs that go on by themselves; otherwise all is done by now.
            executor.shutdown(wait=False, cancel_futures=True)
        return self._reports("")

    def _reports(self, why: str) -> list[HostReport]:
        done = dict(self._done)
        return [report for number, group in enumerate(self._groups) for report in done.get(number) or group.so_far(why)]

    def _turn(self, number: int) -> None:
        group, most, failed = self._groups[number], self._rollout.stop_after, sorted(self._failed)
        if most is not None and len(failed) >= most:
            self._done[number] = group.so_far(f"stopped after {len(failed)} failed: {', '.join(failed)}")
            return
        reports = group.reports()
        self._failed += [report.host for report in reports if report.exit_code not in RIGHT]
        self._done[number] = reports
        for report in reports:
            self._rollout.told(report)
        if len(self._groups) > 1:
            for report in reports:
                self._progress(report.host, words(report.status))


def batches(groups: Sequence[Group], serial: Serial | None) -> Iterator[list[int]]:
    """The numbers of the groups, batch by batch. A group is never divided, so a batch may have more hosts than asked for."""
    hosts = sum(len(group.names) for group in groups)
    size = serial.of(hosts) if serial else hosts
    batch: list[int] = []
    filled = 0
    for number, group in enumerate(groups):
        batch.append(number)
        filled += len(group.names)
        if filled >= size:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch


def components(names: Sequence[Name], meets: Callable[[Name], Sequence[Name]]) -> list[list[Name]]:
    """The names that meet each other, directly or through others, together; all in the order given."""
    group_of = {name: {name} for name in names}
    for name in names:
        for other in meets(name):
            merged = group_of[name] | group_of[other]
            group_of.update(dict.fromkeys(merged, merged))
    found: dict[int, list[Name]] = {}
    for name in names:
        found.setdefault(id(group_of[name]), []).append(name)
    return list(found.values())
