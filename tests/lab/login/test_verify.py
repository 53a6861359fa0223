"""`novaops verify` of logins on real hosts: right after the engine's work, and wrong in every way that its checks are for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Done, Novaops
from tests.support.doors import offered, passwd, settings
from tests.support.things import write_inventory

PW = {"PW": "wired-Fjord$8 'kite\" é"}
SECRET = PW["PW"].partition("$")[0]
WANTED: dict[str, Any] = {"users": [{"name": "netlab", "password": "env:PW"}, "operator"], "others": "denied"}
AAA = "00-aaa.conf"


def wrong(done: Done) -> list[str]:
    return [step["message"] for step in done.host["steps"] if step["status"] == "failed"]


def apply(novaops: Novaops, inventory: Path) -> None:
    done = novaops("apply", "--json", inventory=inventory, env=PW)
    assert done.code == 0, done.text


@pytest.mark.parametrize("name", ["container", pytest.param("newer", marks=pytest.mark.long)])
def test_right_after_the_engines_work(name: str, request: pytest.FixtureRequest, novaops: Novaops, tmp_path: Path) -> None:
    host = request.getfixturevalue(name)
    here = host.address.rpartition(".")[0] + ".0/24"
    users = [*WANTED["users"], {"name": "nova", "password": "env:PW", "from": here}, {"name": "plain", "from": "203.0.113.0/24"}]
    inventory = write_inventory(tmp_path, host, login={**WANTED, "users": users})
    passwd(host, "plain", PW["PW"])
    apply(novaops, inventory)
    done = novaops("verify", "--json", inventory=inventory, env=PW)
    assert done.code == 0, done.text
    assert {step["resource"] for step in done.host["steps"]} == {
        f"login:{name}" for name in ("keys", "root", "others", "netlab", "operator", "nova", "plain")
    }
    untried = [(step["resource"], step["message"]) for step in done.host["steps"] if step["status"] != "unchanged"]
    assert [resource for resource, _ in untried] == ["login:plain"], untried
    assert "and not from 203.0.113.0/24" in untried[0][1]
    assert "penalty" not in host.run("journalctl -o cat | grep -i 'drop connection' || true")


@pytest.mark.long
def test_without_pam(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """There keyboard-interactive asks for nothing: it is not offered, and verify does not ask for it. And back again with PAM."""
    inventory = write_inventory(tmp_path, container, login={"users": [{"name": "netlab", "password": "env:PW"}], "others": "denied"})
    for use, methods in (("no", ["password", "publickey"]), ("yes", ["keyboard-interactive", "password", "publickey"])):
        settings(container, {"10-pam.conf": f"UsePAM {use}\n"})
        apply(novaops, inventory)
        assert offered(container, "netlab") == methods
        done = novaops("verify", "--json", inventory=inventory, env=PW)
        assert done.code == 0, done.text
        assert novaops("plan", inventory=inventory, env=PW).code == 0


@pytest.mark.long
def test_a_password_is_never_shown(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """Also where it is wrong, and every detail is asked for."""
    inventory = write_inventory(tmp_path, container, login=WANTED)
    apply(novaops, inventory)
    passwd(container, "netlab", "somebody-elses-7")
    done = novaops("verify", "-vv", "--junit", str(tmp_path / "found.xml"), inventory=inventory, env=PW)
    assert done.code == 3, done.text
    assert "the right password of netlab should get in by password, but" in done.out
    assert SECRET not in done.text
    assert SECRET not in (tmp_path / "found.xml").read_text()
    assert container.run("journalctl -o cat; cat /var/log/* 2>/dev/null || true").count(SECRET) == 0


FAULTS: Mapping[str, tuple[str, dict[str, str], str]] = {
    "a locked account": ("usermod -L netlab", {}, "the right password of netlab should get in by password, but Authentication failed"),
    "another hash": ("usermod -p '$6$abcdefgh$x' netlab", {}, "the right password of netlab should get in by password, but"),
    "DenyUsers": ("true", {AAA: "DenyUsers netlab\n"}, "the right password of netlab should get in by password, but"),
    "one method less": (
        "true",
        {AAA: "Match User netlab\n  KbdInteractiveAuthentication no\n"},
        "should get in by keyboard-interactive, but",
    ),
    "a shell that runs nothing": ("usermod -s /bin/false netlab", {}, "but it gets in and runs no command"),
    "any password will do": ("sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/sshd", {}, "netlab should not get in without the right"),
    "files that sshd has not read": (
        f"printf 'Match User netlab\\n  PasswordAuthentication no\\n  KbdInteractiveAuthentication no\\n' >/etc/ssh/sshd_config.d/{AAA}",
        {},
        "sshd -T should say yes to passwords of netlab, but it says no",
    ),
    "the own file gone, and sshd knows": (
        "rm /etc/ssh/sshd_config.d/00-novaops.conf",
        {"x.conf": ""},
        "no password login to others, but it",
    ),
    "no password": ("usermod -L operator", {}, "operator should have a password to log in with, but there is none, or it is locked"),
    "not asked": (
        "true",
        {AAA: "Match User operator\n  PasswordAuthentication no\n  KbdInteractiveAuthentication no\n"},
        "sshd should offer password login to operator, but it does not",
    ),
    "one more by an earlier Match": (
        "echo nova:somebody-elses-7 | chpasswd",
        {AAA: "Match User nova\n  PasswordAuthentication yes\n"},
        "no to passwords of all others, but it says yes for nova",
    ),
    "everybody again": (
        "true",
        {AAA: "Match all\n  PasswordAuthentication yes\n"},
        "root should have a password turned down and get in by key",
    ),
    "root": (
        "true",
        {AAA: "PermitRootLogin yes\nMatch User root\n  PasswordAuthentication yes\n"},
        "but sshd -T says permitrootlogin yes, and yes to passwords",
    ),
    "the key taken away meanwhile": (
        "printf 'rm -f /root/.ssh/authorized_keys\\n' >/root/.ssh/rc",
        {},
        "root should get in by key, but",
    ),
}
SHORT = {"files that sshd has not read", "one more by an earlier Match"}


@pytest.mark.parametrize("fault", [pytest.param(fault, marks=() if fault in SHORT else pytest.mark.long) for fault in FAULTS])
def test_drift(container: LabHost, novaops: Novaops, tmp_path: Path, fault: str) -> None:
    command, files, sentence = FAULTS[fault]
    inventory = write_inventory(tmp_path, container, login=WANTED)
    apply(novaops, inventory)
    if files:
        settings(container, files)
    container.run(command)
    if "x.conf" in files:
        settings(container, {})
    done = novaops("verify", "--json", "-vv", inventory=inventory, env=PW)
    assert done.code == 3, done.text
    assert any(sentence in said for said in wrong(done)), wrong(done)
    assert SECRET not in done.text


@pytest.mark.long
@pytest.mark.parametrize(
    ("network", "fault", "sentence"),
    [
        ("203.0.113.0/24", "Match User netlab\n  PasswordAuthentication yes\n", "which is not in 203.0.113.0/24, but it offers password"),
        (
            "0.0.0.0/0",
            "Match Address 0.0.0.0/8\n  PasswordAuthentication no\n  KbdInteractiveAuthentication no\n",
            "from 0.0.0.1, but it says no",
        ),
    ],
)
def test_drift_of_where_from(container: LabHost, novaops: Novaops, tmp_path: Path, network: str, fault: str, sentence: str) -> None:
    inventory = write_inventory(tmp_path, container, login={"users": [{"name": "netlab", "password": "env:PW", "from": network}]})
    apply(novaops, inventory)
    settings(container, {AAA: fault})
    done = novaops("verify", "--json", inventory=inventory, env=PW)
    assert done.code == 3, done.text
    if network == "203.0.113.0/24":
        assert "sshd -T should say no to passwords of netlab" in wrong(done)[0]
        container.run(f"rm /etc/ssh/sshd_config.d/{AAA}")  # and sshd still goes by it
        done = novaops("verify", "--json", inventory=inventory, env=PW)
        assert done.code == 3, done.text
    assert any(sentence in said for said in wrong(done)), wrong(done)


@pytest.mark.long
def test_drift_of_everyone(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, container, login={"everyone": True})
    apply(novaops, inventory)
    assert novaops("verify", inventory=inventory).code == 0
    settings(container, {AAA: "Match all\n  PasswordAuthentication no\n  KbdInteractiveAuthentication no\n"})
    done = novaops("verify", "--json", inventory=inventory)
    assert (done.code, wrong(done)) == (
        3,
        [
            "sshd should offer password login to everybody, but it does not",
            "sshd -T should say yes to passwords of everybody, but it says no",
        ],
    )


@pytest.mark.long
def test_few_tries_are_not_used_up(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, container, login=WANTED)
    apply(novaops, inventory)
    settings(container, {"90-few.conf": "MaxAuthTries 2\n"})
    done = novaops("verify", "--json", inventory=inventory, env=PW)
    assert done.code == 0, done.text
    (untried,) = [step["message"] for step in done.host["steps"] if step["status"] == "skipped"]
    assert untried == "sshd lets nobody try more than 2 times (MaxAuthTries)"
