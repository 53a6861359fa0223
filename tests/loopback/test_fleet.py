"""A fleet with sick hosts in it: the right ones are right, each sick one is named with its reason, and none holds up the others."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import REASONS, Fleet, counts_of, fleet
from tests.support.memory import run_measured
from tests.support.private_sshd import PROGRAM, private_sshd

pytestmark = pytest.mark.skipif(os.getuid() != 0 or not Path(PROGRAM).exists(), reason="only root can start an sshd that lets root in")

THINGS = Path(__file__).parents[1] / "support/playbooks/things.py"


@contextmanager
def hosts(folder: Path, counts: Mapping[str, int]) -> Iterator[Fleet]:
    """Endpoints that are this machine, and want of it what is there."""
    (folder / "playbooks").mkdir()
    shutil.copyfile(THINGS, folder / "playbooks/things.py")
    (folder / "right").write_text("as wanted")
    (folder / "right").chmod(0o644)
    wanted = f"things: [{{path: '{folder}/right', content: as wanted, mode: '0644'}}]"
    with private_sshd(folder) as sshd, fleet(folder, sshd, counts, wanted) as made:
        yield made


def novaops(made: Fleet, *words: str) -> tuple[int, Any, str, int]:
    """The exit code, the document, stderr, and the most memory it had, in MiB."""
    command = [sys.executable, "-m", "novaops", "-i", str(made.inventory), "--json", *words]
    with (made.folder / "err").open("w") as err:
        code, out, memory = run_measured(command, made.folder, err)
    return code, json.loads(out), (made.folder / "err").read_text(), memory


def judged(made: Fleet, reports: list[Any]) -> None:
    """Every host, in the order of the inventory, as it really is."""
    assert [host["host"] for host in reports] == list(made.kinds)
    for host in reports:
        reason, error = REASONS.get(made.kinds[host["host"]]), host["error"]
        assert host["status"] == ("unchanged" if reason is None else "unreachable"), (host["host"], made.kinds[host["host"]], error)
        assert error is None or host["host"] in error["what"]
        assert reason is None or re.search(reason, error["what"]), error


def test_sixty_hosts_and_some_of_them_sick(tmp_path: Path) -> None:
    with hosts(tmp_path, {"drips": 1, **counts_of(60)}) as made:
        fine, sick = made.of("fine", "slow"), made.of(*REASONS)
        code, document, err, _ = novaops(made, "apply", "--timeout", "20", "--parallel", "8")
        assert code == 5
        judged(made, document["hosts"])
        told = [line.partition(":")[0] for line in err.splitlines() if line.endswith((": unchanged", ": unreachable"))]
        assert sorted(told) == sorted(made.kinds)
        [drips] = made.of("drips")
        assert set(told[: told.index(drips)]) & {name for name in fine if name > drips}, "the ends of others are told while it drips"
        again = novaops(made, "plan", "--limit", "@failed", "--timeout", "2")[1]
        assert [host["host"] for host in again["hosts"]] == sick
        code, careful, *_ = novaops(made, "apply", "--timeout", "2", "--stop-after", "1", "--serial", "4", *sick)
        statuses = [host["status"] for host in careful["hosts"]]
        assert (set(statuses[:4]) <= {"unreachable", "not_begun"}, set(statuses[4:]), code) == (True, {"not_begun"}, 1)


@pytest.mark.long
@pytest.mark.minutes
def test_a_thousand_hosts(tmp_path: Path) -> None:
    """Of 1,000 hosts 150 are sick and 50 slow; the memory is that of novaops alone."""
    with hosts(tmp_path, counts_of(1000)) as made:
        code, document, _, memory = novaops(made, "apply", "--timeout", "60")
        assert code == 5
        judged(made, document["hosts"])
        assert memory < 400


CHECK = """
def entries(settings):
    return [(one.path, one) for one in settings]

def observe(host, entries):
    return [host.file(one.path).content_string for one in entries]

def test_says_it(seen):
    'Says it'
    assert seen == "as wanted"

def test_readable(host):
    'Can be read by everybody'
    assert host.file("/").mode & 0o004
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["host", "facts"], ["host", "facts", "--json"], ["verify"], ["verify", "--json"]])
def test_interrupted_while_hosts_are_asked(words: list[str], number: int, tmp_path: Path) -> None:
    """What the others have said is not lost, and nobody is told of a run that was never begun."""
    with hosts(tmp_path, {"fine": 1}) as made, socket.create_server(("127.0.0.1", 0)) as silent:
        (made.inventory.parent / "checks").mkdir()
        (made.inventory.parent / "checks/things.py").write_text(CHECK)
        port = silent.getsockname()[1]
        with made.inventory.open("a") as inventory:
            inventory.writelines(f"  {name}: {{address: 127.0.0.1, port: {port}}}\n" for name in ("silent", "after"))
        command = [sys.executable, "-m", "novaops", "-i", str(made.inventory), *words, "--parallel", "1", "--timeout", "60"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(number)
                out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    said = [line for line in err.splitlines() if (line and words[0] != "verify") or line.startswith("Interrupted")]
    assert said == ["Interrupted. Of 3 hosts 1 had answered."], err
    if "--json" in words:
        document = json.loads(out)
        assert [host["status"] for host in document["hosts"]] == ["unchanged", "not_begun", "not_begun"]
        assert document["exit_code"] == 130
        first = document["hosts"][0]
        assert first["machine"]["login"] if words[0] == "host" else [step["check"] for step in first["steps"]]
    elif words[0] == "verify":
        assert "says it" in out
