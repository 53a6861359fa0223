"""What the machines of a dask cluster run for `--executor`: batches of hosts, each in a process of its own.

All that comes and goes is plain data. A batch is taken once, and never again: dask runs a task again whose worker ended or whose
result was lost, whatever its settings are.
"""

from __future__ import annotations

import hashlib
import json
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from novaops import __version__
from novaops.engine.own_file import KINDS

LOOK_S = 0.2
"""Seconds between two looks whether the worker of a batch is told to end."""

_LOCK = threading.Lock()
_TAKEN: set[str] = set()
"""In the scheduler's process: the keys of the batches that were begun, or will not be."""
_RUNNING: dict[str, list[subprocess.Popen[str]]] = {}
"""In a worker's process: the batches at work, by the id of their command."""
_STOPPED: set[str] = set()


def take(key: str, scheduler: str, dask_scheduler: Any) -> bool:
    """In the scheduler's process: whether nobody has taken the batch before. Now it is taken.

    A scheduler with another id gives none: the one that knew which were begun is gone.
    """
    first = key not in _TAKEN and dask_scheduler.id == scheduler
    _TAKEN.add(key)
    return first


def settings(dask_scheduler: Any) -> dict[str, Any]:
    """In the scheduler's process: its id, whether it would run a task again, and where it listens. dask gives the argument by its name."""
    return {
        "id": dask_scheduler.id,
        "allowed-failures": dask_scheduler.allowed_failures,
        "work-stealing": "stealing" in dask_scheduler.periodic_callbacks,
        "address": dask_scheduler.address,
    }


def difference(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """What of `same` differs, in words; "" where nothing does."""
    return ", ".join(f"{name} is {theirs.get(name)} there and {value} here" for name, value in ours.items() if theirs.get(name) != value)


def versions() -> dict[str, str]:
    """What has to be the same on every machine, by its name."""
    import distributed

    return {"novaops": __version__, "Python": platform.python_version(), "dask": distributed.__version__}


def same(inventory: str) -> dict[str, str]:
    """The same, and what every worker has to read as we do."""
    return {**versions(), f"the content of {inventory} and of {', '.join(KINDS)} beside it": _digest(Path(inventory))}


def _digest(inventory: Path) -> str:
    """Of the inventory, and of all that counts beside it. "none" where it cannot be read."""
    beside = [path for folder in KINDS for path in inventory.parent.joinpath(folder).rglob("*")]
    found = hashlib.sha256()
    try:
        for path in [inventory, *sorted(path for path in beside if path.is_file() and "__pycache__" not in path.parts)]:
            name, content = path.relative_to(inventory.parent).as_posix().encode(), path.read_bytes()
            found.update(b"%d %s %d %s" % (len(name), name, len(content), content))
    except OSError:
        return "none"
    return found.hexdigest()[:12]


class AlreadyTaken(Exception):
    """The batch was begun before, and nobody knows how far it came."""


class BatchLost(Exception):
    """The process of a batch ended before it said how its hosts stand."""


def carry_out(batch: Mapping[str, Any]) -> str:
    """The document of --json of a batch, from `novaops.cli.batch`. Each host's report is told as an event when it is there.

    Raises AlreadyTaken, BatchLost.
    """
    from distributed import get_client, get_worker

    here = same(batch["inventory"])
    if wrong := difference(here, batch["same"]):  # a worker that came later was not asked before
        error = {"code": "usage", "what": f"worker {get_worker().address}: {wrong}"}
        return json.dumps({"hosts": [], "error": error, "exit_code": 1})
    if not get_client().run_on_scheduler(take, batch["key"], batch["scheduler"]):
        raise AlreadyTaken("it was begun before, or the scheduler is not the one that was asked first")
    document = ""
    with _process(batch) as (process, said):
        threading.Thread(target=_end_with, args=(get_worker(), process), daemon=True).start()
        for line in process.stdout or ():
            if line.startswith('{"hosts"'):
                document = line
            else:
                get_worker().log_event(batch["command"], line)
    if not document:
        raise BatchLost("".join(said[-3:]).strip() or f"its process ended with status {process.returncode}")
    return document


def _end_with(worker: Any, process: subprocess.Popen[str]) -> None:
    """A worker that ends waits for what it is at. Of its batch nobody hears any more: it must begin no further host."""
    from distributed.worker import WORKER_ANY_RUNNING

    while process.poll() is None:
        if worker.status not in WORKER_ANY_RUNNING:
            process.kill()
        time.sleep(LOOK_S)  # dask has a sign for the end of a worker, and none for its beginning


@contextmanager
def _process(batch: Mapping[str, Any]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A batch at work, and what it says on stderr. Its stdin stays open: the end of that is the end of this worker."""
    words, pipe, command, said = [sys.executable, "-P", "-m", "novaops.cli.batch"], subprocess.PIPE, batch["command"], list[str]()
    folder = batch["folder"]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which it inherits: Ctrl-C waits until it can answer
    try:
        process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder, start_new_session=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    with process:
        assert process.stdin
        assert process.stderr
        listener = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
        listener.start()
        process.stdin.write(json.dumps(batch) + "\n")
        process.stdin.flush()
        with _LOCK:
            _RUNNING.setdefault(command, []).append(process)
        if command in _STOPPED:
            stop(command)
        yield process, said
        process.wait()
        listener.join()
    with _LOCK:
        _RUNNING[command].remove(process)


def stop(command: str) -> None:
    """In a worker's process: end the batches of a command as Ctrl-C does."""
    with _LOCK:
        _STOPPED.add(command)
        for process in _RUNNING.get(command, ()):
            process.send_signal(signal.SIGINT)
