"""What of --executor needs no cluster: addresses, batches, and what has to be the same on every machine."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from novaops.engine import own_file
from novaops.engine.dask_client import Command, Scheduler, _refuse_unsafe, batches
from novaops.engine.dask_worker import _digest, _process, difference, stop, take
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


@pytest.mark.parametrize(
    ("code", "other"),
    [("usage", "not_begun"), ("inventory", "not_begun"), ("not-begun", "not_begun"), ("bug", "unknown"), ("error", "unknown")],
)
def test_a_batch_that_ends_with_an_error(code: str, other: str) -> None:
    """What was told of a host counts; of the others only some errors say that they were not begun."""
    command = Command(None, silent, {}, told={"a": {"host": "a", "status": "changed", "steps": []}}, hosts={"key": ["a", "b"]})
    command.futures["key"] = future = SimpleFuture("key")
    future.set_result(json.dumps({"hosts": [], "error": {"code": code, "what": "it broke"}, "exit_code": 1}))
    command._ended("key")
    assert statuses(command) == {"a": "changed", "b": other}
    assert "it broke" in json.dumps(command.documents)


def ctrl_c(folder: Path, *, contacted: bool) -> tuple[dict[str, str], float]:
    """The status of each host of a batch whose first host is silent, and the seconds that it took to end.

    Ctrl-C comes when the silent host was contacted, or as soon as the batch was started.
    """
    with socket.create_server(("127.0.0.1", 0)) as host:
        access = {"address": "127.0.0.1", "port": host.getsockname()[1], "user": "root", "disk": [{"path": "/mnt/data"}]}
        (folder / "inventory.yaml").write_text(json.dumps({"hosts": dict.fromkeys("abc", access)}))
        batch: dict[str, Any] = {
            "inventory": str(folder / "inventory.yaml"),
            "folder": str(folder),
            "command": f"test of {folder}",
            "limit": None,
            "hosts": list("abc"),
            "words": list("abc"),
            "sections": None,
            "parallel": 1,
            "timeout": 15.0,
            "check": False,
            "wait": True,
            "guard": 60,
        }
        host.settimeout(30)
        with _process(batch) as (process, said):
            if contacted:
                host.accept()[0].detach()  # it stays open, and nobody answers
            started = time.monotonic()
            stop(batch["command"])
            assert process.stdout
            lines = process.stdout.readlines()
    assert lines, said
    command = Command(None, silent, {}, hosts={"key": list("abc")})
    command.futures["key"] = future = SimpleFuture("key")
    future.set_result(lines[-1])
    command._ended("key")
    return statuses(command), time.monotonic() - started


@pytest.mark.parametrize("contacted", [True, False])
def test_ctrl_c_ends_a_batch_with_a_silent_host(contacted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found, seconds = ctrl_c(tmp_path, contacted=contacted)
    assert found == dict.fromkeys("abc", "not_begun")
    assert seconds < 10, "a silent host has 15 s"


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
    inventory = tmp_path / "inventory.yaml"
    assert _digest(inventory) == "none"
    inventory.write_text("hosts: {}")
    seen = [_digest(inventory)]
    beside = (("playbooks/a.py", "x"), ("playbooks/a.py", "y"), ("playbooks/b.py", "y"), *((f"{kind}/c", "z") for kind in own_file.KINDS))
    for name, text in beside:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        seen.append(_digest(inventory))
    assert len(set(seen)) == len(seen)
    (tmp_path / "playbooks/__pycache__").mkdir()
    (tmp_path / "playbooks/__pycache__/a.pyc").write_text("x")
    assert _digest(inventory) == seen[-1]
    assert difference({"novaops": "1"}, {"novaops": "2", "Python": "3"}) == "novaops is 1 there and 2 here, Python is None there and 3 here"
    assert difference({"novaops": "1"}, {"novaops": "1"}) == ""
