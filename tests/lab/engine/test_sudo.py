"""Root by sudo: with and without a password, with none of the rights, and never a trace of the password."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.support.doors import OPERATOR_PASSWORD, passwd, with_operator_password
from tests.support.things import LEFTOVERS, ending, wait_on, write_inventory

A_FILE = {"path": "/etc/novaops-test", "content": "here\n"}

FROM_ENVIRONMENT = {"sudo_password": "env:LAB_PASSWORD"}

STRANGE = "a'b\"c\\d\\n $(id) `id` %s %% é汉 !x #;& "
"""Quotes, backslashes, blanks (one at the end), expansions, formats, and more than ASCII."""


@pytest.fixture
def container(container: LabHost) -> LabHost:
    return with_operator_password(container)


@pytest.fixture
def newer(newer: LabHost) -> LabHost:
    return with_operator_password(newer)


def failures(host: LabHost) -> int:
    """How many passwords PAM has turned down on the host since it booted."""
    return int(host.run("journalctl --sync; journalctl -o cat | grep -c 'pam_unix(sudo:auth): authentication failure' || true"))


def test_sudo_without_a_password_is_as_good_as_root(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    file = write_inventory(tmp_path, container, [A_FILE], user="nova")
    first = novaops("apply", "--json", inventory=file)
    assert (first.code, first.host["status"], first.host["execs"]) == (0, "changed", 3)
    assert container.run("stat -c %U /etc/novaops-test") == "root\n"
    assert novaops("plan", inventory=file).code == 0
    assert novaops("history", "box", "--json", inventory=file).host["runs"][0]["end"] == "ok"
    assert novaops("undo", "box", inventory=file).code == 0
    assert container.run("ls /etc/novaops-test 2>&1 || true").startswith("ls:")


def test_the_password_comes_from_where_the_inventory_says(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(OPERATOR_PASSWORD + "\n", "utf-8")
    sources = {"env:LAB_PASSWORD": "changed", f"file:{tmp_path}/password": "unchanged", f"cmd:cat {tmp_path}/password": "unchanged"}
    for source, status in sources.items():
        file = write_inventory(tmp_path, container, [A_FILE], user="operator", sudo_password=source)
        done = novaops("apply", "--json", inventory=file, env={"LAB_PASSWORD": OPERATOR_PASSWORD})
        assert (done.code, done.host["status"]) == (0, status), (source, done.text)
    assert failures(container) == 0


def test_the_password_is_asked_for_on_a_terminal(container: LabHost, tmp_path: Path) -> None:
    file = write_inventory(tmp_path, container, [A_FILE], user="operator")
    command = [sys.executable, "-m", "novaops", "-i", str(file), "apply", "--ask-sudo-password"]
    code, said = on_a_terminal(command, asked="sudo password: ", answer=OPERATOR_PASSWORD)
    assert code == 0, said
    assert "changed" in said
    assert OPERATOR_PASSWORD not in said


def on_a_terminal(command: list[str], asked: str, answer: str) -> tuple[int, str]:
    """The exit code of a command and what it shows on a terminal, where somebody answers its question once."""
    ours, theirs = pty.openpty()
    said = b""
    try:
        with ending(subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, text=True, start_new_session=True)) as process:
            os.close(theirs)
            deadline = time.monotonic() + 60
            answered = False
            while time.monotonic() < deadline:
                if not answered and asked.encode() in said:
                    os.write(ours, answer.encode() + b"\n")
                    answered = True
                if not select.select([ours], [], [], 1)[0]:
                    continue
                try:
                    said += os.read(ours, 65536)
                except OSError:  # the other side is closed: it has ended
                    break
            return process.wait(10), said.decode("utf-8", "replace")
    finally:
        os.close(ours)


def test_a_wrong_password_is_tried_once(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    file = write_inventory(tmp_path, container, [A_FILE], user="operator", **FROM_ENVIRONMENT)
    done = novaops("apply", "--json", inventory=file, env={"LAB_PASSWORD": "not-it"})
    assert (done.code, done.host["status"], done.host["error"]["code"]) == (1, "failed", "no-root")
    assert done.host["error"]["what"] == f"sudo on box ({container.address}) did not take the password of operator"
    assert failures(container) == 1
    log = container.run("journalctl -o cat -t sudo")
    assert log.count("1 incorrect password attempt") == 1
    assert "incorrect password attempts" not in log
    assert container.run("ls -d /var/lib/novaops 2>&1 || true").startswith("ls:")


def test_a_password_that_nobody_gave(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    file = write_inventory(tmp_path, container, [A_FILE], user="operator")
    done = novaops("apply", inventory=file)
    assert done.code == 1
    assert f"✘ box  failed: sudo on box ({container.address}) wants a password for operator" in done.out
    assert "add --ask-sudo-password" in done.out
    assert failures(container) == 0


def test_without_rights_no_password_helps(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    passwd(container, "plain", "its-own")
    file = write_inventory(tmp_path, container, [A_FILE], user="plain", **FROM_ENVIRONMENT)
    done = novaops("apply", "--json", inventory=file, env={"LAB_PASSWORD": "its-own"})
    assert done.code == 1
    assert done.host["error"]["what"] == f"plain cannot become root on box ({container.address})"
    assert "sudoers" in done.host["error"]["why"] or "not allowed" in done.host["error"]["why"]


def test_host_check_says_what_will_not_work_without_root(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    file = write_inventory(tmp_path, container, user="plain")
    done = novaops("host", "check", "box", "--json", inventory=file)
    assert done.code == 1
    (root,) = [finding for finding in done.host["findings"] if finding["subject"] == "root"]
    assert (root["verdict"], "wants a password for plain" in root["text"]) == ("problem", True)
    assert "Traceback" not in done.text


def test_a_host_without_sudo(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("rm /usr/bin/sudo")
    for access in ({}, FROM_ENVIRONMENT):
        file = write_inventory(tmp_path, container, [A_FILE], user="nova", **access)
        done = novaops("apply", "--json", inventory=file, env={"LAB_PASSWORD": "any"})
        assert (done.code, done.host["error"]["code"]) == (1, "no-root")
        assert done.host["error"]["why"] == "sudo is not installed, and the login is not root"


@pytest.fixture
def two_shells(container: LabHost) -> LabHost:
    """A container where operator can log in with the C shell too."""
    container.run("apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends tcsh >/dev/null")
    return container


def test_a_strange_password_goes_through_every_shell(two_shells: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """Also where sudo forgets at once, so that each call needs the password again."""
    passwd(two_shells, "operator", STRANGE)
    two_shells.run("echo 'Defaults timestamp_timeout=0' >/etc/sudoers.d/forgets; chmod 0440 /etc/sudoers.d/forgets")
    for number, shell in enumerate(("/bin/dash", "/bin/bash", "/bin/tcsh")):
        two_shells.run(f"usermod -s {shell} operator; usermod -s {shell} nova")
        thing = {**A_FILE, "content": f"{number}\n"}
        file = write_inventory(tmp_path, two_shells, [thing], user="operator", **FROM_ENVIRONMENT)
        done = novaops("apply", "--json", inventory=file, env={"LAB_PASSWORD": STRANGE})
        assert (done.code, done.host.get("status"), done.host["execs"]) == (0, "changed", 3), (shell, done.text)
        assert novaops("plan", inventory=write_inventory(tmp_path, two_shells, [thing], user="nova")).code == 0
    assert failures(two_shells) == 0


# -- every sudo has habits of its own ---------------------------------------------------------------------------------

RIGHT, WRONG = {"LAB_PASSWORD": OPERATOR_PASSWORD}, {"LAB_PASSWORD": "not-it"}


def becomes_root_as_told(host: LabHost, novaops: Novaops, folder: Path, habit: str) -> None:
    """With the right password, with a wrong one, without one where one is wanted, and where none is: four logins, four ends."""
    file = write_inventory(folder, host, [{**A_FILE, "content": f"{habit}\n"}], user="operator", **FROM_ENVIRONMENT)
    done = novaops("apply", "--json", inventory=file, env=RIGHT)
    assert (done.code, done.host.get("status"), done.host["execs"]) == (0, "changed", 3), (habit, done.text)
    refused = novaops("plan", "--json", inventory=file, env=WRONG)
    assert (refused.code, refused.host["error"]["code"]) == (1, "no-root"), (habit, refused.text)
    assert refused.host["error"]["what"] == f"sudo on {host.name} ({host.address}) did not take the password of operator", (
        habit,
        refused.text,
    )
    for user, said in {"operator": "wants a password for operator", "nova": ""}.items():
        file = write_inventory(folder, host, [{**A_FILE, "content": f"{habit}\n"}], user=user)
        done = novaops("plan", "--json", inventory=file)
        assert (done.code, said in done.text) == (1 if said else 0, True), (habit, done.text)


HABITS = (
    *("passwd_tries=1", "lecture=always", "timestamp_timeout=0", "use_pty", "!use_pty", "log_input, log_output", "insults"),
    *('badpass_message="Das war nichts"', 'passprompt="[sudo] Passwort fuer %p: "', "sudoers_locale=fr_FR.UTF-8"),
)


@pytest.mark.long
def test_the_habits_of_sudo(newer: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    for habit in HABITS:
        newer.run("umask 337; cat >/etc/sudoers.d/habit.new; mv /etc/sudoers.d/habit.new /etc/sudoers.d/habit", stdin=f"Defaults {habit}\n")
        newer.run("visudo -c -q")
        becomes_root_as_told(newer, novaops, tmp_path, habit)


def test_sudo_that_wants_a_terminal(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("echo 'Defaults requiretty' >/etc/sudoers.d/tty")
    for user, access in {"nova": {}, "operator": FROM_ENVIRONMENT}.items():
        done = novaops("plan", "--json", inventory=write_inventory(tmp_path, container, [A_FILE], user=user, **access), env=RIGHT)
        error = done.host["error"]
        assert (done.code, error["code"], error["why"]) == (1, "no-root", "sorry, you must have a tty to run sudo")
        assert error["fix"] == f"allow sudo without a terminal: Defaults:{user} !requiretty in a file of /etc/sudoers.d"


def test_rules_of_sudo_that_are_wrong_or_too_narrow(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """The rules are at fault, not the missing password: each has its own next command."""
    file = write_inventory(tmp_path, container, [A_FILE], user="nova")
    container.run("mv /etc/sudoers.d/lab /root/lab; sed 's/NOPASSWD:/& NOEXEC:/' /root/lab >/etc/sudoers.d/lab")
    error = novaops("plan", "--json", inventory=file).host["error"]
    assert "Permission denied" in error["why"]
    assert "no NOEXEC:" in error["fix"]
    for rules, why in {
        "nova ALL=(ALL NOPASSWD: ALL": "/etc/sudoers.d/lab:1:15: syntax error",
        "$(cat /root/lab)": "/etc/sudoers.d/lab is world writable",
    }.items():
        container.run(f'echo "{rules}" >/etc/sudoers.d/lab; chmod 666 /etc/sudoers.d/lab')
        if "syntax" in why:
            container.run("chmod 440 /etc/sudoers.d/lab")
        error = novaops("plan", "--json", inventory=file).host["error"]
        assert (error["code"], error["why"]) == ("no-root", why)
        assert "visudo -c" in error["fix"]


@pytest.fixture
def other_programs(newer: LabHost) -> LabHost:
    """Debian 13 with sudo-rs in the place of sudo, as in Ubuntu since 25.10, and with doas."""
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
    newer.run(f'apt-get update -q && {install} sudo-rs opendoas >/dev/null; ln -sf "$(readlink -f /usr/bin/sudo-rs)" /usr/bin/sudo')
    assert "sudo-rs " in newer.run("sudo --version 2>&1")
    return newer


def test_other_programs_than_sudo(other_programs: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    becomes_root_as_told(other_programs, novaops, tmp_path, "sudo-rs")
    plain = novaops("plan", "--json", inventory=write_inventory(tmp_path, other_programs, [A_FILE], user="plain"))
    assert (plain.code, plain.host["error"]["code"], "can't do that" in plain.text) == (1, "no-root", True), plain.text

    other_programs.run("rm /usr/bin/sudo; umask 077; printf 'permit nopass nova\\npermit operator\\n' >/etc/doas.conf")
    thing = {**A_FILE, "content": "doas\n"}
    done = novaops("apply", "--json", inventory=write_inventory(tmp_path, other_programs, [thing], user="nova"))
    assert (done.code, done.host.get("status"), done.host["execs"]) == (0, "changed", 3), done.text
    for user in ("operator", "plain"):
        file = write_inventory(tmp_path, other_programs, [thing], user=user, **FROM_ENVIRONMENT)
        error = novaops("plan", "--json", inventory=file, env=RIGHT).host["error"]
        assert (error["code"], error["fix"].startswith(f"permit nopass {user} in /etc/doas.conf")) == ("no-root", True), error


def test_a_host_that_needs_no_password_is_sent_none(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """Its shells would see it. All that is read from standard input is kept there by a login shell that is not to be trusted."""
    container.run("cat >/bin/spy; chmod 755 /bin/spy", stdin='#!/bin/sh\ntee -a /tmp/spied.$(id -un) | exec sh "$@"\n')
    container.run("usermod -s /bin/spy nova; usermod -s /bin/spy root")
    for user in ("nova", "root"):
        file = write_inventory(tmp_path, container, [A_FILE], user=user, **FROM_ENVIRONMENT)
        done = novaops("plan", inventory=file, env={"LAB_PASSWORD": "not-for-this-host"})
        assert done.code == 3, done.text
    seen = container.run("cat /tmp/spied.nova /tmp/spied.root")
    assert "main() {" in seen
    assert "not-for-this-host" not in seen


SAMPLE = "until [ -e /run/enough ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; ls -l /proc/self/fd >/dev/null; done 2>/dev/null"


def test_the_password_is_nowhere(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    password = f"{OPERATOR_PASSWORD}-battery-71"
    passwd(container, "operator", password)
    things = [A_FILE, {"path": "/etc/novaops-test-2", "content": "x\n", "then": ["sleep", "0.3"]}]
    file = write_inventory(tmp_path, container, things, user="operator", **FROM_ENVIRONMENT)
    with (tmp_path / "sampled").open("w+b") as sampled:
        sampler = subprocess.Popen(container.ssh_command(f"touch /run/sampling; {SAMPLE}"), stdout=sampled, text=True)
        with ending(sampler):
            wait_on(container, "[ -e /run/sampling ]")
            loud = novaops("apply", "-vv", inventory=file, env={"LAB_PASSWORD": password})
            quiet = novaops("apply", "--json", "-vv", inventory=file, env={"LAB_PASSWORD": password})
            container.run("touch /run/enough")
            sampler.wait(20)
        sampled.seek(0)
        seen = sampled.read()
    assert (loud.code, quiet.code) == (0, 0), loud.text
    assert b"sudo\0-k\0-S" in seen, "the sampler looked away"
    assert password.encode() not in seen
    assert password not in loud.text + quiet.text
    places = "/var/lib/novaops /tmp /var/tmp /var/log /run /root /home /etc"
    # The shadow file has it as a hash; the control is a word that must be found.
    assert container.run(f"grep -r -a -F -l -f - {places} 2>/dev/null || true", stdin="operator-has-no-such-word\nnovaops-test-2\n")
    assert container.run(f"grep -r -a -F -l -f - {places} 2>/dev/null || true", stdin=f"{password}\n") == ""
    assert password not in container.run("journalctl -a")
    here = [found for found in tmp_path.rglob("*") if found.is_file() and password.encode() in found.read_bytes()]
    assert here == []
    assert container.run(LEFTOVERS) == ""
