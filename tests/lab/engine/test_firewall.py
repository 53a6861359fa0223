"""Ports through real filters, seen from this machine: iptables as Oracle ships it, ufw, firewalld, nftables; SELinux is played."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import yaml

from novaops.features.proxy.resources.selinux import HttpdMayConnect, HttpPort
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.vm import VirtualMachine
from novaops.resources.open_port import OpenPort
from tests.lab.proxy.test_certificates import applied, taken_back
from tests.support.looking import carried_out

ORACLE = yaml.safe_load((Path(__file__).parents[2] / "cases/iptables/as_Oracle_ships_Ubuntu.yaml").read_text())["saved"]
RULES, RULES6 = "/etc/iptables/rules.v4", "/etc/iptables/rules.v6"
REJECT = "-A INPUT -j REJECT --reject-with icmp-host-prohibited"
REJECT6 = "-A INPUT -j REJECT --reject-with icmp6-adm-prohibited"
ORACLE6 = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p ipv6-icmp -j ACCEPT\n{REJECT6}\nCOMMIT\n"
FLUSH = "nft flush ruleset; rm -rf /etc/iptables /var/lib/novaops"


def ours(port: int) -> str:
    return f"-A INPUT -p tcp -m tcp --dport {port} -m comment --comment novaops -j ACCEPT"


def through(host: LabHost, *ports: int) -> list[bool]:
    """Whether a connection gets to the host: nobody listens there, so an open port refuses it by itself."""
    return [_knock(host.address, port) for port in ports]


def _knock(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    except OSError as error:
        if error.errno == errno.EHOSTUNREACH:
            return False
        raise
    return True


@pytest.fixture(scope="module")
def _filtered(lab: Lab) -> Iterator[LabHost]:
    host = lab.up("filtered", "container")
    host.run("apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends iptables nftables")
    yield host
    lab.down(host.name)


@pytest.fixture
def filtered(_filtered: LabHost) -> LabHost:
    """With iptables and nft, and not a rule."""
    _filtered.run(FLUSH)
    return _filtered


def load(host: LabHost, *, file: bool = True) -> None:
    """Oracle's rules."""
    host.run("iptables-restore", stdin=ORACLE)
    if file:
        host.run(f"mkdir -p /etc/iptables; cat >{RULES}", stdin=ORACLE)


def rules(host: LabHost, program: str = "iptables") -> list[str]:
    return host.run(f"{program} -S").splitlines()


def test_the_ports_are_opened_before_the_rule_that_turns_all_away(filtered: LabHost) -> None:
    load(filtered)
    filtered.run(f"cat >{RULES6}; ip6tables-restore <{RULES6}", stdin=ORACLE6)
    before = rules(filtered)
    assert through(filtered, 22, 80, 443) == [True, False, False]
    report = applied(filtered, OpenPort(80), OpenPort(443))
    assert report.status == "changed", report.error
    assert through(filtered, 22, 80, 443, 8443) == [True, True, True, False]
    place = before.index(REJECT)
    assert rules(filtered) == [*before[:place], ours(80), ours(443), *before[place:]], "nothing else is moved"
    assert filtered.run(f"cat {RULES}") == ORACLE.replace(REJECT, f"{ours(80)}\n{ours(443)}\n{REJECT}")
    assert filtered.run(f"cat {RULES6}") == ORACLE6.replace(REJECT6, f"{ours(80)}\n{ours(443)}\n{REJECT6}")
    assert rules(filtered, "ip6tables")[-3:] == [ours(80), ours(443), REJECT6]
    again = applied(filtered, OpenPort(80), OpenPort(443))
    assert again.status == "unchanged"
    assert "netfilter-persistent.service, which loads that file, is not enabled" in again.notes[0].text, "the package is not here"
    filtered.run(f"iptables -F; iptables-restore <{RULES}")
    assert through(filtered, 22, 80, 443, 8443) == [True, True, True, False], "as after a boot"


def test_undo_closes_it_again(filtered: LabHost) -> None:
    load(filtered)
    before = rules(filtered)
    assert applied(filtered, OpenPort(443)).status == "changed"
    assert taken_back(filtered).status == "changed"
    assert (rules(filtered), filtered.run(f"cat {RULES}"), through(filtered, 443)) == (before, ORACLE, [False])


def test_rules_that_change_meanwhile_are_not_guessed_at(filtered: LabHost) -> None:
    load(filtered, file=False)
    changed = f"iptables -R INPUT {len([r for r in rules(filtered) if r.startswith('-A INPUT')])} -j DROP"
    outcome = carried_out(cast("VirtualMachine", filtered), [OpenPort(443)], lambda: filtered.run(changed))
    assert outcome.end == "failed"
    assert not any("novaops" in rule for rule in rules(filtered))
    report = applied(filtered, OpenPort(443))
    assert report.status == "changed"
    assert through(filtered, 443) == [True]
    gone = "the rule of iptables for port 443 is gone after a boot: nothing on the host puts it back (iptables-persistent does)"
    assert [note.text for note in applied(filtered, OpenPort(443)).notes] == [gone]


@pytest.mark.long
def test_two_ports_in_one_file_are_taken_back_together(filtered: LabHost) -> None:
    load(filtered)
    before = rules(filtered)
    assert applied(filtered, OpenPort(80), OpenPort(443)).status == "changed"
    report = taken_back(filtered)
    assert report.status == "changed", report.error
    assert (rules(filtered), filtered.run(f"cat {RULES}")) == (before, ORACLE)


@pytest.mark.long
def test_a_policy_that_drops(filtered: LabHost) -> None:
    for rule in ("-A INPUT -p tcp --dport 22 -j ACCEPT", "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "-P INPUT DROP"):
        filtered.run(f"iptables {rule}")
    assert through(filtered, 443) == [False]
    assert applied(filtered, OpenPort(443)).status == "changed"
    assert through(filtered, 22, 443, 80) == [True, True, False]
    filtered.run("iptables -I INPUT 1 -p tcp --dport 80 -j DROP")
    report = applied(filtered, OpenPort(80))
    assert report.status == "refused"
    assert "somebody has closed port 80 in iptables: -A INPUT -p tcp -m tcp --dport 80 -j DROP" in str(report.error)


def test_a_ruleset_of_somebody_else_is_named_and_left(filtered: LabHost) -> None:
    accepts = "tcp dport { 22, 80 } accept; ct state established accept;"
    own = f"table inet mine {{ chain in {{ type filter hook input priority 0; policy drop; {accepts} }}; }}"
    filtered.run("nft -f -", stdin=own)
    before = filtered.run("nft list ruleset")
    report = applied(filtered, OpenPort(80), OpenPort(443))
    assert report.status == "unchanged"
    (note,) = report.notes
    assert (note.resource, "the nftables table inet mine turns away" in note.text) == ("port:443", True)
    assert filtered.run("nft list ruleset") == before
    assert through(filtered, 443) == [False]
    filtered.run(note.text[note.text.index("nft insert") : note.text.index(" opens the port")])
    assert through(filtered, 443) == [True], "the line that is said does it"
    assert applied(filtered, OpenPort(443)).notes == ()


def test_a_file_of_nftables_that_comes_at_the_next_boot_is_named(filtered: LabHost) -> None:
    conf = "table inet mine { chain in { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }"
    filtered.run("cp /etc/nftables.conf /root; cat >/etc/nftables.conf; systemctl enable -q nftables", stdin=conf)
    report = applied(filtered, OpenPort(443))
    filtered.run("mv /root/nftables.conf /etc; systemctl disable -q nftables")
    assert "nftables.service loads /etc/nftables.conf when the host boots" in report.notes[0].text
    assert applied(filtered, OpenPort(443)).notes == ()


@pytest.mark.long
def test_ufw_is_asked_to_open_it(newer: LabHost) -> None:
    newer.run("apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ufw")
    newer.run("ufw allow 22/tcp; ufw --force enable")
    before = newer.run("ufw show added")
    assert through(newer, 22, 443) == [True, False]
    assert applied(newer, OpenPort(443)).status == "changed"
    assert through(newer, 22, 443, 80) == [True, True, False]
    assert applied(newer, OpenPort(443)).status == "unchanged"
    newer.run("ufw reload")
    assert through(newer, 443) == [True]
    assert taken_back(newer).status == "changed"
    assert (newer.run("ufw show added"), through(newer, 443)) == (before, [False])
    newer.run("ufw deny 443/tcp")
    assert "somebody has closed port 443 in ufw" in str(applied(newer, OpenPort(443)).error)
    newer.run("ufw delete deny 443/tcp; iptables -I INPUT -p tcp --dport 443 -j ACCEPT")
    assert through(newer, 443) == [True], "until the next boot"
    assert applied(newer, OpenPort(443)).status == "changed"
    assert applied(newer, OpenPort(443)).status == "unchanged"
    newer.run("for it in iptables ip6tables; do $it -P INPUT ACCEPT; $it -F; $it -X; done")
    assert applied(newer, OpenPort(443)).status == "unchanged"
    assert "ufw is enabled, and its rules are not loaded" in str(applied(newer, OpenPort(80)).error)
    newer.run("ufw reload")
    assert applied(newer, OpenPort(80)).status == "changed", "as the fix says"
    assert through(newer, 22, 80, 443) == [True, True, True]


@pytest.mark.long
def test_firewalld_is_asked_to_open_it(newer: LabHost) -> None:
    newer.run("apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends firewalld")
    assert through(newer, 22, 443) == [True, False]
    assert applied(newer, OpenPort(443)).status == "changed"
    assert through(newer, 22, 443, 80) == [True, True, False]
    assert applied(newer, OpenPort(443)).status == "unchanged"
    newer.run("firewall-cmd --reload")
    assert through(newer, 443) == [True]
    assert taken_back(newer).status == "changed"
    assert through(newer, 443) == [False]
    newer.run("firewall-cmd --add-service=https; firewall-cmd --permanent --add-service=https")
    assert applied(newer, OpenPort(443)).status == "unchanged"
    newer.run("systemctl stop firewalld")
    assert "firewalld does not run, and starts when the host boots" in str(applied(newer, OpenPort(443)).error)
    newer.run("systemctl disable firewalld")
    assert applied(newer, OpenPort(443)).status == "unchanged"


# -- SELinux: no host with it is at hand, so programs of the test's own stand in for its tools ------------------------

PLAYED = {
    "getenforce": "echo Enforcing",
    "getsebool": 'echo "$1 --> $(cat /run/boolean)"',
    "setsebool": '[ "$1 $2" = "-P httpd_can_network_connect" ] && echo "$3" >/run/boolean',
    "semanage": """\
case "$*" in
  'port -l') echo "http_port_t                    tcp      80, 443"; sed 's/.*/http_port_t                    tcp      &/' /run/ports ;;
  'port -l -C') sed 's/.*/http_port_t                    tcp      &/' /run/ports ;;
  'port -a -t http_port_t -p tcp '*) echo "${7}" >>/run/ports ;;
  'port -d -t http_port_t -p tcp '*) sed -i "/^${7}\\$/d" /run/ports ;;
  *) echo "unexpected: $*" >&2; exit 1 ;;
esac""",
}


def test_what_SELinux_has_to_allow_is_allowed_and_taken_back(container: LabHost) -> None:  # noqa: N802 - a name
    for name, script in PLAYED.items():
        path = f"/usr/local/sbin/{name}"
        container.run(f"cat >{path}; chmod +x {path}", stdin=f"#!/bin/sh\n{script}\n")
    container.run("echo off >/run/boolean; : >/run/ports")
    wanted = (HttpdMayConnect(), HttpPort(443), HttpPort(8444))
    report = applied(container, *wanted)
    assert report.status == "changed", report.error
    assert container.run("cat /run/boolean /run/ports") == "on\n8444\n"
    assert applied(container, *wanted).status == "unchanged"
    assert taken_back(container).status == "changed"
    assert container.run("cat /run/boolean /run/ports") == "off\n"
