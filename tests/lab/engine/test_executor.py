"""A fleet over the workers of a dask cluster: no host is worked on twice, whoever dies, and each one's end is told or unknown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from novaops import __version__
from novaops.lab.host import LabHost
from novaops.lab.process import wait_until
from tests.lab.conftest import Done, Novaops
from tests.support.dask_cluster import ONCE, Cluster, certificate, cluster
from tests.support.fleet import Fleet, fleet, prepare
from tests.support.playbooks.once import LIST

ONCE_PY = Path(__file__).parents[2] / "support/playbooks/once.py"
SECRET = {"FLEET_SECRET": "correct-horse-battery"}


@contextmanager
def endpoints(container: LabHost, folder: Path, hosts: int) -> Iterator[Fleet]:
    folder.mkdir()
    prepare(container, folder, ONCE_PY)
    with fleet(folder, container, {"fine": hosts}, "sudo_password: 'env:FLEET_SECRET', once: {}") as made:
        yield made


def told(folder: Path) -> list[str]:
    """The hosts that have ended, as the command said on stderr."""
    return [line.partition(":")[0] for line in (folder / "err").read_text("utf-8").splitlines() if ": " in line]


def cut_short(novaops: Novaops, made: Fleet, on: Cluster, kill: Any) -> Done:
    """Apply, and `kill` when some hosts have ended and others have not."""
    words = ["apply", "--json", "--parallel", "2", "--executor", on.address]
    with (made.folder / "err").open("w") as err:
        command = [*novaops_words(novaops, made), *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, env={**os.environ, **SECRET}) as process:
            assert wait_until(lambda: len(told(made.folder)) >= 3, 300), (made.folder / "err").read_text("utf-8")
            kill(process)
            out, _ = process.communicate(timeout=600)
    return Done(process.returncode, out, (made.folder / "err").read_text("utf-8"))


def novaops_words(novaops: Novaops, made: Fleet) -> list[str]:
    with novaops.start("--version") as process:
        words = process.args
    assert isinstance(words, list)
    return [*words[:3], "-i", str(made.inventory)]


def comes_right(novaops: Novaops, made: Fleet, on: Cluster, container: LabHost) -> None:
    """A second apply finds or brings every host right, and no host had two runs."""
    done = novaops("apply", "--json", "--parallel", "2", "--executor", on.address, inventory=made.inventory, env=SECRET)
    assert ({host["status"] for host in done.json["hosts"]} <= {"changed", "unchanged"}, done.code) == (True, 0), done.text
    done = novaops("apply", "--json", inventory=made.inventory, env=SECRET)
    assert [(host["host"], host["status"]) for host in done.json["hosts"]] == [(name, "unchanged") for name in made.kinds]
    assert Counter(container.run(f"cat {LIST}").split()) == Counter(list(made.kinds))


def of_the_dead(done: Done, made: Fleet) -> list[str]:
    """The hosts of which nobody knows; the others are right, and in the order of the inventory."""
    hosts = done.json["hosts"]
    assert [host["host"] for host in hosts] == list(made.kinds)
    assert ({host["status"] for host in hosts}, done.code) == ({"changed", "unknown"}, 1), done.text
    unknown = [host for host in hosts if host["status"] == "unknown"]
    assert all(host["error"]["code"] == "unknown" and "novaops" in host["error"]["fix"] for host in unknown)
    return [host["host"] for host in unknown]


def test_a_worker_is_killed_and_no_host_is_worked_on_twice(novaops: Novaops, container: LabHost, tmp_path: Path) -> None:
    with endpoints(container, tmp_path / "fleet", 12) as made, cluster(tmp_path / "dask", [__version__] * 2, ONCE, SECRET) as on:
        unknown = of_the_dead(cut_short(novaops, made, on, lambda _: on.workers[1].kill()), made)
        assert not set(unknown) & set(told(made.folder)[:3]), "what was told before is known"
        failed = novaops("plan", "--json", "--limit", "@failed", inventory=made.inventory, env=SECRET)
        assert [host["host"] for host in failed.json["hosts"]] == unknown
        comes_right(novaops, made, on, container)
        assert on.relay.kept is not None
        assert (b"host0005" in on.relay.kept, SECRET["FLEET_SECRET"].encode() in on.relay.kept) == (True, False)
        on.add_worker("0.0.1")
        other = novaops("apply", "--executor", on.address, inventory=made.inventory, env=SECRET)
        assert (other.code, f"novaops is 0.0.1 there and {__version__} here" in other.err) == (2, True), other.text


def test_a_scheduler_that_would_run_tasks_again_is_refused(novaops: Novaops, tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/once.py").write_text(ONCE_PY.read_text("utf-8"), "utf-8")
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(json.dumps({"hosts": {"a": {"address": "127.0.0.1", "port": 1, "once": {}}}}))
    with cluster(tmp_path / "dask", [], {}, {}) as on:
        done = novaops("apply", "--executor", on.address, inventory=inventory)
        assert (done.code, "its allowed-failures is 3" in done.err) == (2, True), done.text
    done = novaops("apply", "--executor", "dask://192.0.2.1:8786", inventory=inventory)
    assert (done.code, "reached at tcp://192.0.2.1:8786 without TLS" in done.err) == (2, True), done.text
    tls = certificate(tmp_path)
    with cluster(tmp_path / "other", [], {**ONCE, "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "True"}, {}, tls) as on:
        done = novaops("apply", "--executor", on.address, inventory=inventory, env=tls)
        assert (done.code, "its work-stealing is True" in done.err) == (2, True), done.text


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_sixty_hosts_and_a_worker_that_ends(novaops: Novaops, container: LabHost, tmp_path: Path, number: int) -> None:
    """After SIGTERM dask gives the worker's tasks to another one, whatever its settings, and the worker waits for what it is at."""
    with endpoints(container, tmp_path / "fleet", 60) as made, cluster(tmp_path / "dask", [__version__] * 2, ONCE, SECRET) as on:
        unknown = of_the_dead(cut_short(novaops, made, on, lambda _: on.workers[1].send_signal(number)), made)
        assert len(unknown) <= 30
        assert wait_until(lambda: on.workers[1].poll() is not None, 5), "it goes on with its batch"
        assert len(set(container.run(f"cat {LIST}").split()) & set(unknown)) <= 10, "of a batch of 30 that was cut short after about three"
        comes_right(novaops, made, on, container)


@pytest.mark.long
def test_after_ctrl_c_the_workers_begin_no_run(novaops: Novaops, container: LabHost, tmp_path: Path) -> None:
    with endpoints(container, tmp_path / "fleet", 60) as made, cluster(tmp_path / "dask", [__version__] * 2, ONCE, SECRET) as on:
        plan = novaops("plan", "--json", "--executor", on.address, inventory=made.inventory, env=SECRET)
        assert ([host["status"] for host in plan.json["hosts"]], plan.code) == (["would_change"] * 60, 3), plan.text
        done = cut_short(novaops, made, on, lambda process: process.send_signal(signal.SIGINT))
        statuses = Counter(host["status"] for host in done.json["hosts"])
        assert (set(statuses) <= {"changed", "going_on", "not_begun"}, statuses["not_begun"] > 0, done.code) == (True, True, 130), done.text
        comes_right(novaops, made, on, container)
