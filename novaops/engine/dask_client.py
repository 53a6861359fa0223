"""`--executor`: the batches of a command on the workers of a dask cluster, none of them begun twice.

Whoever reaches a scheduler runs code on its workers: TLS, or nothing but loopback.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import queue
import re
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from novaops.engine import dask_worker
from novaops.engine.query import Progress
from novaops.engine.report import as_json, failure, words
from novaops.errors import InventoryError, NotBegun, NovaopsError, Unknown, UsageError

MOST = 100
"""Hosts in a batch, but for peers that stay together."""

ANSWER_S = 10
"""Seconds for the scheduler to answer."""

END_S = 15
"""Seconds that batches have to end after Ctrl-C: they themselves wait for three."""

WORKERLESS_S = 30
"""Seconds without a sign of any worker after which nothing more is begun."""

NOTHING_BEGUN = frozenset({UsageError.code, InventoryError.code, NotBegun.code})
"""The codes of a batch's error that say that none of its hosts was begun."""


@dataclass(frozen=True)
class Scheduler:
    """Where it is: dask://HOST:PORT."""

    host: str
    port: str

    @classmethod
    def read(cls, text: str) -> Scheduler:
        """Raises UsageError."""
        found = re.fullmatch(r"dask://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", text)
        if found is None:
            raise UsageError(f'--executor "{text}" is no scheduler', fix="write dask://HOST:PORT")
        return cls(found[1], found[2])

    def connect(self) -> Any:
        """A dask client. Raises UsageError where dask or the scheduler is not there, or the way to it is not safe."""
        try:
            import dask.config
            from distributed import Client, Security
        except ImportError:
            raise UsageError("--executor needs dask, which is not installed", fix="pip install 'novaops[dask]'") from None
        tls = bool(dask.config.get("distributed.comm.tls.ca-file"))
        address = f"{'tls' if tls else 'tcp'}://{self.host}:{self.port}"
        _refuse_unsafe("the scheduler", address)
        for name in ("distributed", "distributed.client"):  # what they would say is in the reports; each has a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            with warnings.catch_warnings(action="ignore"):  # other versions: `_check` names them
                return Client(address, security=Security(require_encryption=True) if tls else None, timeout=ANSWER_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"no dask scheduler answers at {address}", why=str(error), fix="start it: see docs/fleet.md") from None


def _refuse_unsafe(whose: str, address: str) -> None:
    """Raises UsageError for an address that others than this machine reach without TLS."""
    kind, _, place = address.partition("://")
    host = place.rpartition(":")[0].strip("[]")
    with suppress(ValueError):
        if kind == "tls" or host == "localhost" or (kind == "tcp" and ipaddress.ip_address(host).is_loopback):
            return
    raise UsageError(
        f"{whose} would be reached at {address} without TLS",
        why="Whoever reaches it runs code on the workers, which have the keys to your hosts. Nothing was contacted.",
        fix="set distributed.comm.tls in dask's configuration (docs/fleet.md), or keep the cluster on 127.0.0.1",
    )


def _check(client: Any, inventory: str) -> dict[str, Any]:
    """What each batch says besides: what is the same on all machines, and the scheduler's id.

    Raises UsageError for a cluster that could run a batch twice or would run another one.
    """
    ours = dask_worker.same(inventory)
    try:
        scheduler = client.run_on_scheduler(dask_worker.settings)
        versions = client.run_on_scheduler(dask_worker.versions)
        workers = client.run(dask_worker.same, inventory, on_error="return")
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing is begun
        why = f"{type(error).__name__}: {error}"
        raise UsageError("the scheduler cannot be asked about novaops", why=why, fix="install the same novaops[dask] there") from None
    for wrong, value in (("allowed-failures", 0), ("work-stealing", False)):
        if scheduler[wrong] != value:
            raise UsageError(
                f"the scheduler could run a batch of hosts twice: its {wrong} is {scheduler[wrong]}",
                fix=f"start it with DASK_DISTRIBUTED__SCHEDULER__{wrong.upper().replace('-', '_')}={value}",
            )
    if not workers:
        raise UsageError("the scheduler has no worker", fix="start some: see docs/fleet.md")
    everywhere = {"the scheduler": (scheduler["address"], {**ours, **versions})}
    everywhere |= {f"worker {address}": (address, its) for address, its in workers.items()}
    for name, (address, its) in everywhere.items():
        _refuse_unsafe(name, address)
        wrong = f"{its}" if isinstance(its, Exception) else dask_worker.difference(its, ours)
        if wrong:
            raise UsageError(f"{name} is not like this machine: {wrong}", fix="bring it to the same state, and start it again")
    return {"same": ours, "scheduler": scheduler["id"]}


def batches(groups: Sequence[Sequence[str]], workers: int) -> list[list[str]]:
    """The hosts of the groups, in batches of at most 100, fewer where that gives each worker one. A group is never divided."""
    size = min(MOST, -(-sum(map(len, groups)) // max(1, workers)))
    made: list[list[str]] = [[]]
    for group in groups:
        if made[-1] and len(made[-1]) + len(group) > size:
            made.append([])
        made[-1] += group
    return made


@dataclass
class Command:
    """The batches of one command, and what came of them."""

    client: Any
    progress: Progress
    batch: Mapping[str, Any]
    """What is the same for all of its batches."""
    id: str = field(default_factory=lambda: f"novaops-{secrets.token_hex(8)}")
    hosts: dict[str, list[str]] = field(default_factory=dict)
    """The hosts of each batch that has not ended, by its key."""
    futures: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    """The reports that were told by workers, by host."""
    documents: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False
    _done: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    def submit(self, hosts: Sequence[Sequence[str]]) -> None:
        self.client.subscribe_topic(self.id, self._hear)
        for names in hosts:
            self._submit(names)

    def _submit(self, names: Sequence[str]) -> None:
        key = f"{self.id}-{len(self.futures)}"
        self.hosts[key] = list(names)
        whole = {**self.batch, "command": self.id, "key": key, "hosts": list(names)}
        self.futures[key] = self.client.submit(dask_worker.carry_out, whole, key=key, pure=False, retries=0)
        self.futures[key].add_done_callback(lambda future: self._done.put(future.key))

    def _hear(self, event: tuple[float, str]) -> None:
        host = json.loads(event[1])["report"]
        self.told[host["host"]] = host
        self.progress(host["host"], words(host["status"]))

    def wait(self) -> None:
        """Until every batch has ended, or nothing more is to be expected. Ctrl-C ends them as it does here."""
        try:
            self._wait(WORKERLESS_S, lambda: None if self._workers() else self._take_back("no worker is left"))
        except KeyboardInterrupt:
            self.interrupted = True
            self._take_back("interrupted")
            with suppress(Exception):  # a worker that does not hear of it is unknown below
                self.client.run(dask_worker.stop, self.id, on_error="ignore")
            self._wait(END_S, lambda: self._unknown("interrupted, and the worker did not answer"))

    def _wait(self, seconds: float, idle: Callable[[], None]) -> None:
        while self.hosts:
            try:
                key = self._done.get(timeout=seconds)
            except queue.Empty:
                idle()
            else:
                self._ended(key)

    def _workers(self) -> int:
        with suppress(Exception):  # without a scheduler nothing is known of workers
            return len(self.client.scheduler_info(n_workers=-1)["workers"])
        return 0

    def _ended(self, key: str) -> None:
        if key not in self.hosts:
            return
        try:
            document = json.loads(self.futures[key].result(timeout=ANSWER_S))
        except Exception as error:  # noqa: BLE001 - whatever it is: nobody said what became of the hosts
            worker = getattr(error, "last_worker", None)
            if not self.interrupted and self._take(key):  # nobody had begun it
                self._submit(self.hosts.pop(key))
            else:
                self._lost(key, f"worker {worker.address} ended" if worker else f"{type(error).__name__}: {error}")
            return
        wrong = document.get("error")
        if wrong is None:
            self._keep(self.hosts.pop(key), document, "its worker did not say why")
        elif wrong["code"] in NOTHING_BEGUN:
            self._keep(self.hosts.pop(key), {"hosts": [], "exit_code": 0}, wrong["what"])
        else:
            self._lost(key, wrong["what"])

    def _take(self, key: str) -> bool:
        """Whether nobody has begun the batch, and now nobody will. False where that cannot be asked, or by another scheduler."""
        with suppress(Exception):
            return bool(self.client.run_on_scheduler(dask_worker.take, key, self.batch["scheduler"]))
        return False

    def _take_back(self, why: str) -> None:
        """Nothing is begun any more."""
        for key in list(self.hosts):
            if self._take(key):
                self.futures[key].cancel()
                self._keep(self.hosts.pop(key), {"hosts": [], "exit_code": 0}, why)

    def _unknown(self, why: str) -> None:
        for key in list(self.hosts):
            self._lost(key, why)

    def _lost(self, key: str, why: str) -> None:
        hosts = self.hosts.pop(key)
        self._keep(hosts, as_json([failure(name, self._look(why)) for name in hosts if name not in self.told]), "")

    @staticmethod
    def _look(why: str) -> NovaopsError:
        return Unknown(
            f"nobody told what was done there: {why}", fix="novaops history HOST shows whether a run was begun; then run this again"
        )

    def _keep(self, hosts: Sequence[str], document: dict[str, Any], why: str) -> None:
        """Keep how the hosts of a batch ended; those of which neither it nor a report says anything were not begun."""
        for host in document["hosts"]:
            if host["host"] not in self.told:
                self.progress(host["host"], words(host["status"]))
        there = {host["host"] for host in document["hosts"]}
        missing = [name for name in hosts if name not in there]
        left = as_json([failure(name, NotBegun(why)) for name in missing if name not in self.told])
        told = [self.told[name] for name in missing if name in self.told]
        self.documents.append({**document, "hosts": document["hosts"] + told + left["hosts"]})


def run(scheduler: Scheduler, batch: Mapping[str, Any], groups: Sequence[Sequence[str]], progress: Progress) -> Command:
    """Work on the groups of hosts with what `batch` says, and give what came of it. Raises UsageError before anything is begun."""
    with scheduler.connect() as client:
        command = Command(client, progress, {**batch, **_check(client, batch["inventory"])})
        command.submit(batches(groups, sum(client.nthreads().values())))
        command.wait()
        return command
