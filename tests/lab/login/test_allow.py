"""novaops login on real hosts: allowed, proven, denied, taken back; on each kind of sshd that Debian has."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.support.doors import CLOUD_INIT, OPERATOR_PASSWORD, SNAPSHOT, activated_by_socket, lets_in, offered, passwd, reload, settings
from tests.support.things import LEFTOVERS, ending, wait_on, write_inventory

PW = {"PW": "wired-Fjord$8 'kite\" é"}
SUDO = {"sudo_password": "env:SUDO"}
ALLOW = ("login", "allow", "box", "--user", "netlab", "--password", "env:PW")


@pytest.fixture(
    params=["bookworm", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("bookworm socket", "trixie")), "trixie socket"]
)
def host(request: pytest.FixtureRequest) -> LabHost:
    """A cloud's host: no password works, and cloud-init's file says so."""
    release, _, socket = request.param.partition(" ")
    found: LabHost = request.getfixturevalue("container" if release == "bookworm" else "newer")
    settings(found, {"50-cloud-init.conf": "PasswordAuthentication no\n"})
    if socket:
        activated_by_socket(found)
    return found


def test_the_whole_way(host: LabHost, novaops: Novaops) -> None:
    before = host.run(SNAPSHOT)
    allow = [word if word != "box" else host.name for word in ALLOW]
    assert lets_in(host, "netlab", PW["PW"]) == [False]

    would = novaops(*allow, "--check", "--json", env=PW)
    assert (would.code, would.host["status"], would.host["execs"]) == (3, "would_change", 1), would.text
    assert host.run(SNAPSHOT) == before

    with ending(subprocess.Popen(host.ssh_command("echo open; sleep 60; echo not reached"), stdout=subprocess.PIPE, text=True)) as session:
        assert session.stdout is not None
        session.stdout.readline()
        done = novaops(*allow, "--json", env=PW)
        assert (done.code, done.host["status"], done.host["execs"], done.host["fresh_logins"]) == (0, "changed", 3, 1), done.text
        assert session.poll() is None, "the open session did not survive the reload"
    (sshd,) = [step for step in done.host["steps"] if step["resource"] == "sshd:password-login"]
    assert sshd["risk"] == "lockout"
    assert sshd["changes"][0] == {
        "field": "passwords of netlab",
        "before": f"no ← {CLOUD_INIT}:1",
        "after": f"yes ← /etc/ssh/sshd_config.d/00-novaops.conf:4; loses: {CLOUD_INIT}:1 (PasswordAuthentication no), "
        f"/etc/ssh/sshd_config:{_line(host)} (KbdInteractiveAuthentication no)",
    }
    for method in ("password", "keyboard-interactive"):
        assert lets_in(host, "netlab", "", "x" * 100, PW["PW"], method=method) == [False, False, True], method
    assert offered(host, "nova") == ["publickey"]
    assert host.run("true", user="nova") == ""
    assert host.run("stat -c '%a %U:%G' /etc/ssh/sshd_config.d/00-novaops.conf /etc/ssh") == "600 root:root\n755 root:root\n"

    again = novaops(*allow, "--json", env=PW)
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text

    status = novaops("login", "status", host.name, "--json")
    logins = {login["user"]: login for login in status.host["logins"]}
    assert (status.code, status.host["execs"]) == (0, 1)
    assert (logins["netlab"]["password"]["allowed"], logins["netlab"]["key"]["allowed"]) == (True, False)
    assert (logins["nova"]["password"]["allowed"], logins["nova"]["key"]["allowed"]) == (False, True)
    assert f"PasswordAuthentication no ← {CLOUD_INIT}:1" in logins["operator"]["password"]["why"]

    denied = novaops("login", "deny", host.name, "--json")
    assert (denied.code, denied.host["status"], denied.host["execs"], denied.host["fresh_logins"]) == (0, "changed", 3, 1), denied.text
    assert offered(host, "netlab") == ["publickey"]
    assert any("no way in without one: netlab" in note["text"] for note in denied.host["notes"])
    assert host.run("true", user="nova") == ""

    for _ in range(2):
        undone = novaops("undo", host.name, "--json")
        assert (undone.code, undone.host["status"]) == (0, "changed"), undone.text
    assert host.run(SNAPSHOT) == before
    assert novaops("undo", host.name, "--json").host["status"] == "unchanged"
    assert host.run(f"{LEFTOVERS}; ls /run/novaops-* 2>/dev/null; systemctl list-units --all --no-legend 'novaops*'") == ""
    assert "penalty" not in host.run("journalctl -o cat | grep -i 'drop connection' || true")


def _line(host: LabHost) -> str:
    """Where Debian's main file sets keyboard-interactive."""
    return host.run("grep -n ^KbdInteractiveAuthentication /etc/ssh/sshd_config").partition(":")[0]


@pytest.mark.long
def test_undo_of_an_undo_lets_the_same_password_in_again(container: LabHost, novaops: Novaops) -> None:
    done = novaops(*ALLOW, "--json", env=PW)
    assert done.code == 0, done.text
    undone = novaops("undo", "box", "--json")
    assert undone.code == 0, undone.text
    assert "netlab" not in container.run("getent passwd")
    back = novaops("undo", "box", undone.host["run"], "--json")
    assert (back.code, back.host["status"]) == (0, "changed"), back.text
    assert lets_in(container, "netlab", PW["PW"]) == [True]
    runs = novaops("history", "box", "--json").host["runs"]
    assert [(run["end"], bool(run["undoes"])) for run in runs][-2:] == [("ok", True), ("ok", False)]


def test_a_group_of_that_name_is_not_joined(container: LabHost, novaops: Novaops) -> None:
    """It may have rights: admin has with sudo on older Ubuntus."""
    container.run("groupadd netlab; gpasswd -a nova netlab")
    before = container.run(SNAPSHOT)
    for outcome in ("changed", "unchanged"):
        done = novaops(*ALLOW, "--json", env=PW)
        assert (done.code, done.host["status"]) == (0, outcome), done.text
    assert container.run("id -nG netlab") == "users\n"
    undone = novaops("undo", "box", "--json")
    assert undone.code == 0, undone.text
    assert container.run(SNAPSHOT) == before


def test_an_account_that_is_there_keeps_all_but_its_password(container: LabHost, novaops: Novaops) -> None:
    """Also a locked one, and the day of its last change comes back with the old password."""
    container.run("usermod -p '!$6$abcdefgh$old' nova; chage -d 19000 nova; touch /home/nova/mine")
    before = container.run("getent passwd nova; getent shadow nova; ls -la /home/nova")
    done = novaops("login", "allow", "box", "--user", "nova", "--password", "env:PW", "--json", env=PW)
    assert done.code == 0, done.text
    assert lets_in(container, "nova", PW["PW"]) == [True]
    assert novaops("undo", "box").code == 0
    assert container.run("getent passwd nova; getent shadow nova; ls -la /home/nova") == before


def test_undo_refuses_to_put_an_old_password_over_a_newer_one(container: LabHost, novaops: Novaops) -> None:
    assert novaops("login", "allow", "box", "--user", "nova", "--password", "env:PW", env=PW).code == 0
    passwd(container, "nova", "somebody-elses-7")
    undone = novaops("undo", "box", "--json")
    assert (undone.code, undone.host["error"]["code"]) == (4, "refused")
    assert "the password of nova was changed since run" in undone.host["error"]["what"]
    assert lets_in(container, "nova", "somebody-elses-7") == [True]


@pytest.mark.long
def test_undo_of_an_older_run_names_the_newer_one(container: LabHost, novaops: Novaops) -> None:
    passwd(container, "nova", PW["PW"])
    first = novaops(*ALLOW, "--json", env=PW).host["run"]
    second = novaops("login", "allow", "box", "--user", "nova", "--json").host["run"]
    refused = novaops("undo", "box", first, "--json")
    assert (refused.code, refused.host["error"]["code"]) == (4, "refused"), refused.text
    assert f"undo box {second}" in refused.host["error"]["fix"]
    assert [novaops("undo", "box", run).code for run in (second, first)] == [0, 0]
    assert "netlab" not in container.run("getent passwd")


def test_a_password_that_has_expired_is_set_anew(container: LabHost, novaops: Novaops) -> None:
    """It is the right one, and lets nobody in."""
    assert novaops(*ALLOW, env=PW).code == 0
    container.run("chage -d 2020-01-01 -M 90 netlab")
    done = novaops(*ALLOW, "--json", env=PW)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert lets_in(container, "netlab", PW["PW"]) == [True]
    assert novaops(*ALLOW, "--json", env=PW).host["status"] == "unchanged"


def test_undo_leaves_the_home_of_a_user_who_has_used_it(container: LabHost, novaops: Novaops) -> None:
    assert novaops(*ALLOW, env=PW).code == 0
    container.run("echo precious >/home/netlab/work; chown netlab /home/netlab/work")
    assert novaops("undo", "box").code == 0
    assert container.run("cat /home/netlab/work; getent passwd netlab || echo gone") == "precious\ngone\n"


def test_one_more_user_takes_nothing_from_the_others(container: LabHost, novaops: Novaops) -> None:
    passwd(container, "nova", PW["PW"])
    assert novaops(*ALLOW, env=PW).code == 0
    more = novaops("login", "allow", "box", "--user", "nova", "--json")
    assert (more.code, more.host["status"]) == (0, "changed"), more.text
    assert "its password is not known here" in more.host["notes"][0]["text"]
    assert (lets_in(container, "netlab", PW["PW"]), lets_in(container, "nova", PW["PW"])) == ([True], [True])
    assert novaops("login", "deny", "box").code == 0
    assert novaops("login", "allow", "box", "--user", "nova").code == 0
    assert (lets_in(container, "nova", PW["PW"]), offered(container, "netlab")) == ([True], ["publickey"])


def test_only_from_a_network(container: LabHost, novaops: Novaops) -> None:
    """Where everybody may, and this user from elsewhere no more."""
    settings(container, {"60-cloudimg-settings.conf": "PasswordAuthentication yes\n"})
    elsewhere = novaops(*ALLOW, "--from", "198.51.100.0/24", "--from", "2001:db8::/32", "--json", env=PW)
    assert elsewhere.code == 0, elsewhere.text
    assert any("was not tried: this machine comes from" in note["text"] for note in elsewhere.host["notes"])
    assert offered(container, "netlab") == ["publickey"]
    here = container.address.rpartition(".")[0] + ".0/24"
    near = novaops(*ALLOW, "--from", here, "--json", env=PW)
    assert (near.code, near.host["fresh_logins"]) == (0, 1), near.text
    assert lets_in(container, "netlab", PW["PW"]) == [True]


@pytest.mark.long
def test_root_and_everyone_must_be_said(container: LabHost, novaops: Novaops) -> None:
    passwd(container, "nova", PW["PW"])
    passwd(container, "root", PW["PW"])
    unsaid = novaops("login", "allow", "box", "--user", "root", "--password", "env:PW", "--json", env=PW)
    assert (unsaid.code, unsaid.json["error"]["code"]) == (2, "usage")
    assert "--root" in unsaid.json["error"]["what"]
    assert novaops("login", "allow", "box", "--everyone").code == 0
    assert (lets_in(container, "nova", PW["PW"]), lets_in(container, "root", PW["PW"])) == ([True], [False])
    root = novaops("login", "allow", "box", "--root", "--password", "env:PW", "--json", env=PW)
    assert (root.code, root.host["fresh_logins"]) == (0, 1), root.text
    assert (lets_in(container, "root", PW["PW"]), lets_in(container, "nova", PW["PW"])) == ([True], [True])


MAIN = "/etc/ssh/sshd_config"
OWN_INCLUDE = "Include /etc/ssh/sshd_config.d/00-novaops.conf"


@pytest.mark.parametrize(
    "edit",
    [
        f"sed -i /^Include/d {MAIN}",
        f"sed -i /^Include/d {MAIN}; rm -r /etc/ssh/sshd_config.d",
        f"sed -i -e /^Include/d -e '$aMatch User netlab\\n  PasswordAuthentication no\\nInclude /etc/ssh/sshd_config.d/*.conf' {MAIN}",
    ],
    ids=["no Include", "no folder", "Include inside a Match at the end"],
)
def test_hosts_that_would_not_read_the_drop_in(container: LabHost, novaops: Novaops, edit: str) -> None:
    container.run(edit)
    reload(container)
    before = container.run(SNAPSHOT + "true")
    done = novaops(*ALLOW, "--json", env=PW)
    assert (done.code, done.host["execs"]) == (0, 3), done.text
    assert container.run(f"sed -n 2p {MAIN}") == f"{OWN_INCLUDE}\n"
    assert lets_in(container, "netlab", PW["PW"]) == [True]
    assert novaops(*ALLOW, "--json", env=PW).host["status"] == "unchanged"
    assert novaops("undo", "box").code == 0
    assert container.run(SNAPSHOT + "true") == before


@pytest.mark.long
def test_an_inventory_that_wants_it(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    wanted = {"users": [{"name": "netlab", "password": "env:PW"}], "others": "denied"}
    file = write_inventory(tmp_path, container, login=wanted)
    passwd(container, "nova", PW["PW"])
    applied = novaops("apply", "--json", inventory=file, env=PW)
    assert (applied.code, applied.host["status"]) == (0, "changed"), applied.text
    assert (lets_in(container, "netlab", PW["PW"]), offered(container, "nova")) == ([True], ["publickey"])
    assert novaops("plan", inventory=file, env=PW).code == 0
    # What somebody added by hand is none of the inventory's.
    assert novaops("login", "allow", "box", "--user", "nova").code == 0
    assert novaops("plan", "--json", inventory=file, env=PW).code == 3
    assert novaops("apply", inventory=file, env=PW).code == 0
    assert offered(container, "nova") == ["publickey"]


SWITCHES: dict[str, dict[str, Any]] = {
    "root": {"users": ["nova", {"name": "root", "password": "env:PW"}], "root": True},
    "everyone": {"users": ["nova"], "everyone": True},
    "from": {"users": ["nova"], "from": "198.51.100.0/24"},
    "others": {"users": ["nova"], "others": "denied"},
    "one more user": {"users": ["nova", "operator"]},
}


@pytest.mark.parametrize("switch", [pytest.param(name, marks=() if name == "root" else pytest.mark.long) for name in SWITCHES])
def test_each_switch_on_and_off_and_taken_back(container: LabHost, novaops: Novaops, tmp_path: Path, switch: str) -> None:
    """What sshd says of everybody is as before the switch, and a second run has nothing to do."""

    def told() -> str:
        asked = "for user in root nova operator plain; do for at in 192.0.2.1 198.51.100.1; do"
        keep = "grep -E '^(password|kbdinteractive)authentication|^permitroot'"
        return container.run(f"{asked} sshd -T -C user=$user,host=$at,addr=$at | {keep}; done; done")

    def apply(login: dict[str, Any]) -> list[tuple[int, str]]:
        file = write_inventory(tmp_path, container, login=login)
        done = [novaops("apply", "--json", inventory=file, env=PW) for _ in range(2)]
        return [(each.code, each.host["status"]) for each in done]

    passwd(container, "nova", PW["PW"])
    assert apply({"users": ["nova"]}) == [(0, "changed"), (0, "unchanged")]
    off = told()
    assert apply(SWITCHES[switch]) == [(0, "changed"), (0, "unchanged")]
    on = told()
    assert on != off
    assert apply({"users": ["nova"]}) == [(0, "changed"), (0, "unchanged")]
    assert told() == off
    assert novaops("undo", container.name).code == 0
    assert told() == on
    assert novaops("undo", container.name).code == 0
    assert told() == off


def test_sudo_with_a_password_is_enough(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """The caller's address is found although sudo hides it, and the operator's own fresh login needs no root."""
    file = write_inventory(tmp_path, container, user="operator", login={"users": ["operator"]}, **SUDO)
    done = novaops("apply", "--json", inventory=file, env={"SUDO": OPERATOR_PASSWORD})
    assert (done.code, done.host["execs"], done.host["fresh_logins"]) == (0, 3, 1), done.text
    assert lets_in(container, "operator", OPERATOR_PASSWORD) == [True]


def test_a_session_of_the_user_does_not_keep_undo_from_a_clear_answer(container: LabHost, novaops: Novaops) -> None:
    """Somebody who is logged in is not thrown out."""
    assert novaops(*ALLOW, env=PW).code == 0
    container.run("install -d -o netlab -m 700 /home/netlab/.ssh; install -o netlab -m 600 /root/.ssh/authorized_keys /home/netlab/.ssh/")
    with ending(subprocess.Popen(container.ssh_command("sleep 60", user="netlab"), stdout=subprocess.PIPE, text=True)):
        wait_on(container, "pgrep -u netlab sleep >/dev/null")
        undone = novaops("undo", "box", "--json")
        assert undone.code == 1, undone.text
        assert "netlab" in undone.host["error"]["what"]
        assert container.run("getent passwd netlab") != ""
    assert lets_in(container, "netlab", PW["PW"]) == [True]
