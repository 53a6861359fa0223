"""The one door to a host, against a server that can misbehave."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
import pytest

from novaops.errors import ChangedHostKey, HostFailed, LoginFailed, UnknownHostKey, Unreachable
from novaops.ssh import known_hosts
from novaops.ssh.session import ConnectionLost, NoChannel, Session, readable
from novaops.ssh.target import Target

if TYPE_CHECKING:
    from tests.loopback.conftest import Host

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here")


@pytest.mark.parametrize("status", [0, 1, 4, 5, 44, 126, 127, 255])
def test_the_exact_exit_status(host: Host, status: int) -> None:
    with Session(host.target()) as session:
        assert session.run(f"exit {status}").status == status
    assert len(host.execs) == session.execs == 1


def test_with_more_descriptors_than_select_takes(host: Host) -> None:
    """Each host of a large fleet has some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("no process may have so many files open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with Session(host.target()) as session:
            assert session.run("sleep 0.5; echo word").stdout == "word\n"
            assert readable(session.connection.transport.sock, 0) is False  # type: ignore[union-attr]
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_exec_for_each_run(host: Host) -> None:
    with Session(host.target()) as session:
        for number in range(5):
            assert session.run(f"echo {number}").stdout == f"{number}\n"
        assert list(session.follow("echo a; echo b", silence=5)) == ["a", "b"]
        assert len(host.execs) == session.execs == 6


def test_a_thousand_lines(host: Host) -> None:
    with Session(host.target()) as session:
        output = session.run("i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo line $i; done")
    assert output.stdout.splitlines() == [f"line {number}" for number in range(1, 1001)]


def test_much_on_both_streams_at_once(host: Host) -> None:
    """5 MB each: whoever read one stream to its end first would wait for ever."""
    with Session(host.target()) as session:
        output = session.run("{ head -c 5000000 /dev/zero | tr '\\0' x; } & head -c 5000000 /dev/zero | tr '\\0' y >&2; wait; exit 4")
    assert (output.status, len(output.stdout), len(output.stderr)) == (4, 5_000_000, 5_000_000)
    assert set(output.stdout) == {"x"}
    assert set(output.stderr) == {"y"}


def test_a_long_script(host: Host) -> None:
    with Session(host.target()) as session:
        script = f"main() {{\n: '{'x' * 3_000_000}'\necho done\n}}\nmain </dev/null\n"
        assert session.run(script).stdout == "done\n"


def test_only_stderr(host: Host) -> None:
    with Session(host.target()) as session:
        output = session.run("echo oh no >&2; exit 3")
    assert (output.status, output.stdout, output.stderr) == (3, "", "oh no\n")


def test_stdout_closed_early(host: Host) -> None:
    with Session(host.target()) as session:
        output = session.run("exec >&-; echo still here >&2; exit 5")
    assert (output.status, output.stdout, output.stderr) == (5, "", "still here\n")


def test_bytes_that_are_no_text(host: Host) -> None:
    with Session(host.target()) as session:
        output = session.run("printf 'caf\\351 \\377'")
    assert output.stdout.encode("utf-8", "surrogateescape") == b"caf\xe9 \xff"


def test_what_the_login_shell_prints_is_no_output(host: Host) -> None:
    host.manners.greeting = "Bienvenue !\n"
    with Session(host.target()) as session:
        output = session.run("echo out; echo err >&2")
        assert (output.stdout, output.stderr) == ("out\n", "err\n")
        assert list(session.follow("echo out", silence=5)) == ["out"]


def test_a_login_that_prints_and_waits_is_quoted(host: Host) -> None:
    host.manners.instead = "echo '1) status'; printf 'choice: '; sleep 60"
    with Session(host.target()) as session, pytest.raises(ConnectionLost) as error:
        session.run("echo out", timeout=1)
    assert error.value.why == "It printed:\n1) status\nchoice:"
    assert "give root a login shell" in error.value.fix


def test_a_login_that_prints_without_end_is_left(host: Host) -> None:
    host.manners.instead = "while echo choice:; do :; done"
    with Session(host.target()) as session, pytest.raises(HostFailed, match="prints without end"):
        session.run("echo out")


def test_a_command_that_hangs(host: Host) -> None:
    """K06."""
    with Session(host.target()) as session:
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match=r"loop .* said nothing for 1 s"):
            session.run("sleep 60", timeout=1)
        assert time.monotonic() - began < 10


def test_lines_as_they_come(host: Host, tmp_path: Path) -> None:
    """The second line is printed only after the first one was seen."""
    flag = tmp_path / "seen"
    with Session(host.target()) as session:
        lines = session.follow(f"echo one; until [ -e {flag} ]; do sleep 0.01; done; printf 'two\\nhalf'", silence=5)
        assert next(lines) == "one"
        flag.touch()
        assert list(lines) == ["two"]


def test_silence_ends_the_following(host: Host) -> None:
    with Session(host.target()) as session:
        lines = session.follow("echo one; sleep 60", silence=0.5)
        assert next(lines) == "one"
        with pytest.raises(ConnectionLost, match=r"said nothing for 0\.5 s"):
            next(lines)


def test_a_run_that_cannot_start(host: Host) -> None:
    with Session(host.target()) as session, pytest.raises(HostFailed) as failed:
        list(session.follow("echo no space >&2; exit 74", silence=5))
    assert "exit status 74" in failed.value.what
    assert failed.value.why == "no space"


@pytest.mark.parametrize("cut", [1, 60, 5000])
def test_a_connection_cut_in_the_middle(host: Host, cut: int) -> None:
    host.manners.cuts_after = cut
    with Session(host.target(2)) as session, pytest.raises(ConnectionLost) as lost:
        session.run("head -c 9000 /dev/zero | tr '\\0' x")
    assert "the connection to loop (127.0.0.1) was lost" in lost.value.what
    assert lost.value.exit_code == 5


def test_one_session_at_a_time(host: Host) -> None:
    """As with MaxSessions 1: the next command waits for the end of the one before, also of one that was left before its end."""
    host.manners.sessions = 1
    with Session(host.target()) as session:
        for number in range(4):
            assert session.run(f"echo {number}").stdout == f"{number}\n"
        for line in session.follow("echo one; sleep 0.5; echo two", silence=5):
            assert line == "one"
            break
        assert session.run("echo out").stdout == "out\n"
    assert (len(host.attempts), len(host.execs), session.execs) == (1, 6, 6)


@pytest.mark.parametrize("sessions", [1, None])
def test_a_command_beside_one_that_is_followed(host: Host, sessions: int | None) -> None:
    """Over a connection of its own where the first has no room for it."""
    host.manners.sessions = sessions
    with Session(host.target()) as session:
        lines = session.follow(f"echo one; until [ -e {host.folder}/go ]; do sleep 0.01; done; echo two", silence=5)
        assert next(lines) == "one"
        assert session.run_beside(f"touch {host.folder}/go; exit 3").status == 3
        assert list(lines) == ["two"]
    assert (len(host.attempts), len(host.execs), session.execs) == (1 if sessions is None else 2, 2, 2)


def test_a_server_that_opens_no_session_is_not_waited_for(host: Host) -> None:
    host.manners.sessions = 0
    with Session(host.target()) as session:
        began = time.monotonic()
        with pytest.raises(NoChannel) as error:
            session.run("echo out")
        assert time.monotonic() - began < 10
    assert error.value.what == "loop (127.0.0.1) lets root in, and opens no session"
    assert "MaxSessions" in error.value.why


def test_a_connection_cut_between_two_runs(host: Host) -> None:
    with Session(host.target(2)) as session:
        assert session.run("echo one").stdout == "one\n"
        host.drop()
        with pytest.raises(ConnectionLost):
            session.run("echo two")
        session.close()
        session.open()
        assert session.run("echo three").stdout == "three\n"


def test_no_word_about_the_end(host: Host) -> None:
    """Without an exit status nobody knows whether it went well."""
    host.manners.exit_status = False
    with Session(host.target()) as session, pytest.raises(ConnectionLost):
        session.run("echo one")


def test_an_unknown_host_key(host: Host) -> None:
    host.knows()
    with pytest.raises(UnknownHostKey) as error:
        Session(host.target()).open()
    assert error.value.what == "the host key of loop (127.0.0.1) is not known"
    assert known_hosts.fingerprint(host.host_key.asbytes()) in error.value.why
    assert error.value.fix.endswith("novaops host trust loop")
    assert host.execs == []


def test_a_changed_host_key(host: Host) -> None:
    other = paramiko.ECDSAKey.generate()
    host.knows("# a comment", host.line(other))
    with pytest.raises(ChangedHostKey) as error:
        Session(host.target()).open()
    assert error.value.what == "the host key of loop (127.0.0.1) has changed"
    for shown in (other, host.host_key):
        assert known_hosts.fingerprint(shown.asbytes()) in error.value.why
    assert f"{host.known_hosts}:2" in error.value.why
    assert f"ssh-keygen -R '[127.0.0.1]:{host.port}' -f {host.known_hosts}" in error.value.fix


def test_a_known_key_beside_an_old_one(host: Host) -> None:
    host.knows(host.line(paramiko.ECDSAKey.generate()), host.line())
    with Session(host.target()) as session:
        assert session.run("echo in").stdout == "in\n"


def test_a_revoked_host_key(host: Host) -> None:
    host.knows(host.line(), host.line(marker="@revoked "))
    with pytest.raises(ChangedHostKey) as error:
        Session(host.target()).open()
    assert error.value.what == "the host key of loop (127.0.0.1) is revoked"
    assert f"{host.known_hosts}:2" in error.value.why


def test_a_key_known_for_another_port_only(host: Host) -> None:
    host.knows(host.line().replace(f":{host.port} ", ":22 "))
    with pytest.raises(UnknownHostKey):
        Session(host.target()).open()


def test_a_hashed_host_key(host: Host) -> None:
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(host.known_hosts)], capture_output=True, check=True)
    assert "127.0.0.1" not in host.known_hosts.read_text()
    with Session(host.target()) as session:
        assert session.run("echo in").stdout == "in\n"


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_login_that_is_refused(host: Host, kind: str) -> None:
    host.makes_client_key(kind)
    host.manners.lets_in = False
    with pytest.raises(LoginFailed) as error:
        Session(host.target()).open()
    assert error.value.what == "loop (127.0.0.1): the login was refused"
    assert f"ssh -v -p {host.port} root@127.0.0.1" in error.value.fix


def test_a_key_file_that_is_not_there(host: Host) -> None:
    with pytest.raises(Unreachable) as error:
        Session(replace(host.target(), identity=str(host.folder / "none"))).open()
    assert str(host.folder / "none") in str(error.value)


def test_a_key_file_with_a_passphrase(host: Host) -> None:
    host.makes_client_key("ed25519", "secret")
    with pytest.raises(LoginFailed, match="identity needs a passphrase"):
        Session(host.target()).open()


def silent() -> socket.socket:
    """Accepts connections, as the kernel does for a program that is stuck, and says nothing."""
    return socket.create_server(("127.0.0.1", 0), backlog=5)


def at(port: int, address: str = "127.0.0.1", timeout: float = 1.0) -> Target:
    return Target("loop", address, port, "root", None, "/dev/null", timeout=timeout)


def test_a_server_that_never_greets_is_not_waited_for() -> None:
    with silent() as listener:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            Session(at(listener.getsockname()[1])).open()
        assert time.monotonic() - began < 10


def test_a_server_that_never_greets_is_named() -> None:
    with silent() as listener, pytest.raises(Unreachable) as error:
        Session(at(listener.getsockname()[1])).open()
    assert "accepts connections, but does not greet as ssh does" in error.value.what


def test_a_port_that_refuses() -> None:
    with silent() as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable) as error:
        Session(at(port)).open()
    assert error.value.what == f"loop (127.0.0.1): nothing answers at 127.0.0.1:{port}"
    assert "refused" in error.value.why


def test_a_name_that_cannot_be_resolved() -> None:
    with pytest.raises(Unreachable) as error:
        Session(at(22, "host.invalid")).open()
    assert error.value.what == "loop (host.invalid): the name host.invalid cannot be resolved"


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_the_command_line_says_it_in_a_sentence(flags: list[str], tmp_path: Path) -> None:
    """No traceback, neither novaops' nor one that a library logs on its own."""
    with silent() as listener:
        words = ["disk", "ls", f"root@127.0.0.1:{listener.getsockname()[1]}", "--timeout", "1", *flags]
        done = subprocess.run(
            [sys.executable, "-m", "novaops", *words],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 5
    assert "Traceback" not in done.stdout + done.stderr
    if flags:
        document = json.loads(done.stdout)
        assert (document["exit_code"], document["hosts"][0]["status"], document["hosts"][0]["error"]["code"]) == (
            5,
            "unreachable",
            "unreachable",
        )
    else:
        assert "unreachable" in done.stdout
