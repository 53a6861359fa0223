"""The new login breaks from outside, behind the reload of sshd and before the fresh login: the host puts itself back.

The way to the host leads through a relay that lets no second connection in until the mischief is done.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from novaops.lab.container import Container, _init_of
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.shell import quote
from tests.lab.conftest import Done, Novaops
from tests.lab.engine.test_guard import WITHIN, Inside, end_of, through
from tests.support.doors import OPERATOR_PASSWORD, SNAPSHOT, activated_by_socket, lets_in, settings, with_operator_password
from tests.support.relay import Relay
from tests.support.things import LEFTOVERS, ending

PW = {"PW": "wired-Fjord-88"}
ALLOW = ("allow", "--user", "netlab", "--password", "env:PW")
SERVES = "systemctl is-active ssh.socket ssh.service || true"


class OneAtFirst(Relay):
    """A relay that takes the first connection, and no other one until it is open."""

    open = False

    @property
    def refusing(self) -> bool:
        return not self.open and self.connections > 1

    @refusing.setter
    def refusing(self, _: bool) -> None: ...


@dataclass(frozen=True)
class Victim:
    """A host that is as it was at the end of each test: that is what they show."""

    host: Container
    novaops: Novaops
    folder: Path

    @property
    def inside(self) -> Inside:
        return Inside(self.host)

    def login(self, *words: str) -> Done:
        """Straight, with nobody in the way."""
        return self.novaops("login", words[0], self.host.name, *words[1:], "--guard", "10", "--json", env=PW)

    @contextmanager
    def held(self, *words: str) -> Iterator[tuple[subprocess.Popen[str], OneAtFirst]]:
        """The same through the relay, come as far as the fresh login."""
        with OneAtFirst((self.host.address, self.host.port)) as relay:
            file = through(self.inside, self.folder, relay)
            words = ("login", words[0], self.host.name, *words[1:], "--guard", "10", "--json", "--timeout", "5")
            with ending(self.novaops.start(*words, inventory=file, env=PW)) as process:
                self.inside.wait_for("guarded 0")
                yield process, relay

    def broken(self, mischief: str, *words: str) -> Done:
        with self.held(*words) as (process, relay):
            self.inside(mischief)
            relay.open = True
            return end_of(process)

    def state(self) -> str:
        return self.inside(SNAPSHOT + SERVES)

    def is_back(self, before: str) -> None:
        """As it was, with an sshd that takes keys, and nothing of the run about."""
        assert self.state() == before
        assert not self.inside.holds("getent passwd netlab")
        assert self.host.run("echo here") == "here\n"
        assert self.inside.settled() == ""
        assert self.inside(LEFTOVERS) == ""

    def works_now(self, before: str) -> None:
        """The same line, with nobody in its way; and it can be taken back."""
        done = self.login(*ALLOW)
        assert (done.code, done.host["status"], done.host["fresh_logins"]) == (0, "changed", 1), done.text
        assert lets_in(self.host, "netlab", PW["PW"]) == [True]
        assert self.novaops("undo", self.host.name).code == 0
        assert self.state() == before


@pytest.fixture(scope="module")
def _older(lab: Lab, _container: LabHost) -> LabHost:
    return with_operator_password(lab.reset(_container.name))


@pytest.fixture(scope="module")
def _socket(lab: Lab, _newer: LabHost) -> LabHost:
    """Debian 13 behind a socket. Its sshd would ban whoever is refused as often as here."""
    host = with_operator_password(lab.reset(_newer.name))
    settings(host, {"70-patient.conf": "PerSourcePenalties no\n"})
    activated_by_socket(host)
    return host


@pytest.fixture
def victim(request: pytest.FixtureRequest, novaops: Novaops, tmp_path: Path) -> Victim:
    host = request.getfixturevalue(getattr(request, "param", "_older"))
    assert isinstance(host, Container)
    host.run("rm -rf /var/lib/novaops")
    return Victim(host, novaops, tmp_path)


on_both = pytest.mark.parametrize(
    "victim", [pytest.param("_older", id="bookworm", marks=pytest.mark.long), pytest.param("_socket", id="trixie socket")], indirect=True
)


def rolled_back(done: Done) -> str:
    """What it says of that."""
    assert (done.code, done.host["status"], done.host["error"]["code"]) == (1, "rolled_back", "rolled-back"), done.text
    assert {step["status"] for step in done.host["steps"]} == {"rolled_back"}
    assert "All of it was taken back. Looked at again" in done.host["error"]["why"], done.text
    return str(done.host["error"]["what"])


DENIED = "/etc/ssh/sshd_config.d/99-deny.conf"
NO_KEYS = "/etc/ssh/sshd_config.d/00-aaa.conf"


@pytest.mark.parametrize(
    ("mischief", "mend"),
    [
        pytest.param(f"echo 'DenyUsers netlab' >{DENIED}; systemctl restart ssh", f"rm {DENIED}; systemctl restart ssh", id="DenyUsers"),
        pytest.param("usermod -L netlab", ":", id="the account is locked"),
    ],
)
def test_a_login_that_is_refused(victim: Victim, mischief: str, mend: str) -> None:
    """It is tried once, and the host is told at once."""
    before = victim.state()
    done = victim.broken(mischief, *ALLOW)
    assert "the login of netlab by password was refused" in rolled_back(done)
    assert "fired" not in victim.inside.events()
    victim.inside(mend)
    victim.is_back(before)
    victim.works_now(before)


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param("_older", id="bookworm"),
        pytest.param("_socket", id="trixie socket"),
    ],
    indirect=True,
)
@pytest.mark.long
def test_an_sshd_that_was_killed_and_stopped_runs_again(victim: Victim) -> None:
    before = victim.state()
    done = victim.broken("kill -9 $(cat /run/sshd.pid); systemctl stop ssh.socket ssh.service", *ALLOW)
    rolled_back(done)
    victim.is_back(before)
    victim.works_now(before)


@pytest.mark.long
def test_a_firewall_that_takes_no_new_connections(victim: Victim) -> None:
    before = victim.state()
    assert victim.host.state.process is not None
    nft = ["nsenter", "--net", "-t", str(_init_of(victim.host.state.process.pid)), "nft"]
    chain = "add table ip mischief; add chain ip mischief in { type filter hook input priority 0; }"
    drop = f"{chain}; add rule ip mischief in tcp dport 22 tcp flags & (syn | ack) == syn reject with tcp reset"
    with victim.held(*ALLOW) as (process, relay):
        subprocess.run([*nft, drop], check=True)
        relay.open = True
        done = end_of(process)
    rolled_back(done)
    subprocess.run([*nft, "delete table ip mischief"], check=True)
    victim.is_back(before)
    victim.works_now(before)


@pytest.mark.long
@on_both
def test_novaops_killed_before_the_login(victim: Victim) -> None:
    before = victim.state()
    with victim.held(*ALLOW) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert lets_in(victim.host, "netlab", PW["PW"]) == [True], "it is not yet taken back"
        victim.inside.wait_for("end rolled_back", WITHIN)
    assert "\nfired 0\n" in victim.inside.events()
    victim.is_back(before)
    victim.works_now(before)


@pytest.mark.long
def test_a_link_that_is_cut_before_the_login(victim: Victim) -> None:
    """Whether novaops was at the login already or not: the host says that nobody confirmed it, and why novaops could not is beside it."""
    before = victim.state()
    cursor = victim.inside("journalctl --sync; journalctl -n 0 --show-cursor").partition("cursor: ")[2].strip()
    with victim.held(*ALLOW) as (process, relay):
        relay.cut()
        victim.inside.wait_for("end rolled_back", WITHIN)
        victim.is_back(before)
        relay.open = True
        done = end_of(process)
    assert "nobody confirmed it within 10 s" in rolled_back(done)
    assert "Failed password" not in victim.inside(f"journalctl --sync; journalctl -o cat -t sshd --after-cursor='{cursor}'")
    victim.works_now(before)


def test_deny_without_a_key_that_works(victim: Victim) -> None:
    before = victim.state()
    assert lets_in(victim.host, "operator", OPERATOR_PASSWORD) == [True]
    done = victim.broken(f"printf 'Match User root\\n AuthorizedKeysFile none\\n' >{NO_KEYS}; systemctl restart ssh", "deny")
    assert "the login was refused" in rolled_back(done)
    assert lets_in(victim.host, "operator", OPERATOR_PASSWORD) == [True]
    victim.inside(f"rm {NO_KEYS}; systemctl restart ssh")
    victim.is_back(before)
    denied = victim.login("deny")
    assert (denied.code, denied.host["status"]) == (0, "changed"), denied.text
    assert lets_in(victim.host, "operator", OPERATOR_PASSWORD) == [False]
    assert victim.novaops("undo", victim.host.name).code == 0
    assert victim.state() == before


HANGS = """\
#!/bin/sh
case $1 in
  restart | reload* | stop) if [ -e /run/hangs ]; then echo >>/run/hangs; [ $(wc -l </run/hangs) -gt TIMES ] || exec sleep 1000; fi ;;
esac
exec /usr/bin/systemctl "$@"
"""


@pytest.mark.parametrize(
    ("times", "seconds", "why"),
    [
        pytest.param(1, 18, "All of it was taken back.", id="once", marks=pytest.mark.long),
        pytest.param(9, 60, "Not all of it could be taken back.", id="when it is taken back too", marks=pytest.mark.long),
    ],
)
@on_both
def test_a_reload_that_hangs(victim: Victim, times: int, seconds: int, why: str) -> None:
    """The guard ends a run that hangs. Where the files are back and sshd cannot be told, that is said."""
    before = victim.state()
    wrapper = quote(HANGS.replace("TIMES", str(times)))
    victim.inside(f"echo {wrapper} >/usr/local/bin/systemctl; chmod +x /usr/local/bin/systemctl; : >/run/hangs")
    began = time.monotonic()
    done = victim.login(*ALLOW)
    took = time.monotonic() - began
    victim.inside("rm /usr/local/bin/systemctl /run/hangs")
    assert (done.code, done.host["status"]) == (1, "rolled_back"), done.text
    assert why in done.host["error"]["why"]
    assert took < seconds
    assert victim.state() == before
    assert lets_in(victim.host, "netlab", PW["PW"]) == [False]
    victim.works_now(before)


PAM = {
    "pam_access": "echo '-:netlab:ALL' >>/etc/security/access.conf; sed -i '1i account required pam_access.so' /etc/pam.d/sshd",
    "pam_time": "echo 'sshd;*;netlab;!Al0000-2400' >>/etc/security/time.conf; sed -i '1i account required pam_time.so' /etc/pam.d/sshd",
    "pam_exec": "sed -i '1i auth required pam_exec.so /bin/false' /etc/pam.d/sshd",
}
"""Modules that turn a right password down; the last one asks for more than that, as an authenticator does."""


@pytest.mark.parametrize("module", [pytest.param(name, marks=() if name == "pam_access" else pytest.mark.long) for name in PAM])
def test_a_right_password_that_pam_refuses(victim: Victim, module: str) -> None:
    """PAM is named, and what the host's journal has about it."""
    victim.inside("cp -a /etc/pam.d/sshd /root/pam; cp -a /etc/security /root/")
    try:
        victim.inside(PAM[module])
        before = victim.state()
        done = victim.login(*ALLOW)
        assert "the login of netlab by password was refused" in rolled_back(done)
        why = done.host["error"]["why"]
        assert "PAM refused it (/etc/pam.d/sshd). The host's journal says:\n" in why
        # pam_time writes nothing itself.
        assert ("by PAM account configuration" if module == "pam_time" else f"{module}(sshd:") in why
        assert ":session)" not in why
        assert PW["PW"] not in done.text
        victim.is_back(before)
    finally:
        victim.inside("cp -a /root/pam /etc/pam.d/sshd; cp -a /root/security/. /etc/security/; rm -r /root/pam /root/security")
    victim.works_now(victim.state())


LATE = """\
#!/bin/sh
systemctl kill --kill-whom=main --signal=CONT systemd-journald
exec /usr/bin/journalctl "$@"
"""


def test_a_journal_that_reads_after_sshd_has_ended(victim: Victim) -> None:
    """Of a process that is gone the journal knows no program: what it said counts all the same. A busy host is like that."""
    victim.inside("cp -a /etc/pam.d/sshd /root/pam; cp -a /etc/security /root/")
    try:
        victim.inside(PAM["pam_access"])
        victim.inside("journalctl --sync; rm -rf /run/log/journal/* /var/log/journal/*; systemctl restart systemd-journald")
        victim.inside(f"echo {quote(LATE)} >/usr/local/bin/journalctl; chmod +x /usr/local/bin/journalctl")
        before = victim.state()
        done = victim.broken("systemctl kill --kill-whom=main --signal=STOP systemd-journald", *ALLOW)
        why = done.host["error"]["why"]
        assert "PAM refused it (/etc/pam.d/sshd). The host's journal says:\n" in why
        assert "pam_access(sshd:" in why
        victim.is_back(before)
    finally:
        victim.inside("systemctl kill --kill-whom=main --signal=CONT systemd-journald; rm -f /usr/local/bin/journalctl")
        victim.inside("cp -a /root/pam /etc/pam.d/sshd; cp -a /root/security/. /etc/security/; rm -r /root/pam /root/security")
    victim.works_now(victim.state())
