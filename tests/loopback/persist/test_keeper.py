"""Who may use kept connections, and what the keeper is told and holds."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.secret import Secret
from novaops.ssh import kept
from novaops.ssh.route import route
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from tests.loopback.conftest import Host
from tests.loopback.persist.conftest import Call, hold, logins, write_inventory
from tests.support.keepers import keepers, memory

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is kept"),
]

NOBODY = 65534

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


@pytest.mark.parametrize("user", [0, NOBODY])
def test_the_socket_answers_its_user_alone(host: Host, target: Target, user: int) -> None:
    """Also where the folder is open to all. The kernel says who asks."""
    hold(target)
    folder = kept.folder()
    (file,) = folder.glob("keeper-*")
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, os.geteuid())
    folder.chmod(0o755)
    file.chmod(0o777)
    ran = host.folder / "ran"
    message = {"look": kept.name_of(target, route(target)), "script": f"touch {ran}; echo word", "timeout": 5, "persist": 60}
    with as_user(user, ASK, str(file), json.dumps(message)) as process:
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, "word" in out, ran.exists()) == (0, user == 0, user == 0)


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
