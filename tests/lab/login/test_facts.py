"""What a real host says of its ssh server and its accounts; a user who is made, logs in, and is gone again without a trace."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from novaops.engine.query import ask
from novaops.errors import HostFailed
from novaops.facts.account import AccountNamed, Accounts
from novaops.facts.sshd import Caller, SshdEffective, SshdState
from novaops.facts.succeeds import Succeeds
from novaops.lab.host import LabHost
from novaops.model.action import Command
from novaops.model.question import Facts, Missing, Question
from novaops.resources.user import User
from novaops.shell import PREAMBLE, join
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from tests.support.things import holds, wait_on

TABLES = "cd /etc; for f in passwd group shadow gshadow subuid subgid; do sha256sum $f; stat -c %a:%u:%g $f; done; ls -A /home /var/mail"


def session(host: LabHost, user: str = "root") -> Session:
    return Session(Target(host.name, host.address, host.port, user, str(host.identity), str(host.known_hosts)))


def asked(host: LabHost, *questions: Question[Any]) -> Facts:
    with session(host) as opened:
        return ask(opened, questions)


def test_the_server_as_it_is_set_up(container: LabHost) -> None:
    """In one session, as the running sshd takes nobody in while its directory is gone."""
    container.run(
        "cd /etc/ssh; mkdir deep; echo 'MaxSessions 7' >deep/b.conf; echo 'Include deep/b.conf' >deep/a.conf;"
        "printf '# caf\\351\\nPasswordAuthentication no\\n' >sshd_config.d/60-cloud.conf;"
        "{ echo 'Include=deep/a.conf'; cat sshd_config; echo 'Match User plain Address 192.0.2.*'; echo ' AllowUsers plain root'; } >new;"
        "mv new sshd_config; rm -f sshd_config.d/.*.conf"
    )
    plain, near, nobody = SshdEffective("plain", "192.0.2.7"), SshdEffective("plain"), SshdEffective("nobody of this name")
    with session(container, "nova") as opened:
        opened.run("rm -r /run/sshd")
        facts = ask(opened, [Caller(), SshdState(), plain, near, nobody])
        caller, state = facts.known(Caller()), facts.known(SshdState())
        assert (caller.user, caller.local_address, caller.local_port) == ("nova", container.address, 22)
        assert caller.address == container.run("echo ${SSH_CONNECTION%% *}").strip()
        assert list(state.files) == [
            f"/etc/ssh/{name}" for name in ("sshd_config", "deep/a.conf", "sshd_config.d/60-cloud.conf", "deep/b.conf")
        ]
        assert state.files["/etc/ssh/sshd_config.d/60-cloud.conf"] == "# caf\udce9\nPasswordAuthentication no\n"
        assert (state.program, state.version, state.complaint) == ("/usr/sbin/sshd", (9, 2), "")
        assert (state.units, state.accept) == ({"ssh.service": "active", "ssh.socket": "inactive"}, False)
        assert (state.directory, state.nologin) == (True, False)
        for one, users in ((plain, ("plain", "root")), (near, None), (nobody, None)):
            settings = facts.known(one)
            assert (settings["passwordauthentication"], settings["maxsessions"], settings.get("allowusers")) == (("no",), ("7",), users)

        container.run("echo 'Passwordlogin yes' >/etc/ssh/sshd_config.d/70-bad.conf; touch /run/nologin")
        facts = ask(opened, [SshdState(), plain, Accounts()])
        state = facts.known(SshdState())
        assert state.complaint.startswith("/etc/ssh/sshd_config.d/70-bad.conf: line 1: Bad configuration option: Passwordlogin\n")
        assert state.nologin
        refused: tuple[Question[Any], ...] = (plain, Accounts())
        for question in refused:
            with pytest.raises(HostFailed) as failed:
                facts[question]
            assert failed.value.why == state.complaint


def test_a_server_that_a_socket_starts(container: LabHost) -> None:
    container.run("systemctl disable --now ssh.service; systemctl enable --now ssh.socket")
    wait_on(container, "true")
    assert asked(container, SshdState()).known(SshdState()).units["ssh.socket"] == "active"


def test_an_account_of_which_the_host_says_that_it_has_expired_gets_nobody_in(container: LabHost) -> None:
    days = {"yesterday": -1, "today": 0, "tomorrow": 1}
    for name, number in days.items():
        container.run(f"useradd -m -p '*' {name}; chage -E $(($(date +%s) / 86400 + {number})) {name}; cp -r /root/.ssh /home/{name}")
        container.run(f"chown -R {name}: /home/{name}/.ssh")
    facts = asked(container, Accounts(), *map(AccountNamed, days))
    assert (
        [(name, facts.known(AccountNamed(name)).expired) for name in days]
        == [(name, not _gets_in(container, name)) for name in days]
        == [("yesterday", True), ("today", True), ("tomorrow", False)]
    )
    listed = facts.known(Accounts()).accounts
    assert [(account.name, account.password, account.keys and len(account.keys.lines)) for account, _ in listed] == [
        *(("root", "none", 1), ("nova", "barred", 1), ("operator", "set", 1), ("plain", "barred", 1)),
        *((name, "none", 1) for name in days),
    ]


def _gets_in(host: LabHost, name: str) -> bool:
    return subprocess.run(host.ssh_command("true", user=name), capture_output=True, check=False).returncode == 0


@pytest.mark.long
def test_a_user_goes_without_a_trace_and_takes_nothing_along(container: LabHost) -> None:
    """The key is kept elsewhere, so that a login leaves nothing in the home."""
    container.run(
        "mkdir /etc/ssh/keys; cp /root/.ssh/authorized_keys /etc/ssh/keys/netlab; chmod -R a+rX /etc/ssh/keys;"
        "echo 'AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u' >/etc/ssh/sshd_config.d/keys.conf; systemctl restart ssh"
    )
    user = User("netlab")
    [step] = user.plan(Facts({AccountNamed("netlab"): Missing.ABSENT, Succeeds("getent group -- netlab"): False}, {}))
    make = step.actions[0]
    assert isinstance(make, Command)
    assert make.undo
    before = container.run(TABLES)

    def do(command: Command) -> None:
        container.run(f"{PREAMBLE}{join(command.words)}")
        assert holds(container, command.holds)

    do(make)
    assert container.run("id -un; pwd; echo $SHELL", user="netlab") == "netlab\n/home/netlab\n/bin/bash\n"
    container.run("mkdir .cache; touch .cache/motd.legal-displayed", user="netlab")
    with subprocess.Popen(container.ssh_command("cat", user="netlab"), stdin=subprocess.PIPE) as login:
        wait_on(container, "grep -qx cat /proc/[0-9]*/comm")
        there = container.run(TABLES)
        with pytest.raises(HostFailed) as failed:
            do(make.undo)
        assert "netlab is not removed while it is logged in or at work: sshd (" in failed.value.why
        assert container.run(TABLES) == there
        login.communicate()
    do(make.undo)
    assert container.run(TABLES) == before

    do(make)
    container.run("echo mine >.bash_history", user="netlab")
    do(make.undo)
    assert container.run("cat /home/netlab/.bash_history; rm -r /home/netlab") == "mine\n"
    assert container.run(TABLES) == before
