"""Real shapes of sshd_config on a host that keeps another way in: what status says, and what allow, deny and undo do, is what logins say.

The files are in tests/cases/sshd. What is right for each of them is what `sshd -T` and a login say. Status is asked of every file;
to change the host and take it back is long for most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pytest

from novaops.app import run
from novaops.lab.container import Container
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Done
from tests.lab.engine.test_guard import Inside
from tests.support.doors import OPERATOR_PASSWORD, SNAPSHOT, lets_in, transport
from tests.support.things import write_inventory

CASES = Path(__file__).parents[2] / "cases" / "sshd"
PW = "wired-Fjord-88"
USERS = {"root": "", "nova": PW, "operator": OPERATOR_PASSWORD, "plain": "", "pat": PW}
"""The accounts, with their passwords; "" for none. All but pat have a key."""

KEEP = "rm -rf /root/etc; mkdir /root/etc; cp -a /etc/ssh /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid /root/etc"
MEND = "rm -rf /etc/ssh /home/netlab; cp -a /root/etc/* /etc; systemctl reset-failed ssh; systemctl restart ssh"

ALLOW_REFUSED = {
    "s04": "AllowGroups names others only: ssh root ← /etc/ssh/sshd_config:8",
    "s09": "AllowGroups names others only: rsyncssh root ← /etc/ssh/sshd_config:3",
    "s11": "AuthenticationMethods asks for more than a password: publickey ← /etc/ssh/sshd_config:16",
    "s13": "AuthenticationMethods asks for more than a password: publickey keyboard-interactive:pam ← /etc/ssh/sshd_config:17",
}
DENY_REFUSED = {
    "s11": "nova: AuthenticationMethods publickey,keyboard-interactive:pam needs a password for whom it holds ← /etc/ssh/sshd_config:7",
    "s13": "nova: AuthenticationMethods publickey,keyboard-interactive:pam needs a password ← /etc/ssh/sshd_config:17",
}
BROKEN = {"s19": "Bad configuration option"}
SHORT = {"s11", "s17"}

WORKING = sorted(each.name for each in CASES.iterdir() if each.name not in BROKEN)

Call = Callable[..., Done]


@dataclass(frozen=True)
class Box:
    inside: Inside
    call: Call

    @property
    def host(self) -> LabHost:
        return self.inside.host

    def state(self) -> str:
        return self.inside(SNAPSHOT)

    def by_key(self, user: str) -> bool:
        key = paramiko.Ed25519Key.from_private_key_file(str(self.host.identity))
        with transport(self.host) as line:
            try:
                line.auth_publickey(user, key)
            except paramiko.SSHException:
                return False
            return line.is_authenticated()

    def by_password(self, user: str, password: str) -> bool:
        if not password:
            return False
        return any(lets_in(self.host, user, password, method=method)[-1] for method in ("password", "keyboard-interactive"))

    def logins(self) -> dict[str, tuple[bool, bool]]:
        """Who gets in, by password and by key."""
        return {user: (self.by_password(user, password), self.by_key(user)) for user, password in USERS.items()}

    def said(self) -> dict[str, tuple[bool | None, bool | None]]:
        """The same as `login status` has it."""
        done = self.call("login", "status", "box")
        assert done.code == 0, done.text
        answers = {login["user"]: (login["password"]["allowed"], login["key"]["allowed"]) for login in done.host["logins"]}
        return {user: answers[user] for user in USERS}


@pytest.fixture(scope="module")
def inside(lab: Lab, _container: LabHost) -> Inside:
    host = lab.reset(_container.name)
    assert isinstance(host, Container)
    found = Inside(host)
    found("useradd -m -s /bin/bash pat; ssh-keygen -A")
    host.run("chpasswd", stdin=f"nova:{PW}\npat:{PW}\noperator:{OPERATOR_PASSWORD}\n")
    found("mkdir /etc/ssh/authorized_keys; for user in root nova; do cp /root/.ssh/authorized_keys /etc/ssh/authorized_keys/$user; done")
    found("chmod 644 /etc/ssh/authorized_keys/*")
    found(KEEP)
    return found


@pytest.fixture
def box(inside: Inside, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """With every key of the host known: some of the files name other ones than the lab's own."""
    monkeypatch.setenv("PW", PW)
    host_keys = inside("cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    (tmp_path / "known_hosts").write_text("".join(f"{inside.host.address} {' '.join(key.split()[:2])}\n" for key in host_keys))
    inventory = write_inventory(tmp_path, inside.host, known_hosts=str(tmp_path / "known_hosts"))

    def call(*words: str) -> Done:
        capfd.readouterr()
        code = run(["-i", str(inventory), "--json", *words])
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    yield Box(inside, call)
    inside(MEND)
    inside.host.wait_for_ssh()


def refused(done: Done, because: str) -> None:
    assert (done.code, done.host["status"]) == (4, "refused"), done.text
    assert because in done.host["error"]["why"]


def set_up(box: Box, name: str) -> None:
    text = (CASES / name).read_bytes()
    box.host.run("cat >/etc/ssh/sshd_config", stdin=text.decode("utf-8", "surrogateescape"))
    if name not in BROKEN:
        box.inside("systemctl restart ssh")
        box.host.wait_for_ssh()


@pytest.mark.parametrize("name", WORKING)
def test_status_says_who_gets_in(box: Box, name: str) -> None:
    set_up(box, name)
    assert box.said() == box.logins()


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in SHORT else pytest.mark.long) for name in WORKING])
def test_allow_and_deny_and_the_way_back(box: Box, name: str) -> None:
    set_up(box, name)
    before, found = box.state(), box.logins()

    runs = 0
    allow = ("login", "allow", "box", "--user", "netlab", "--password", "env:PW", "--guard", "10")
    done = box.call(*allow)
    if name in ALLOW_REFUSED:
        refused(done, ALLOW_REFUSED[name])
        assert box.state() == before
    else:
        assert (done.code, done.host["status"]) == (0, "changed"), done.text
        runs += 1
        assert box.by_password("netlab", PW)
        assert box.logins() == found
        assert box.call(*allow).host["status"] == "unchanged"

    between = box.state()
    denied = box.call("login", "deny", "box", "--guard", "10")
    if name in DENY_REFUSED:
        refused(denied, DENY_REFUSED[name])
        assert box.state() == between
    else:
        assert (denied.code, denied.host["status"]) == (0, "changed"), denied.text
        runs += 1
        after = box.logins()
        assert after == box.said() == {user: (False, key) for user, (_, key) in found.items()}
        lost = {user for user, (password, key) in found.items() if password and not key}
        notes = " ".join(note["text"] for note in denied.host["notes"])
        assert lost <= set(notes.replace(",", "").split()), notes
        assert box.call("login", "deny", "box").host["status"] == "unchanged"

    for _ in range(runs):
        undone: Any = box.call("undo", "box")
        assert (undone.code, undone.host["status"]) == (0, "changed"), undone.text
    assert box.state() == before
    assert box.logins() == found


@pytest.mark.parametrize(("name", "complaint"), BROKEN.items())
def test_the_sshd_that_runs_could_not_start_again(box: Box, name: str, complaint: str) -> None:
    set_up(box, name)
    before = box.state()
    status = box.call("login", "status", "box")
    assert (status.code, status.host["status"]) == (1, "failed"), status.text
    assert complaint in status.host["complaint"]
    for words in (("allow", "box", "--user", "netlab", "--password", "env:PW"), ("deny", "box")):
        refused(box.call("login", *words), complaint)
    assert box.state() == before
