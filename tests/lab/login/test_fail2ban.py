"""`login: {fail2ban: true}` on bare hosts: installed, proven by a real ban, and taken back. It needs apt."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Done, Novaops
from tests.support.doors import lets_in
from tests.support.things import wait_on, write_inventory

PW = {"PW": "wired-Fjord$8 'kite\" é"}
UNITS = "systemctl list-unit-files --state=enabled --no-legend; systemctl list-units --failed --no-legend"
INSTALLED = "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' fail2ban nftables python3-systemd 2>/dev/null | grep ^installed || true"


@dataclass(frozen=True)
class Guarded:
    """A host with fail2ban, as the engine made it."""

    host: LabHost
    inventory: Path
    units: str
    """What was enabled before."""
    applied: Done


@pytest.fixture(scope="module", params=[pytest.param(release, marks=pytest.mark.long) for release in ("bookworm", "trixie")])
def guarded(request: pytest.FixtureRequest, lab: Lab, novaops: Novaops, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    host = lab.up(f"guarded-{request.param}", "container", request.param)
    wanted = {"users": [{"name": "netlab", "password": "env:PW"}], "others": "denied", "fail2ban": True}
    inventory = write_inventory(tmp_path_factory.mktemp("guarded"), host, login=wanted)
    units = host.run(UNITS)
    try:
        yield Guarded(host, inventory, units, novaops("apply", "--json", inventory=inventory, env=PW))
    finally:
        lab.down(host.name)


def wrong(done: Done) -> list[str]:
    return [step["message"] for step in done.host["steps"] if step["status"] == "failed"]


def test_it_is_installed_once(guarded: Guarded, novaops: Novaops) -> None:
    applied = guarded.applied
    assert (applied.code, applied.host["execs"], applied.host["fresh_logins"]) == (0, 3, 1), applied.text
    again = novaops("apply", "--json", inventory=guarded.inventory, env=PW)
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text


def test_a_real_ban_proves_it_and_nothing_stays(guarded: Guarded, novaops: Novaops) -> None:
    """And however often it is proven, nothing counts against this machine."""
    for _ in range(2):
        done = novaops("verify", "--json", inventory=guarded.inventory, env=PW)
        assert done.code == 0, done.text
        assert {step["status"] for step in done.host["steps"]} == {"unchanged"}
        assert [step["check"] for step in done.host["steps"] if step["resource"] == "login:fail2ban"] == [
            "runs, now and after a reboot, and watches sshd",
            "shuts out an address that fails again and again",
            "keeps sshd open for all others meanwhile",
            "lets the address in again when it is taken off the list",
        ]
    assert guarded.host.run("fail2ban-client get sshd banip").strip() == ""
    assert "No IP address" in guarded.host.run("fail2ban-client get sshd ignoreip")
    assert guarded.host.run("grep -h 'Found' /var/log/fail2ban.log | grep -v ' 127.77.' || true") == ""
    assert "netlab" in guarded.host.run("journalctl -o cat | grep 'Failed password'")


def test_somebody_elses_words_in_the_journal_ban_nobody(guarded: Guarded) -> None:
    """A user's own program, called sshd, that says whom to shut out."""
    host = guarded.host
    host.run("install -D -m 755 $(command -v logger) /srv/sshd")
    # They live for a second, as sshd does: of who has gone already the journal cannot tell what was run.
    say = "{ for _ in $(seq 9); do echo 'Invalid user x from 192.0.2.%d port 1'; done; sleep 1; } |"
    host.run(f"{say % 9} setpriv --reuid=65534 --clear-groups /srv/sshd -t sshd")
    host.run(f"{say % 10} /srv/sshd -t sshd")
    wait_on(host, "grep -q 'Found 192.0.2.10' /var/log/fail2ban.log", 60)
    assert "192.0.2.9 " not in host.run("cat /var/log/fail2ban.log")


FOR_ALL = """\
nft add table inet everyone
nft add chain inet everyone in '{ type filter hook input priority 0; }'
nft add rule inet everyone in iif lo tcp dport 22 reject"""

FAULTS = {
    "stopped": ("systemctl stop fail2ban", "systemctl start fail2ban", "fail2ban should be active, but it is inactive"),
    "not at boot": ("systemctl disable -q fail2ban", "systemctl enable -q fail2ban", "fail2ban should start at boot, but it is disabled"),
    "patient": ("fail2ban-client set sshd maxretry 99", "systemctl restart fail2ban", "should be on fail2ban's list after it failed"),
    "a ban that shuts nobody out": (
        "fail2ban-client set sshd action nftables actionban true; fail2ban-client set sshd action nftables actionunban true",
        "systemctl restart fail2ban",
        "is on fail2ban's list and should not reach sshd, but ssh said: ",
    ),
    "a ban that shuts everybody out": (
        f"fail2ban-client set sshd action nftables actionban {shlex.quote(FOR_ALL)}",
        "nft delete table inet everyone || true; systemctl restart fail2ban",
        "another address should reach sshd while",
    ),
    "no jail": ("fail2ban-client stop sshd", "systemctl restart fail2ban", "fail2ban should have a jail sshd, but it has none"),
}


@pytest.mark.parametrize("fault", [pytest.param(fault, marks=pytest.mark.long) for fault in FAULTS])
def test_drift(guarded: Guarded, novaops: Novaops, fault: str) -> None:
    command, repair, sentence = FAULTS[fault]
    guarded.host.run(command)
    try:
        done = novaops("verify", "--json", inventory=guarded.inventory, env=PW)
    finally:
        guarded.host.run(repair)
        wait_on(guarded.host, "fail2ban-client status sshd >/dev/null")
        guarded.host.run("fail2ban-client unban --all")
    assert done.code == 3, done.text
    assert any(sentence in said for said in wrong(done)), wrong(done)


def test_undo_takes_it_all_away(guarded: Guarded, novaops: Novaops) -> None:
    host = guarded.host
    undone = novaops("undo", host.name, "--json", inventory=guarded.inventory)
    assert (undone.code, undone.host["status"]) == (0, "changed"), undone.text
    assert host.run(INSTALLED) == ""
    assert host.run(UNITS) == guarded.units
    assert host.run("systemctl is-active fail2ban || true").strip() == "inactive"
    assert host.run("ls /etc/fail2ban/jail.d/novaops.local 2>/dev/null || true") == ""
    assert lets_in(host, "netlab", PW["PW"]) == [False]
