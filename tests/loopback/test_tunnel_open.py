"""`novaops tunnel open` against a server of our own, as a person runs it: the process, its signals, its exit code."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
import pytest

from novaops.engine.local_forward import LocalTunnel
from novaops.errors import HostFailed
from novaops.features.tunnel import local_settings

if TYPE_CHECKING:
    from tests.loopback.conftest import Host

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here")

SECONDS = 20


class Service:
    """Takes connections; says to each what `answer` makes of all that it sent."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line:
            said = b"".join(iter(lambda: line.recv(65_536), b""))
            line.sendall(self._answer(said))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Service]:
    made = Service(lambda said: said)
    yield made
    made.close()


def words(host: Host, *more: str, flags: tuple[str, ...] = ()) -> list[str]:
    inventory = host.folder / "inventory.yaml"
    access = f"address: 127.0.0.1:{host.port}, user: root, identity: {host.identity}, known_hosts: {host.known_hosts}"
    inventory.write_text(f"hosts:\n  loop: {{{access}}}\n")
    return [sys.executable, "-m", "novaops", *flags, "-i", str(inventory), "tunnel", "open", "loop", *more]


def environment() -> dict[str, str]:
    """Where Python keeps back what it prints into a pipe."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def ran(host: Host, *more: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A call that does not come to be open."""
    done = subprocess.run(words(host, *more, flags=flags), cwd=host.folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@contextmanager
def opened(host: Host, *more: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """A call that is open, and its document."""
    with subprocess.Popen(
        words(host, "--json", *more), cwd=host.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                assert selector.select(SECONDS), "it printed nothing"
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield process, json.loads(line)
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def asked(port: int, data: bytes, address: str = "127.0.0.1") -> bytes:
    """All that comes back for `data`, which is sent while reading."""
    with socket.create_connection((address, port), SECONDS) as line:

        def send() -> None:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        found = b"".join(iter(lambda: line.recv(65_536), b""))
        sender.join()
    return found


class FirstSaysThenHears:
    """Says a word and that it has no more to say; then hears everything."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, suppress(OSError):
                line.sendall(b"go on")
                line.shutdown(socket.SHUT_WR)
                with line.makefile("rb") as said:
                    self.heard.append(said.read())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._listener.close()


def closed(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) != 0


def test_it_says_where_at_once_and_stays_until_it_is_told(host: Host, echo: Service) -> None:
    with opened(host, "--to", f"127.0.0.1:{echo.port}") as (process, document):
        (forward,) = document["forwards"]
        port = forward["port"]
        assert document == {
            "host": "loop",
            "forwards": [{"to": f"127.0.0.1:{echo.port}", "listen": f"127.0.0.1:{port}", "port": port}],
            "exit_code": 0,
        }
        assert asked(port, b"hello") == b"hello"
        assert process.poll() is None
        assert ended(process) == (0, "", "")
        assert closed(port)
    assert host.execs == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_closes_though_connections_are_open(host: Host, echo: Service, number: int) -> None:
    with (
        opened(host, "--to", f"127.0.0.1:{echo.port}") as (process, document),
        socket.create_connection(("127.0.0.1", document["forwards"][0]["port"]), SECONDS) as line,
    ):
        line.sendall(b"begun")
        assert ended(process, number) == (0, "", "")
        with suppress(ConnectionResetError):
            assert line.recv(10) == b""


def test_what_goes_through_is_byte_for_byte_the_same(host: Host, echo: Service) -> None:
    """T01, both ways at once: 50 MB, and a program."""
    big = secrets.token_bytes(50_000_000)
    with opened(host, "--to", f"127.0.0.1:{echo.port}") as (process, document):
        port = document["forwards"][0]["port"]
        for data in (Path("/bin/ls").read_bytes(), big):
            assert hashlib.sha256(asked(port, data)).digest() == hashlib.sha256(data).digest()
        assert ended(process)[0] == 0


def test_who_has_said_everything_is_still_heard(host: Host) -> None:
    first = FirstSaysThenHears()
    big = secrets.token_bytes(5_000_000)
    with opened(host, "--to", f"127.0.0.1:{first.port}") as (process, document):
        with socket.create_connection(("127.0.0.1", document["forwards"][0]["port"]), SECONDS) as line:
            assert b"".join(iter(lambda: line.recv(10), b"")) == b"go on"
            line.sendall(big)
            line.shutdown(socket.SHUT_WR)
            line.settimeout(SECONDS)
            first.close()
        assert ended(process)[0] == 0
    assert first.heard == [b"", big], "the proof, and the connection"


def test_a_tunnel_through_a_tunnel(host: Host, echo: Service) -> None:
    """T01, chained: the second one logs in through the first one's port."""
    big = secrets.token_bytes(20_000_000)
    with opened(host, "--to", f"127.0.0.1:{host.port}") as (first, outer):
        port = outer["forwards"][0]["port"]
        host.knows(host.line(), host.line().replace(f":{host.port} ", f":{port} "))
        inner = ["--to", f"127.0.0.1:{echo.port}"]
        before, host.port = host.port, port
        with opened(host, *inner) as (second, document):
            host.port = before
            assert asked(document["forwards"][0]["port"], big) == big
            assert ended(second)[0] == 0
        assert ended(first)[0] == 0


def test_many_at_once(host: Host, echo: Service) -> None:
    found: dict[int, bytes] = {}
    with opened(host, "--to", f"127.0.0.1:{echo.port}") as (process, document):
        port = document["forwards"][0]["port"]

        def ask(number: int) -> None:
            found[number] = asked(port, b"%d" % number * 10_000)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {number: b"%d" % number * 10_000 for number in range(30)}
        assert ended(process)[0] == 0


def test_several_ways_each_with_its_port(host: Host, echo: Service) -> None:
    other = Service(lambda said: said[::-1])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    flags = ("--to", f"127.0.0.1:{echo.port}", "--listen", "[::1]:0", "--to", f"127.0.0.1:{other.port}", "--listen", str(port))
    with opened(host, *flags) as (process, document):
        one, two = document["forwards"]
        assert (one["listen"], two["listen"]) == (f"[::1]:{one['port']}", f"127.0.0.1:{port}")
        assert (asked(one["port"], b"abc", "::1"), asked(port, b"abc")) == (b"abc", b"cba")
        assert closed(one["port"])
        assert ended(process)[0] == 0
    other.close()


def test_a_port_that_is_taken_is_named_and_nothing_is_contacted(host: Host, echo: Service) -> None:
    done = ran(host, "--to", "127.0.0.1:80", "--listen", f"127.0.0.1:{echo.port}")
    assert done.returncode == 2
    assert f"--listen 127.0.0.1:{echo.port} cannot be listened on" in done.stderr
    assert "Another program listens there." in done.stderr
    assert host.attempts == []


def test_a_target_that_refuses(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = ran(host, "--to", f"127.0.0.1:{port}", flags=("--json",))
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["what"] == f"loop (127.0.0.1) does not reach 127.0.0.1:{port}"


def test_eves_page_is_led_to_where_it_listens(host: Host, echo: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nothing = free.getsockname()[1]
    for ports in ((echo.port, nothing), (nothing, echo.port)):
        monkeypatch.setattr(local_settings, "EVE_PORTS", ports)
        (wanted,) = local_settings.forwards(["eve"], [], lambda _: ("", 0))
        with LocalTunnel(host.target(), [wanted], print) as tunnel:
            (forward,) = tunnel.forwards
            assert forward.port == echo.port
            assert asked(forward.listen_port, b"page") == b"page"
    monkeypatch.setattr(local_settings, "EVE_PORTS", (nothing, nothing))
    with pytest.raises(HostFailed) as failed, LocalTunnel(host.target(), [wanted], print):
        pass
    assert f"does not reach 127.0.0.1:{nothing}" in failed.value.what


def test_a_server_that_forwards_nothing(host: Host, echo: Service) -> None:
    host.manners.forwards = False
    done = ran(host, "--to", f"127.0.0.1:{echo.port}")
    assert done.returncode == 1
    assert f"loop (127.0.0.1) does not forward to 127.0.0.1:{echo.port}" in done.stderr


def test_a_connection_that_is_refused_later_is_told_and_the_others_go_on(host: Host, echo: Service) -> None:
    late = Service(lambda said: said)
    with opened(host, "--to", f"127.0.0.1:{late.port}", "--to", f"127.0.0.1:{echo.port}") as (process, document):
        one, two = (forward["port"] for forward in document["forwards"])
        late.close()
        with socket.create_connection(("127.0.0.1", one), SECONDS) as line:
            assert line.recv(1) == b""
        assert asked(two, b"on") == b"on"
        code, out, err = ended(process)
    assert (code, out) == (0, "")
    assert err.splitlines() == [f"loop (127.0.0.1) did not reach 127.0.0.1:{late.port}: {err.rpartition(': ')[2].strip()}"]


def test_the_connection_to_the_host_is_lost(host: Host, echo: Service) -> None:
    with opened(host, "--to", f"127.0.0.1:{echo.port}") as (process, document):
        host.drop()
        out, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, out) == (5, "")
        assert "the connection to loop (127.0.0.1) was lost, and the tunnel with it" in err
        assert "Traceback" not in err
        assert closed(document["forwards"][0]["port"])


def test_a_host_that_says_nothing_any_more_is_given_up(host: Host, echo: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is there, and nobody answers: 15 s between two questions, and the time-out."""
    from novaops.engine import local_forward
    from novaops.errors import Unreachable
    from novaops.features.tunnel.local_settings import LocalForward

    monkeypatch.setattr(local_forward, "KEEPALIVE", 0.5)
    with local_forward.LocalTunnel(host.target(1), [LocalForward("127.0.0.1", echo.port)], print) as tunnel:
        began = time.monotonic()
        tunnel.serve_until(lambda: time.monotonic() - began > 3)
        host.falls_silent()
        with pytest.raises(Unreachable, match="was lost") as lost:
            tunnel.serve_until(lambda: time.monotonic() - began > SECONDS)
        assert "Nothing was heard" in lost.value.why
    left = [thread for thread in threading.enumerate() if thread.name.startswith(("Srv-", "alive"))]
    for thread in left:  # they end by themselves, a moment after the connection
        thread.join(SECONDS)
    assert not [thread for thread in left if thread.is_alive()]


def test_interrupted_before_anything_is_open(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=5) as silent:
        host.port = silent.getsockname()[1]
        with subprocess.Popen(words(host, "--to", "127.0.0.1:80"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            line, _ = silent.accept()
            with line:
                line.recv(1)
                code, out, err = ended(process)
    assert (code, out) == (130, "")
    assert err.strip() == "Interrupted before anything was open."


def test_an_unknown_host_key(host: Host, echo: Service) -> None:
    host.knows()
    done = ran(host, "--to", f"127.0.0.1:{echo.port}")
    assert done.returncode == 5
    assert "the host key of loop (127.0.0.1) is not known" in done.stderr
    assert f"novaops -i {host.folder}/inventory.yaml host trust loop" in done.stderr
    assert host.attempts == [[]]


def test_a_changed_host_key(host: Host, echo: Service) -> None:
    other = paramiko.ECDSAKey.generate()
    host.knows(f"[127.0.0.1]:{host.port} {other.get_name()} {base64.b64encode(other.asbytes()).decode()}")
    done = ran(host, "--to", f"127.0.0.1:{echo.port}")
    assert done.returncode == 5
    assert "the host key of loop (127.0.0.1) has changed" in done.stderr
    assert host.attempts == [[]]


def wrong_key(host: Host) -> None:
    host.manners.lets_in = False


def no_key(host: Host) -> None:
    host.identity.unlink()


def encrypted_key(host: Host) -> None:
    host.makes_client_key("ed25519", "secret")


def nobody_there(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        host.port = free.getsockname()[1]


FAULTS: dict[Callable[[Host], None], str] = {
    wrong_key: "the login was refused",
    no_key: "there is no key file",
    encrypted_key: "needs a passphrase",
    nobody_there: "nothing answers at",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_in_its_own_words(host: Host, fault: Callable[[Host], None]) -> None:
    """T05."""
    fault(host)
    done = ran(host, "--to", "127.0.0.1:80")
    assert (done.returncode, done.stdout) == (5, "")
    assert FAULTS[fault] in done.stderr
    assert not any(other in done.stderr for other in FAULTS.values() if other != FAULTS[fault])


def test_a_name_that_cannot_be_resolved(host: Host) -> None:
    command = [sys.executable, "-m", "novaops", "tunnel", "open", "root@host.invalid", "--to", "127.0.0.1:80"]
    done = subprocess.run(command, cwd=host.folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 5
    assert "the name host.invalid cannot be resolved" in done.stderr


def test_through_a_jump_host(host: Host, echo: Service) -> None:
    """ProxyJump of ~/.ssh/config; its key is checked too."""
    folder = host.folder / ".ssh"
    folder.mkdir()
    both = f"  HostName 127.0.0.1\n  Port {host.port}\n  User root\n  IdentityFile {host.identity}\n"
    both += f"  UserKnownHostsFile {host.known_hosts}\n"
    config = f"Host jump\n{both}Host far\n  ProxyJump jump\n{both}"
    (folder / "config").write_text(config)
    (host.folder / "inventory.yaml").write_text("hosts:\n  far: {}\n")
    command = [sys.executable, "-m", "novaops", "tunnel", "open", "far", "--to", f"127.0.0.1:{echo.port}", "--json"]
    with subprocess.Popen(command, cwd=host.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        assert asked(json.loads(line)["forwards"][0]["port"], b"far") == b"far"
        assert len(host.attempts) == 2
        assert ended(process) == (0, "", "")
