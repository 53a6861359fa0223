"""Connections that are kept for the next call, against a server that counts its logins."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from novaops.app import run
from novaops.engine.fresh_login import log_in
from novaops.engine.query import silent, with_session
from novaops.engine.report import HostReport
from novaops.errors import UnknownHostKey
from novaops.lab.process import wait_until
from novaops.model.plan import FreshLogin
from novaops.secret import Secret
from novaops.ssh import ask_ssh, kept
from novaops.ssh.route import route
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from tests.loopback.conftest import Host
from tests.loopback.test_start import loaded
from tests.support.keepers import keepers, memory

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is kept"),
]

NOBODY = 65534


@pytest.fixture
def runtime(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the keepers have theirs. Everybody may enter it; all keepers in it are gone at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.chdir(host.folder)
        ask_ssh.forget_answers()
        yield folder
        for process in keepers(folder):
            os.kill(process, signal.SIGKILL)


@pytest.fixture
def target(host: Host, runtime: Path) -> Target:
    del runtime
    kept.check_folder()
    return replace(host.target(), persist=60.0)


Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call(host: Host, runtime: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """`history box` with --persist, or the words given: its exit code, and its document or that of the one host."""
    del runtime
    write_inventory(host)

    def call(*words: str, persist: str = "60s") -> tuple[int, Any]:
        code = run([*(words or ("history", "box")), "--json", *(["--persist", persist] if persist else [])])
        document = json.loads(capfd.readouterr().out)
        return code, document["hosts"][0] if len(document["hosts"]) == 1 else document

    return call


def write_inventory(host: Host, **access: object) -> None:
    keys = {"address": "127.0.0.1", "port": host.port, "user": "root", "identity": "identity", "known_hosts": "known_hosts", **access}
    (host.folder / "inventory.yaml").write_text(json.dumps({"hosts": {"box": keys}}))


def logins(host: Host) -> int:
    return len(host.attempts)


def hold(target: Target) -> None:
    """Have a connection kept, and wait for it."""
    kept.keep(target)
    session = Session(target)
    assert kept.look(session, ":\n").status == 0
    assert session.connection is None, "it is kept"


# -- what it saves ----------------------------------------------------------------------------------------------------


def test_the_second_call_logs_in_no_more(host: Host, call: Call) -> None:
    assert call()[0] == 0
    code, report = call()
    assert (code, report["execs"], logins(host), len(host.execs)) == (0, 1, 2, 2), "one login was the call's own, one the keeper's"


def channels(host: Host) -> list[int]:
    """How many are open on each connection."""
    return [len(one._channels) for one in host._transports]  # type: ignore[attr-defined]


def test_the_next_channel_is_open_before_it_is_needed(host: Host, target: Target) -> None:
    """To open one costs a round trip."""
    kept.keep(target)
    assert wait_until(lambda: channels(host) == [1], 20)
    hold(target)
    assert wait_until(lambda: channels(host) == [1], 20)


def test_without_it_nothing_is_kept(host: Host, call: Call, runtime: Path) -> None:
    assert [call(persist="")[0], call(persist="")[0]] == [0, 0]
    assert (logins(host), keepers(runtime), list(runtime.iterdir())) == (2, [], [])


def test_the_inventory_says_it_and_the_flag_wins(host: Host, call: Call, runtime: Path) -> None:
    write_inventory(host, persist="60s")
    call(persist="0s")
    assert (logins(host), keepers(runtime)) == (1, [])
    call(persist="")
    call(persist="")
    assert logins(host) == 3


def test_a_call_over_a_kept_connection_loads_no_ssh_library(host: Host, target: Target) -> None:
    hold(replace(target, name="box"))
    write_inventory(host)
    modules = loaded("history", "box", "--persist", "60s", folder=host.folder)
    assert not [name for name in modules if name.split(".")[0] in {"paramiko", "fabric", "invoke"}]


def test_a_kept_connection_over_a_jump_host(host: Host, target: Target, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    far = Host(tmp_path / "far")
    try:
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh/config").write_text(
            f"Host near\n  HostName 127.0.0.1\n  Port {host.port}\n  User root\n  IdentityFile {host.identity}\n"
            f"Host far\n  HostName 127.0.0.1\n  Port {far.port}\n  ProxyJump near\n"
        )
        host.knows(host.line(), far.line())
        over = replace(target, address="far", port=None, identity=str(far.identity))
        hold(over)
        assert (logins(host), logins(far)) == (1, 1)
        host.knows(far.line())
        with pytest.raises(UnknownHostKey, match="the jump host near"):
            kept.look(Session(over), ":\n")
    finally:
        far.close()


# -- how long ---------------------------------------------------------------------------------------------------------


def test_it_is_gone_after_its_time(host: Host, call: Call, runtime: Path) -> None:
    call(persist="1s")
    assert wait_until(lambda: logins(host) == 2, 20)
    assert wait_until(lambda: not keepers(runtime), 20)
    assert [file.name for file in (runtime / f"novaops-{os.getuid()}").iterdir()] == ["lock"]
    assert wait_until(lambda: not any(one.is_active() for one in host._transports), 5)
    call(persist="1s")
    assert logins(host) >= 3


def test_host_forget_ends_it(host: Host, target: Target, call: Call, runtime: Path) -> None:
    hold(target)
    assert call("host", "forget", "root@127.0.0.1:1")[1] == {"host": "root@127.0.0.1:1", "ended": 0}
    assert logins(host) == 1
    assert call("host", "forget", "box")[1] == {"host": "box", "ended": 1}
    assert wait_until(lambda: not any(one.is_active() for one in host._transports), 5)
    assert wait_until(lambda: not keepers(runtime), 20)
    assert call("host", "forget")[1] == {"hosts": [], "ended": 0, "exit_code": 0}


def test_host_forget_ends_all(target: Target, runtime: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hold(target)
    assert run(["host", "forget"]) == 0
    assert capfd.readouterr().out == "1 connection ended\n"
    assert wait_until(lambda: not keepers(runtime), 20)


def test_what_changes_a_host_ends_it(host: Host, target: Target) -> None:
    """Who may log in may be another one after it."""
    hold(target)
    session = Session(target)
    kept.open_to_change(session)
    session.close()
    assert wait_until(lambda: not any(one.is_active() for one in host._transports), 5)


# -- what must not use it ---------------------------------------------------------------------------------------------


def test_a_fresh_login_is_a_login(host: Host, target: Target) -> None:
    hold(target)
    with Session(target) as own:
        assert logins(host) == 2
        log_in(own, FreshLogin(), ":\n", time.monotonic() + 5)
    assert logins(host) == 3


def test_what_does_more_than_ask_logs_in(host: Host, target: Target) -> None:
    """As `host check` and `verify` do, which say whether a login works."""
    hold(target)
    report = with_session(target, silent, lambda session: HostReport("loop", "unchanged", details={"said": session.run("echo a\n").stdout}))
    assert (report.details, logins(host)) == ({"said": "a\n"}, 2)


def test_host_trust_connects(host: Host, target: Target, call: Call) -> None:
    hold(target)
    call("host", "trust", "box")
    assert logins(host) == 2


@pytest.mark.parametrize("code", ["host-key-unknown", "host-key-changed"])
def test_a_host_whose_key_is_not_trusted_any_more(host: Host, target: Target, call: Call, code: str) -> None:
    hold(target)
    host.knows(*([host.line(paramiko.ECDSAKey.generate())] if code == "host-key-changed" else []))
    host.execs.clear()
    status, report = call()
    assert (status, report["error"]["code"], host.execs) == (5, code, [])


def test_another_configuration_of_ssh_is_another_connection(host: Host, target: Target, tmp_path: Path) -> None:
    hold(target)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host 127.0.0.1\n  HostKeyAlias elsewhere\n")
    host.knows(host.line().replace(f"[127.0.0.1]:{host.port}", "elsewhere"))
    session = Session(target)
    assert kept.look(session, ":\n").status == 0
    assert session.connection is not None
    session.close()


@pytest.mark.parametrize("change", [{"user": "jane"}, {"identity": None}, {"known_hosts": None}, {"port": 1}, {"address": "localhost"}])
def test_what_a_kept_connection_is_known_by(target: Target, change: dict[str, Any]) -> None:
    changed = replace(target, **change)
    assert kept.name_of(changed, route(changed)) != kept.name_of(target, route(target))


# -- who may use it ---------------------------------------------------------------------------------------------------

ASK = """
$SIG{PIPE} = "IGNORE";
my $line = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 3;
print $line $ARGV[1];
$line->shutdown(1);
print <$line>;
"""

PRETEND = """
$| = 1;
my $listener = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 5) or exit 3;
print "listens\\n";
my $line = $listener->accept();
print <$line>;
"""


def as_user(user: int, program: str, *words: str) -> subprocess.Popen[str]:
    """In perl: the Python of the tests may be in a folder that is root's alone."""
    return subprocess.Popen(["perl", "-MIO::Socket::UNIX", "-e", program, *words], user=user, cwd="/", text=True, stdout=subprocess.PIPE)


@pytest.mark.fault("files that others own or can write")
@pytest.mark.parametrize("user", [0, NOBODY])
def test_the_socket_answers_its_user_alone(host: Host, target: Target, user: int) -> None:
    """Also where the folder is open to all. The kernel says who asks."""
    hold(target)
    folder = kept.folder()
    (file,) = folder.glob("keeper-*")
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, os.geteuid())
    folder.chmod(0o755)
    file.chmod(0o777)
    host.execs.clear()
    message = {"look": kept.name_of(target, route(target)), "script": "echo word", "timeout": 5}
    with as_user(user, ASK, str(file), json.dumps(message)) as process:
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, "word" in out, len(host.execs)) == ((0, True, 1) if user == 0 else (0, False, 0))


@pytest.mark.fault("files that others own or can write")
def test_nobody_answers_in_its_place(host: Host, target: Target, runtime: Path) -> None:
    runtime.chmod(0o777)
    with as_user(NOBODY, PRETEND, str(runtime / "false")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        (runtime / "false").rename(kept._socket_file())
        session = Session(target)
        assert kept.look(session, "echo secret word\n").stdout == "secret word\n"
        session.close()
        assert process.stdout.read().strip() == "", "it was told nothing"
    assert logins(host) >= 1


@pytest.mark.fault("files that others own or can write")
@pytest.mark.parametrize("fault", ["everybody's", "somebody's", "a link"])
def test_a_folder_that_is_not_its_users_alone(host: Host, call: Call, runtime: Path, fault: str) -> None:
    folder = runtime / f"novaops-{os.getuid()}"
    if fault == "a link":
        (runtime / "other").mkdir(mode=0o700)
        folder.symlink_to("other")
    else:
        folder.mkdir(mode=0o755 if fault == "everybody's" else 0o700)
    if fault == "somebody's":
        os.chown(folder, NOBODY, NOBODY)
    code, document = call()
    assert (code, logins(host)) == (2, 0)
    assert document["error"]["what"] == f"--persist cannot use {folder}"


SECRET = Secret("wired-Fjord-8-kite")


def test_a_sudo_password_never_gets_to_the_keeper(
    host: Host, target: Target, call: Call, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def telling(send: Callable[..., Any]) -> Callable[..., Any]:
        def tell(line: socket.socket, message: dict[str, Any], *more: float) -> Any:
            told.append(message)
            return send(line, message, *more)

        return tell

    for name in ("_tell", "_asked"):
        monkeypatch.setattr(kept, name, telling(getattr(kept, name)))
    monkeypatch.setenv("SUDO_PASSWORD", SECRET.reveal())
    write_inventory(host, sudo_password="env:SUDO_PASSWORD")  # noqa: S106 - where it is
    call()
    call()
    assert logins(host) == 2, "root needs none, so that its connection is kept"
    assert [set(message) & {"keep", "look"} for message in told] == [{"keep"}, {"look"}]
    assert SECRET.reveal() not in json.dumps(told)
    (process,) = keepers(runtime)
    held = memory(process)
    assert kept.name_of(target, route(target)).encode() in held, "what it was told is found"
    assert SECRET.reveal().encode() not in held
    assert SECRET.reveal().encode() not in Path(f"/proc/{process}/environ").read_bytes()


def test_a_login_that_may_need_a_sudo_password_is_not_kept(host: Host, target: Target, runtime: Path) -> None:
    for number in (1, 2):
        session = Session(replace(target, user="jane", sudo_password=SECRET))
        assert kept.look(session, ":\n").status == 0
        session.close()
        assert (logins(host), keepers(runtime)) == (number, [])


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.fault("connections that break")
def test_a_connection_that_is_gone(host: Host, target: Target, call: Call) -> None:
    hold(target)
    host.drop()
    code, report = call()
    assert (code, report["status"], logins(host) >= 2) == (0, "unchanged", True)
    code, report = call()
    assert (code, report["execs"]) == (0, 1), "the new one is kept"


@pytest.mark.fault("connections that break")
def test_a_host_that_says_nothing_any_more(host: Host, target: Target, call: Call) -> None:
    hold(target)
    host.falls_silent()
    code, report = call("history", "box", "--timeout", "1")
    assert (code, report["status"], report["execs"]) == (0, "unchanged", 2)
    assert call()[1]["execs"] == 1, "it is not used again"


@pytest.mark.fault("connections that break")
def test_a_look_that_is_cut_is_done_again_after_a_login(host: Host, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(target)
    drop = host.drop

    def drop_once() -> None:
        host.manners.cuts_after = None
        drop()

    monkeypatch.setattr(host, "drop", drop_once)
    host.manners.cuts_after = 45
    host.execs.clear()
    session = Session(target)
    assert kept.look(session, "echo one; echo two\n").stdout == "one\ntwo\n"
    assert (session.execs, len(host.execs)) == (2, 2)
    session.close()


@pytest.mark.fault("connections that break")
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


@pytest.mark.fault("connections that break")
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
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    (keeper,) = keepers(runtime)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    outputs = [str(Path(f"/proc/{keeper}/fd/{number}").readlink()) for number in (1, 2)]
    assert (outputs, str(Path(f"/proc/{keeper}/cwd").readlink())) == (["/dev/null", "/dev/null"], "/")
    assert not [one for one in Path(f"/proc/{keeper}/fd").iterdir() if str(one.readlink()).startswith("pipe:")]
    session = Session(replace(host.target(), persist=60.0))
    assert kept.look(session, ":\n").status == 0
    assert session.connection is None


@pytest.mark.parametrize("time_", ["60", "soon", "2h", "-1s", "1d"])
def test_a_time_that_is_none(host: Host, call: Call, time_: str) -> None:
    code, document = call("history", "box", f"--persist={time_}", persist="")
    assert (code, logins(host)) == (2, 0)
    assert document["error"]["what"] == f"--persist {time_}"
    write_inventory(host, persist=time_)
    code, document = call(persist="")
    assert (code, logins(host)) == (2, 0)
    assert f'hosts/box/persist: "{time_}" is no time such as 60s or 5m' in document["error"]["what"]


@pytest.mark.fault("hostile text")
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
