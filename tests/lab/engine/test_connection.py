"""The way in: host keys that are unknown or changed, and networks that lead nowhere."""

from __future__ import annotations

import base64
import fcntl
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from novaops.lab.process import wait_until
from novaops.ssh.known_hosts import fingerprint
from tests.lab.conftest import Done, Novaops
from tests.support.things import ending, write_inventory

A_FILE = {"path": "/etc/novaops-test", "content": "here\n"}


def shown(host: LabHost) -> str:
    """The fingerprint of the host's key, as ssh-keygen tells it."""
    return host.run("ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub").split()[1]


def other_key(folder: Path) -> str:
    """A public key that no host has: its type and its base64."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "other")], check=True)
    return " ".join((folder / "other.pub").read_text().split()[:2])


def key_of(line: str) -> bytes:
    return base64.b64decode(line.rsplit(maxsplit=1)[-1])


# -- host keys --------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused_and_the_line_it_prints_trusts_it(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    write_inventory(tmp_path, container, [A_FILE], known_hosts=str(known))
    refused = novaops("apply", "--json", inventory=tmp_path / "inventory.yaml")
    assert (refused.code, refused.host["status"], refused.host["error"]["code"]) == (5, "unreachable", "host-key-unknown")
    assert f"ssh-ed25519 {shown(container)}" in refused.host["error"]["why"]
    line = refused.host["error"]["fix"].partition(", then: ")[2]
    assert line == f"novaops -i {tmp_path}/inventory.yaml host trust box"
    typed = subprocess.run([sys.executable, "-m", *shlex.split(line)], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert (typed.returncode, shown(container) in typed.stdout) == (0, True), typed.stdout + typed.stderr
    assert novaops("apply", inventory=tmp_path / "inventory.yaml").code == 0
    assert ssh_takes(container, known)


def ssh_takes(host: LabHost, known: Path) -> bool:
    """Whether ssh itself finds the host's key in that file, and nothing to ask about."""
    words = ["ssh", "-F", "none", "-i", str(host.identity), "-p", str(host.port), "-o", f"UserKnownHostsFile={known}"]
    options = ["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "GlobalKnownHostsFile=none"]
    return subprocess.run([*words, *options, f"root@{host.address}", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("by_trust", [True, False])
def test_a_changed_key_is_refused_with_both_fingerprints(container: LabHost, novaops: Novaops, tmp_path: Path, *, by_trust: bool) -> None:
    known, wrong = tmp_path / "known_hosts", other_key(tmp_path)
    known.write_text(f"# a comment\n{container.address} {wrong}\n")
    file = write_inventory(tmp_path, container, known_hosts=str(known))
    verb = ["host", "trust", "box"] if by_trust else ["host", "check", "box"]
    refused = novaops(*verb, "--json", inventory=file)
    assert (refused.code, refused.host["error"]["code"]) == (5, "host-key-changed")
    for part in (fingerprint(key_of(wrong)), shown(container), f"{known}:2"):
        assert part in refused.host["error"]["why"]
    assert known.read_text() == f"# a comment\n{container.address} {wrong}\n"


@pytest.mark.parametrize("before", [b"", b"# mine\n\nother.example ssh-ed25519 AAAA \xe9\n", b"@revoked x y\r\n# no final newline"])
def test_trust_adds_one_line_and_keeps_every_byte(container: LabHost, novaops: Novaops, tmp_path: Path, before: bytes) -> None:
    known = tmp_path / "known_hosts"
    known.write_bytes(before)
    file = write_inventory(tmp_path, container, known_hosts=str(known))
    line = f"{container.address} {' '.join(container.host_key.split()[:2])}\n".encode()
    first = novaops("host", "trust", "box", "--json", inventory=file)
    assert (first.code, first.host["status"]) == (0, "changed")
    assert known.read_bytes() == before + (b"" if before.endswith(b"\n") or not before else b"\n") + line
    again = novaops("host", "trust", "box", "--json", inventory=file)
    assert (again.code, again.host["status"]) == (0, "unchanged")
    assert known.read_bytes().count(line) == 1


def test_trust_with_a_fingerprint_takes_that_key_only(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    file = write_inventory(tmp_path, container, known_hosts=str(known))
    wrong = novaops("host", "trust", "box", "--fingerprint", fingerprint(b"another"), "--json", inventory=file)
    assert (wrong.code, wrong.host["error"]["code"], known.exists()) == (5, "host-key-changed", False)
    assert shown(container) in wrong.host["error"]["why"]
    right = novaops("host", "trust", "box", "--fingerprint", shown(container), "--json", inventory=file)
    assert (right.code, right.host["status"], ssh_takes(container, known)) == (0, "changed", True)


def test_trust_that_cannot_be_written_down(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").mkdir()
    file = write_inventory(tmp_path, container, known_hosts=str(tmp_path / "known_hosts"))
    done = novaops("host", "trust", "box", "--json", inventory=file)
    assert (done.code, done.host["status"]) == (1, "failed")
    assert "cannot be written into" in done.host["error"]["what"]


def waiting_for(file: Path) -> int:
    """How many processes wait for a lock on the file."""
    inode = f":{file.stat().st_ino} "
    return sum("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_several_at_once_add_one_line(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("# mine")
    file = write_inventory(tmp_path, container, known_hosts=str(known))
    with ExitStack() as calls, known.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        started = [calls.enter_context(ending(novaops.start("host", "trust", "box", "--json", inventory=file))) for _ in range(3)]
        assert wait_until(lambda: waiting_for(known) == len(started), 60), "they do not wait for the lock of the file"
        fcntl.flock(held, fcntl.LOCK_UN)
        assert [call.wait(60) for call in started] == [0, 0, 0]
    assert known.read_text() == f"# mine\n{container.address} {' '.join(container.host_key.split()[:2])}\n"


# -- networks ---------------------------------------------------------------------------------------------------------


@contextmanager
def listener(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of this machine that takes connections and does `answer` to each."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):  # closed at the end
                while True:
                    connection, _ = server.accept()
                    taken.append(connection)
                    with suppress(OSError):
                        answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in taken:
                connection.close()


def as_http(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n")
    connection.close()


def silent(connection: socket.socket) -> None:
    del connection


def closing(connection: socket.socket) -> None:
    connection.close()


def greeting_only(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def unreachable(novaops: Novaops, folder: Path, host: LabHost, said: str, **access: object) -> Done:
    """One call that ends with 5, one sentence, and in time."""
    file = write_inventory(folder, host, [A_FILE], **access)
    began = time.monotonic()
    done = novaops("apply", "--timeout", "2", inventory=file)
    took = time.monotonic() - began
    assert (done.code, said in done.out, "Traceback" in done.text) == (5, True, False), done.text
    assert sum("✘" in line for line in done.out.splitlines()) == 1
    assert took < 2 * 2 + 6, f"it took {took:.1f} s"
    return done


@pytest.mark.long
def test_networks_that_lead_nowhere(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    here = {"address": "127.0.0.1"}
    unreachable(novaops, tmp_path, container, "nothing answers at 127.0.0.1", **here, port=closed_port())
    nobody = container.address.rsplit(".", 1)[0] + ".199"
    unreachable(novaops, tmp_path, container, f"no answer from {nobody}:22 within 2 s", address=nobody)
    unreachable(novaops, tmp_path, container, "the name nobody.invalid cannot be resolved", address="nobody.invalid")
    for answer in (silent, as_http, closing):
        with listener(answer) as port:
            said = f"127.0.0.1:{port} accepts connections, but does not greet as ssh does"
            unreachable(novaops, tmp_path, container, said, **here, port=port)
    with listener(greeting_only) as port:
        said = f"127.0.0.1:{port} accepts connections, but no ssh session came of it within 2 s"
        unreachable(novaops, tmp_path, container, said, **here, port=port)
        done = novaops("host", "trust", "box", "--timeout", "2", inventory=tmp_path / "inventory.yaml")
        assert (done.code, said in done.out) == (5, True), done.text


def test_no_route_to_a_host(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    nobody = container.address.rsplit(".", 1)[0] + ".198"
    file = write_inventory(tmp_path, container, [A_FILE], address=nobody)
    done = novaops("apply", "--timeout", "10", inventory=file)
    assert (done.code, f"nothing answers at {nobody}:22" in done.out, "No route to host" in done.out) == (5, True, True), done.text


def test_a_login_that_is_refused(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    other_key(tmp_path)
    done = unreachable(novaops, tmp_path, container, "the login was refused", identity=str(tmp_path / "other"))
    assert f"ssh -v -p 22 root@{container.address}" in done.out
    unreachable(novaops, tmp_path, container, "there is no key file", identity=str(tmp_path / "missing"))
    container.run("usermod -s /usr/sbin/nologin plain")
    file = write_inventory(tmp_path, container, [A_FILE], user="plain")
    done = novaops("apply", inventory=file)
    assert (done.code, "plain can run nothing on box" in done.out) == (1, True), done.text


# -- logins that run nothing ------------------------------------------------------------------------------------------

CLOUD_INIT = (
    r"""no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo 'Please login as the user \"ubuntu\" rather than """
    r"""the user \"root\".';echo;sleep 1;exit 142" """
)
"""What cloud-init writes before root's key; there it sleeps for 10 s."""

MENU = "#!/bin/sh\necho '1) status'; while printf 'choice: '; do read -r x || exit 3; echo 'no such choice'; done\n"

LOGINS = {
    "cloud-init on root's key": (
        *("root", "cat /srv/options ~/.ssh/authorized_keys >/srv/keys; cp /srv/keys ~/.ssh/authorized_keys"),
        *("rather than the user", "use ubuntu@{address}"),
    ),
    "nologin": ("plain", "usermod -s /usr/sbin/nologin plain", "", "give plain a login shell"),
    "a shell that ends": ("plain", "usermod -s /bin/false plain", "Its login shell printed nothing.", "give plain a login shell"),
    "a menu": ("plain", "chmod 755 /srv/menu; usermod -s /srv/menu plain", "no such choice", "or log in as another user"),
    "sftp only": (
        "plain",
        "sed -i 's/^/command=\"internal-sftp\" /' ~plain/.ssh/authorized_keys",
        "sftp connections only",
        "no forced command",
    ),
    "a forced command": ("plain", "sed -i 's/^/command=\"echo backup\" /' ~plain/.ssh/authorized_keys", "backup", "no forced command"),
    "an expired password": ("plain", "chage -d 0 plain", "Your password has expired", "set a new password: ssh -t plain@{address}"),
}


@pytest.mark.parametrize("login", LOGINS)
def test_a_login_that_runs_nothing(container: LabHost, novaops: Novaops, tmp_path: Path, login: str) -> None:
    """What the host printed is said, and what to do about it; with a sudo password at hand it ends the same way."""
    user, change, said, fix = LOGINS[login]
    container.run("cat >/srv/menu", stdin=MENU)
    container.run("cat >/srv/options", stdin=CLOUD_INIT)
    container.run(change)
    for access in ({}, {"sudo_password": "env:LAB_PASSWORD"}):
        file = write_inventory(tmp_path, container, [A_FILE], user=user, **access)
        done = novaops("plan", "--json", "--timeout", "3", inventory=file, env={"LAB_PASSWORD": "x"})
        error = done.host["error"]
        waits = login == "a menu" and access  # for its input: nothing is sent before the login has shown that it runs commands
        assert (("choice:" if waits else said) in error["why"], fix.format(address=container.address) in error["fix"]) == (True, True), (
            error
        )
        assert (done.code, "can run nothing" in error["what"]) == (1, True) or waits, error


def test_a_restricted_shell_is_enough(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("usermod -s /bin/rbash nova")
    assert novaops("apply", inventory=write_inventory(tmp_path, container, [A_FILE], user="nova")).code == 0
