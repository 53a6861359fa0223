"""An sshd that was started with options, as ec2-instance-connect and SSHD_OPTS do: what they say counts before its files."""

from __future__ import annotations

from novaops.formats.sshd_options import PLACE
from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.support.doors import OPERATOR_PASSWORD, lets_in, settings
from tests.support.things import LEFTOVERS

PW = {"PW": "wired-Fjord-88"}
EIC = '-o "AuthorizedKeysCommand /usr/bin/true %%u %%f" -o "AuthorizedKeysCommandUser nobody"'


def started_with(host: LabHost, options: str) -> None:
    host.run(
        "mkdir -p /etc/systemd/system/ssh.service.d; cd /etc/systemd/system/ssh.service.d\n"
        f"printf '%s\\n' '[Service]' ExecStart= 'ExecStart=/usr/sbin/sshd -D {options}' >50-options.conf\n"
        "systemctl daemon-reload; systemctl restart ssh.service"
    )


def test_what_they_say_counts_and_our_file_outweighs_it(container: LabHost, novaops: Novaops) -> None:
    settings(container, {"50-cloud-init.conf": "PasswordAuthentication no\n"})
    container.run("useradd -m -s /bin/bash keyless")
    started_with(container, f"-o PasswordAuthentication=yes {EIC}")
    assert lets_in(container, "operator", OPERATOR_PASSWORD) == [True]

    status = novaops("login", "status", "box", "--json")
    logins = {login["user"]: login for login in status.host["logins"]}
    assert logins["operator"]["password"]["allowed"] is True, status.text
    assert PLACE in logins["operator"]["password"]["why"][0]
    assert logins["keyless"]["key"]["allowed"] is None, "what a command answers is not known"
    assert "AuthorizedKeysCommand" in logins["keyless"]["key"]["why"][0]

    for outcome in ("changed", "unchanged"):
        denied = novaops("login", "deny", "box", "--json")
        assert (denied.code, denied.host["status"]) == (0, outcome), denied.text
    assert lets_in(container, "operator", OPERATOR_PASSWORD) == [False]
    undone = novaops("undo", "box", "--json")
    assert undone.code == 0, undone.text
    assert lets_in(container, "operator", OPERATOR_PASSWORD) == [True]


def test_another_main_file_counts_where_it_includes_the_folder(container: LabHost, novaops: Novaops) -> None:
    container.run("cp /etc/ssh/sshd_config /etc/ssh/other; echo >/etc/ssh/sshd_config")
    started_with(container, "-f /etc/ssh/other")
    done = novaops("login", "allow", "box", "--user", "netlab", "--password", "env:PW", "--json", env=PW)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert lets_in(container, "netlab", PW["PW"]) == [True]


def test_another_main_file_is_refused_where_it_does_not(container: LabHost, novaops: Novaops) -> None:
    container.run("grep -v ^Include /etc/ssh/sshd_config >/etc/ssh/other")
    started_with(container, "-f /etc/ssh/other")
    done = novaops("login", "allow", "box", "--user", "netlab", "--password", "env:PW", "--json", env=PW)
    assert (done.code, done.host["status"]) == (4, "refused"), done.text
    assert "sshd was started with -f /etc/ssh/other" in done.host["error"]["what"]
    assert container.run(f"{LEFTOVERS}; ls /etc/ssh/sshd_config.d") == ""
    assert novaops("login", "status", "box", "--json").code == 0
