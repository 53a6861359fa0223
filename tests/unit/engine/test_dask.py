"""What of --executor needs no cluster: addresses, batches, and what has to be the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from novaops.engine.dask_client import Command, Scheduler, _refuse_unsafe, batches
from novaops.engine.dask_worker import _digest, _process, difference, take
from novaops.engine.query import silent
from novaops.errors import UsageError


@pytest.mark.parametrize(
    "text", ["", "dask://", "dask://host", "tcp://host:1", "dask://host:1/", "dask://user@host:1", "dask://a:b:1", "dask://host:123456"]
)
def test_what_is_no_scheduler(text: str) -> None:
    with pytest.raises(UsageError, match="is no scheduler"):
        Scheduler.read(text)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://127.9.9.9:1", "tcp://[::1]:1", "tcp://localhost:1", "tls://192.0.2.1:1"])
def test_addresses_that_nobody_else_reaches(address: str) -> None:
    _refuse_unsafe("it", address)


@pytest.mark.parametrize(
    "address", ["tcp://192.0.2.1:1", "tcp://0.0.0.0:1", "tcp://localhost.example:1", "tcp://[2001:db8::1]:1", "ws://127.0.0.1:1"]
)
def test_addresses_that_others_may_reach(address: str) -> None:
    with pytest.raises(UsageError, match="without TLS"):
        _refuse_unsafe("it", address)


def test_batches_keep_peers_together_and_give_each_worker_one() -> None:
    assert batches([["a"], ["b", "c"], ["d"]], 2) == [["a"], ["b", "c"], ["d"]]
    assert batches([["a"], ["b"], ["c"], ["d"], ["e"]], 2) == [["a", "b", "c"], ["d", "e"]]
    assert [len(batch) for batch in batches([[str(number)] for number in range(250)], 1)] == [100, 100, 50]
    assert [len(batch) for batch in batches([[str(number) for number in range(150)], ["last"]], 1)] == [150, 1]


def test_a_batch_is_taken_once() -> None:
    scheduler = SimpleNamespace(id="Scheduler-1")
    assert [take("batch-of-this-test", "Scheduler-1", dask_scheduler=scheduler) for _ in range(2)] == [True, False]


def test_a_scheduler_with_another_id_gives_nothing() -> None:
    """It was started again, and does not know what was begun before."""
    assert not take("batch-of-a-scheduler-that-ended", "Scheduler-1", dask_scheduler=SimpleNamespace(id="Scheduler-2"))


class Restarted:
    """A client whose scheduler was started again after the batch had been submitted: the batch is lost, and nobody knows it."""

    def __init__(self) -> None:
        self.submitted: list[str] = []

    def subscribe_topic(self, *_: object) -> None: ...

    def submit(self, _: object, __: object, *, key: str, **___: object) -> Future[str]:
        self.submitted.append(key)
        future = SimpleFuture(key)
        future.set_exception(CancelledError("the connection to the scheduler was lost"))
        return future

    @staticmethod
    def run_on_scheduler(function: Callable[..., object], *words: str) -> object:
        return function(*words, dask_scheduler=SimpleNamespace(id="Scheduler-2"))


class SimpleFuture(Future[str]):
    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


def test_nothing_is_begun_again_over_a_scheduler_that_was_restarted() -> None:
    client = Restarted()
    command = Command(client, silent, {"scheduler": "Scheduler-1"})
    command.submit([["a"], ["b"]])
    command.wait()
    assert client.submitted == [f"{command.id}-0", f"{command.id}-1"]
    assert statuses(command) == {"a": "unknown", "b": "unknown"}


def statuses(command: Command) -> dict[str, str]:
    return {host["host"]: host["status"] for document in command.documents for host in document["hosts"]}


def test_the_current_folder_of_a_batch_is_no_code(tmp_path: Path) -> None:
    """Its folder is where its inventory is. What lies there is read by novaops itself, where nobody else can write it."""
    (tmp_path / "novaops").mkdir()
    (tmp_path / "novaops/__init__.py").write_text("raise SystemExit('a stranger is running')\n")
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger is running')\n")
    with _process({"folder": str(tmp_path), "command": "test"}) as (process, said):
        assert process.stdin
        process.stdin.close()
    assert "stranger" not in "".join(said), said


def test_what_differs_is_named(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    inventory = tmp_path / "inventory.yaml"
    assert _digest(inventory) == "none"
    inventory.write_text("hosts: {}")
    seen = [_digest(inventory)]
    for name, text in (("playbooks/a.py", "x"), ("playbooks/a.py", "y"), ("playbooks/b.py", "y")):
        (tmp_path / name).write_text(text)
        seen.append(_digest(inventory))
    assert len(set(seen)) == len(seen)
    (tmp_path / "playbooks/__pycache__").mkdir()
    (tmp_path / "playbooks/__pycache__/a.pyc").write_text("x")
    assert _digest(inventory) == seen[-1]
    assert difference({"novaops": "1"}, {"novaops": "2", "Python": "3"}) == "novaops is 1 there and 2 here, Python is None there and 3 here"
    assert difference({"novaops": "1"}, {"novaops": "1"}) == ""
