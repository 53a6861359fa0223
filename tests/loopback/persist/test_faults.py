"""Kept connections that break, keepers that are killed, and calls at the same time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from novaops.lab.process import wait_until
from novaops.ssh import kept
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from tests.loopback.conftest import Host
from tests.loopback.persist.conftest import Call, channels, hold, logins
from tests.support.keepers import keepers

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is kept"),
]


def test_a_connection_that_is_gone(host: Host, target: Target, call: Call) -> None:
    hold(target)
    host.drop()
    code, report = call()
    assert (code, report["status"], logins(host) >= 2) == (0, "unchanged", True)
    code, report = call()
    assert (code, report["execs"]) == (0, 1), "the new one is kept"


def test_a_host_that_says_nothing_any_more(host: Host, target: Target, call: Call) -> None:
    hold(target)
    assert wait_until(lambda: channels(host) == [1], 20)
    host.falls_silent()
    code, report = call("history", "box", "--timeout", "1")
    assert (code, report["status"], report["execs"]) == (0, "unchanged", 2)
    assert call()[1]["execs"] == 1, "it is not used again"


def test_a_look_that_is_cut_is_done_again_after_a_login(host: Host, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    host.manners.cuts_after = 100  # bytes: enough for what a shell says before the script
    hold(target)
    drop = host.drop

    def drop_once() -> None:
        host.manners.cuts_after = None
        drop()

    monkeypatch.setattr(host, "drop", drop_once)
    session = Session(target)
    assert kept.look(session, f"echo {'word' * 50}\n").stdout == f"{'word' * 50}\n"
    assert (session.execs, session.connection is None) == (2, False)
    session.close()


def test_a_keeper_that_is_killed(host: Host, target: Target, call: Call, runtime: Path) -> None:
    hold(target)
    (before,) = keepers(runtime)
    os.kill(before, signal.SIGKILL)
    assert wait_until(lambda: not keepers(runtime), 10)
    code, report = call()
    assert (code, report["status"], report["execs"]) == (0, "unchanged", 1)
    number = logins(host)
    call()
    assert (logins(host) - number) <= 1, "the keeper's"
    assert len(keepers(runtime)) == 1


def test_a_keeper_that_is_killed_while_it_looks(host: Host, target: Target, runtime: Path) -> None:
    hold(target)
    begun, go = host.folder / "begun", host.folder / "go"
    outputs: list[str] = []

    def look() -> None:
        session = Session(target)
        outputs.append(kept.look(session, f"touch {begun}; until [ -e {go} ]; do sleep 0.05; done; echo word\n").stdout)
        session.close()

    thread = threading.Thread(target=look)
    thread.start()
    assert wait_until(begun.exists, 20)
    for process in keepers(runtime):
        os.kill(process, signal.SIGKILL)
    go.touch()
    thread.join(30)
    assert outputs == ["word\n"]


def test_two_calls_at_once(host: Host, target: Target, runtime: Path) -> None:
    """Each script waits for the other one. Both go over the one connection, and one keeper was started."""
    begin = threading.Barrier(8)

    def keep() -> None:
        begin.wait()
        kept.keep(target)

    many = [threading.Thread(target=keep) for _ in range(begin.parties)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    hold(target)
    assert (logins(host), len(keepers(runtime))) == (1, 1)
    outputs: list[tuple[str, bool]] = []

    def look(mine: str, other: str) -> None:
        session = Session(target)
        script = f"touch {host.folder}/{mine}; until [ -e {host.folder}/{other} ]; do sleep 0.05; done; echo {mine}\n"
        outputs.append((kept.look(session, script).stdout, session.connection is None))
        session.close()

    both = [threading.Thread(target=look, args=words) for words in (("one", "two"), ("two", "one"))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)
    assert sorted(outputs) == [("one\n", True), ("two\n", True)]
    assert logins(host) == 1


def test_the_keeper_has_nothing_of_the_call_that_started_it(host: Host, call: Call, runtime: Path) -> None:
    """Neither its output, so that a pipe ends with the call, nor its group, to which a terminal sends Ctrl-C."""
    del call
    words = [sys.executable, "-m", "novaops", "history", "box", "--persist", "60s"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
        out, _ = process.communicate(timeout=60)  # which waits for whoever has the pipe
    assert process.returncode == 0, out
    (keeper,) = keepers(runtime)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    outputs = [str(Path(f"/proc/{keeper}/fd/{number}").readlink()) for number in (1, 2)]
    assert (outputs, str(Path(f"/proc/{keeper}/cwd").readlink())) == (["/dev/null", "/dev/null"], "/")
    session = Session(replace(host.target(), persist=60.0))
    assert kept.look(session, ":\n").status == 0
    assert session.connection is None


def test_messages_that_mean_nothing(host: Host, target: Target) -> None:
    hold(target)
    (file,) = kept.folder().glob("keeper-*")
    odd = ('{"keep": 1}', '{"forget": 7}', '{"look": [1]}', '{"look": "", "script": "", "timeout": "x"}')
    for message in ("", "{", "[]", "{}", '{"keep": "a", "target": {"x": 1}}', *odd):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(file))
            line.sendall(message.encode())
            line.shutdown(socket.SHUT_WR)
            assert line.recv(100) == b""
    hold(target)
    assert logins(host) == 1
