"""What is said of a tunnel: whether it works, and why nothing comes through."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.cli.options import Options
from novaops.cli.query import not_there
from novaops.errors import WaitingForPeer
from novaops.features.tunnel import status as tunnels
from novaops.features.tunnel.facts.ends import (
    AuthorizedKeys,
    AuthorizedKeysFile,
    TunnelKey,
)
from novaops.features.tunnel.facts.state import ForwardState, TunnelFacts, TunnelNamed, Tunnels
from novaops.features.tunnel.resources.connection import TunnelConnected, diagnose
from novaops.model.question import Missing, Section
from tests.unit.features.tunnel.support import API, HOME, KEY, LINE, PUBLIC, facts, tunnel

UP = ForwardState(
    *("api.openai.com:443", "127.0.0.1:8443", "https://api.openai.com/", ""),
    up=True,
    status=401,
    seconds=0.0123,
    error="",
    listener="ssh",
    pid=7,
)
DOWN = replace(UP, up=False, status=0, error="curl: (7) Failed to connect", listener="", pid=0)


def state(*said: str, forward: ForwardState = DOWN, **more: Any) -> TunnelFacts:
    journal = tuple((float(number), f"ssh: {text}") for number, text in enumerate(said))
    about: dict[str, Any] = {"via": "gate", "supervisor": "autossh", "reverse": False, "active": "active", "since": 90.0, "restarts": 0}
    numbers: dict[str, Any] = {"checked": True, "ssh": 0, "ssh_age": 0, "sent": -1, "received": -1}
    return TunnelFacts(name="api", forwards=(forward,), journal=journal, **{**about, **numbers, **more})


FORBIDDEN = ("channel 2: open failed: administratively prohibited: open failed",)


@pytest.mark.parametrize(
    ("more", "forward", "why"),
    [
        ({}, {"direct": "yes"}, None),
        ({}, {"direct": "no", "error": "x"}, "127.0.0.1:22 gives no answer on this end"),
        ({"sent": -1, "received": -1}, {"direct": "yes"}, "gate refuses to forward"),
        ({"reverse": False}, {"direct": ""}, "gate refuses to forward"),
    ],
)
def test_a_reverse_tunnel_whose_check_is_forbidden_is_not_down(more: dict[str, Any], forward: dict[str, Any], why: str | None) -> None:
    one = replace(UP, to="127.0.0.1:22", listen="127.0.0.1:9000", up=False, url="", **forward)
    found = state(*FORBIDDEN, forward=one, **{"reverse": True, "ssh": 7, "sent": 100, **more})
    said = diagnose(found, one)
    assert (said is None) if why is None else (said is not None and why in said.cause)
    connected = TunnelConnected("api", (), "gate")
    asked = facts({TunnelNamed("api"): found}, gate={AuthorizedKeys(): AuthorizedKeysFile("/k", b"")})
    if found.reverse:
        assert list(connected.plan(asked)) == [], "a new connection would not be allowed more"
    if why is None:
        assert any("does not allow the request" in note for note in connected.notes(asked))
        connected.verify_works(asked)


def closed(count: int) -> tuple[str, str]:
    return f"starting ssh (count {count})", "kex_exchange_identification: Connection closed by remote host"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            ("Offending ED25519 key in /etc/novaops/tunnel/api.known_hosts:2", "Host key verification failed."),
            "gate shows another host key than the pinned one",
        ),
        (("novaops-tunnel@192.0.2.2: Permission denied (publickey).",), "gate does not let the tunnel's key in any more"),
        (
            ("bind [127.0.0.1]:8443: Address already in use", "channel_setup_fwd_listener_tcpip: cannot listen to port: 8443"),
            "port 8443 is taken by another program",
        ),
        (("Error: remote port forwarding failed for listen port 9000",), "gate does not listen on port 9000"),
        (
            ("ssh: Could not resolve hostname gw.example.com: Temporary failure in name resolution",),
            "the name gw.example.com of gate cannot be looked up here",
        ),
        (("ssh: connect to host 192.0.2.2 port 22: Connection refused",), "gate is not reached at 192.0.2.2 port 22: Connection refused"),
        (("Timeout, server 192.0.2.2 not responding.",), "the link to gate went dead"),
        (("kex_exchange_identification: Connection closed by remote host",), "gate closes the connection before the login"),
        (("Permission denied (publickey).", "starting ssh (count 2)", "starting ssh (count 3)"), "no connection to gate at the moment"),
        # An sshd of OpenSSH 9.8 and later turns away for a while whom it has refused.
        (("Permission denied (publickey).", *closed(2), *closed(3)), "gate does not let the tunnel's key in any more"),
        (("Host key verification failed.", *closed(2), "starting ssh (count 3)"), "gate shows another host key than the pinned one"),
        (("channel 2: open failed: connect failed: Connection refused", *closed(2)), "gate closes the connection before the login"),
        (("Permission denied (publickey).", "starting ssh (count 2)", *closed(3)), "gate closes the connection before the login"),
        ((*closed(2), *closed(3)), "gate closes the connection before the login"),
    ],
)
def test_why_there_is_no_connection(said: tuple[str, ...], why: str) -> None:
    trouble = diagnose(state(*said), DOWN)
    assert trouble is not None
    assert why in trouble.cause
    assert trouble.fix


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("channel 2: open failed: administratively prohibited: open failed", "gate refuses to forward to api.openai.com:443"),
        (
            "channel 2: open failed: connect failed: Temporary failure in name resolution",
            "gate does not reach api.openai.com:443: Temporary failure in name resolution",
        ),
        ("channel 2: open failed: connect failed: Connection refused", "gate does not reach api.openai.com:443: Connection refused"),
        ("nothing of note", "gate is connected, and the connection was closed without an answer"),
    ],
)
def test_why_nothing_comes_through_what_is_connected(said: str, why: str) -> None:
    forward = replace(DOWN, error="curl: (56) OpenSSL SSL_connect: SSL_ERROR_SYSCALL", listener="ssh", pid=7)
    trouble = diagnose(state(said, forward=forward, ssh=7, ssh_age=100), forward)
    assert trouble is not None
    assert why in trouble.cause


@pytest.mark.parametrize(
    ("after", "line", "what"),
    [
        ((), LINE, "restarts"),
        ((), "other", "waits"),
        (("starting ssh (count 2)",), LINE, "nothing"),
        (("starting ssh (count 2)",), "other", "nothing"),
    ],
)
def test_a_connection_with_too_few_rights_is_made_anew_once_the_gateway_is_right(after: tuple[str, ...], line: str, what: str) -> None:
    forward = replace(DOWN, listener="ssh", pid=7)
    tunnel = state("channel 2: open failed: administratively prohibited: open failed", *after, forward=forward, ssh=7)
    works = TunnelConnected("api", (), "gate", "opts {} novaops:box/api")
    now = facts(
        {TunnelNamed("api"): tunnel, TunnelKey("api"): KEY}, gate={AuthorizedKeys(): AuthorizedKeysFile(HOME, f"{line}\n".encode())}
    )
    if what == "waits":
        with pytest.raises(WaitingForPeer, match="gate's permission"):
            list(works.plan(now))
        return
    made = [str(action) for step in works.plan(now) for action in step.actions]
    assert made == (["systemctl restart -- novaops-tunnel-api.service"] if what == "restarts" else [])


def test_a_connection_with_files_of_before_is_made_anew_once_the_gateway_is_right() -> None:
    """Whoever puts another key in place leaves the old one in the memory of an ssh that runs."""
    read = replace(state(forward=UP), stale=("/etc/novaops/tunnel/api.key",))
    connected = TunnelConnected("api", (), "gate", "opts {} novaops:box/api")
    known = {TunnelNamed("api"): read, TunnelKey("api"): KEY}
    gate = {AuthorizedKeys(): AuthorizedKeysFile(HOME, f"opts {PUBLIC} novaops:box/api\n".encode())}
    (step,) = connected.plan(facts(known, gate=gate))
    assert [one.before for one in step.changes] == ["/etc/novaops/tunnel/api.key of before"]
    with pytest.raises(WaitingForPeer):
        list(connected.plan(facts(known, gate={AuthorizedKeys(): AuthorizedKeysFile(HOME, b"")})))
    assert not list(connected.plan(facts({**known, TunnelNamed("api"): replace(read, stale=())}, gate=gate)))


def test_an_answer_of_somebody_else_is_no_answer() -> None:
    trouble = diagnose(state(), replace(UP, listener="nginx"))
    assert trouble is not None
    assert "is taken by nginx" in trouble.cause


def test_an_answer_without_a_connection_is_none_of_the_tunnel() -> None:
    assert diagnose(state(ssh=7), UP) is None
    for active, why in (("active", "there is no connection to gate"), ("inactive", "its unit is inactive")):
        trouble = diagnose(state(active=active), replace(UP, listener=""))
        assert trouble is not None
        assert why in trouble.cause


@pytest.mark.parametrize("leads", ["", "192.0.2.9", "127.86.1.2,2001:db8::1"])
def test_a_name_that_leads_past_the_tunnel_is_down(leads: str) -> None:
    fronted = replace(UP, local_alias="127.86.1.2:443", addresses="127.86.1.2")
    assert diagnose(state(ssh=7), fronted) is None
    trouble = diagnose(state(ssh=7), replace(fronted, addresses=leads))
    assert trouble is not None
    assert f"api.openai.com leads to {leads or 'nowhere'} here, not into the tunnel" in trouble.cause
    assert "/etc/nsswitch.conf" in trouble.fix


@pytest.mark.parametrize(
    ("place", "lines", "found"),
    [
        ("127.0.0.1:5432", ["0.0.0.0:5432"], "0.0.0.0:5432"),
        ("127.0.0.1:5432", ["*:5432"], "*:5432"),
        ("127.0.0.1:5432", ["[::]:5432", "127.0.0.2:5432", "0.0.0.0:15432"], ""),
        ("[::1]:5432", ["0.0.0.0:5432", "[::]:5432"], "[::]:5432"),
        ("127.0.0.1:5432", ["127.0.0.2:5432", "127.0.0.1:5432"], "127.0.0.1:5432"),
    ],
)
def test_who_listens_on_all_addresses_listens_on_this_one(place: str, lines: list[str], found: str) -> None:
    script = Tunnels.script([Tunnels()])
    function = script[script.index("listener() {") : script.index("\naddresses() {")]
    printed = "".join(f"LISTEN 0 128 {line} 0.0.0.0:*\n" for line in lines)
    done = subprocess.run(["sh", "-c", f'{function}\nlistener "$0"', place], input=printed, capture_output=True, text=True, check=True)
    assert done.stdout.split()[3:4] == ([found] if found else [])


def test_a_host_without_tunnels_has_none() -> None:
    assert Tunnels.parse([Tunnels()], Section("end\n", "", 0)) == {Tunnels(): ()}


def test_a_tunnel_that_only_the_inventory_has_is_down() -> None:
    two = tunnel(to=None, listen=None, forwards=[{"to": "a.b:1", "listen": 9000}, {"to": "a.b:2", "listen": 9001}])
    for entry, ways in ((tunnel(), 1), (two, 2), (tunnel(to=None, site="llm"), 1)):
        found = {"tunnels": [tunnels.not_set_up(entry, "box")]}
        assert tunnels.is_down(found)
        assert [row[2] for row in tunnels.rows(found) if row[1]] == ["DOWN"] * ways
        assert "not set up: novaops tunnel up box --name api" in tunnels.rows(found)[0][5]
        whole = tunnels.details(facts({Tunnels(): (state(forward=UP),)}))["tunnels"][0]
        assert found["tunnels"][0].keys() == whole.keys()
        assert found["tunnels"][0]["forwards"][0].keys() == whole["forwards"][0].keys()


def test_the_status_knows_which_entries_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    entries = [API, {**API, "name": "b", "listen": 9000}, {"name": "c", "state": "absent"}]
    file.write_text(json.dumps({"hosts": {"box": {"address": "192.0.2.1", "tunnel": entries}, "gate": {"address": "192.0.2.2"}}}), "utf-8")
    missing = not_there(Options(inventory=file), "tunnel", {"box": {"api"}, "gate": set(), "root@192.0.2.9": set()})
    assert {host: [entry.name for entry in its] for host, its in missing.items()} == {"box": ["b"]}


def test_the_status_shows_each_forward_by_itself() -> None:
    three = replace(state(), ssh=7, forwards=(UP, replace(UP, listen="127.0.0.1:9000"), DOWN), sent=2048, received=4096)
    found = tunnels.details(facts({Tunnels(): (three,)}))
    assert [row[2] for row in tunnels.rows(found)][:3] == ["UP", "UP", "DOWN"]
    assert tunnels.is_down(found)
    assert tunnels.lines_to_use(found) == [
        f"curl --connect-to api.openai.com:443:127.0.0.1:{port} https://api.openai.com/v1/models" for port in (8443, 9000)
    ]
    assert "2 KiB there, 4 KiB back" in tunnels.rows(found)[0]
    assert not tunnels.is_down(tunnels.details(facts({Tunnels(): (replace(three, forwards=(UP,)),)})))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("api.openai.com:443", "127.0.0.1:8443", "https://api.openai.com/", ""),
            "curl --connect-to api.openai.com:443:127.0.0.1:8443 https://api.openai.com/v1/models",
        ),
        (("api.openai.com:443", "0.0.0.0:8443", "https://api.openai.com/", "127.86.1.2"), "curl https://api.openai.com/v1/models"),
        (("127.0.0.1:8080", "127.0.0.1:8081", "http://127.0.0.1:8081/", ""), "base URL: http://127.0.0.1:8081/v1"),
        (("db.example.com:5432", "127.0.0.1:5432", "tcp", ""), ""),
    ],
)
def test_the_line_to_use(words: tuple[str, str, str, str], line: str) -> None:
    assert tunnels.usage(*words) == line
    assert " -k" not in line


def test_what_the_host_prints_is_read_back() -> None:
    stranger = 'LISTEN 0 128 *:5 *:* users:(("\nLISTEN 0 1 *:8",pid=9,fd=4))\n'
    own = 'LISTEN 0 128 127.0.0.1:8443 0.0.0.0:* users:(("ssh",pid=7,fd=4))\n'
    processes = base64.b64encode((stranger + own).encode()).decode()
    printed = (
        "tunnel\tapi\tpresent\nvia\tgate\nsupervisor\tautossh\ndirection\t-L\n"
        "unit\tActiveState=active\nunit\tSubState=running\nunit\tNRestarts=2\nunit\tActiveEnterTimestampMonotonic=10000000\nunit\tMainPID=5\n"
        f"processes\t{processes}\ncheck\tactive\nup\t100.50\n"
        "forward\t127.0.0.1\t8443\thttps\thttps://a.b/\ta.b:443\t127.0.0.1:8443\t-\t-\n"
        "answer\tyes\t401\t0.25\t\ndirect\t\n"
        "listener\tLISTEN 0 128 127.0.0.1:8443 0.0.0.0:*\n"
        "addresses\t\n"
        "ssh\t7\t60\nlink\t0 0 10.0.0.1:5 10.0.0.2:22 users cubic bytes_sent:100 bytes_acked:99 bytes_received:2000 x\n"
        "journal\tMTcwMC4xIGJveCBzc2hbN106IGhlbGxvOiB4Cg==\n\n"
        "tunnel\tgone\tabsent\nend\n"
    )
    read = TunnelNamed.parse([TunnelNamed("api"), TunnelNamed("gone")], Section(printed, "", 0))
    found = read[TunnelNamed("api")]
    assert isinstance(found, TunnelFacts)
    assert read[TunnelNamed("gone")] is Missing.ABSENT
    assert (found.since, found.restarts, found.ssh, found.sent, found.received) == (90.5, 2, 7, 100, 2000)
    assert found.journal == ((1700.1, "ssh: hello: x"),)
    assert found.forwards == (replace(UP, to="a.b:443", url="https://a.b/", seconds=0.25),)
    socks = TunnelNamed.parse([TunnelNamed("api")], Section(printed.replace("\thttps\t", "\tsocks\t"), "", 0))[TunnelNamed("api")]
    assert isinstance(socks, TunnelFacts)
    stale = Section(printed.replace("ssh\t7\t60\n", "ssh\t7\t60\nstale\t/etc/a.key\n"), "", 0)
    assert getattr(TunnelNamed.parse([TunnelNamed("api")], stale)[TunnelNamed("api")], "stale", ()) == ("/etc/a.key",)
    assert tunnels.details(facts({Tunnels(): (socks,)}))["tunnels"][0]["forwards"][0]["use"] == (
        "ALL_PROXY=socks5h://127.0.0.1:8443 curl https://a.b/"
    )
    assert TunnelNamed.parse([TunnelNamed("api")], Section(printed[:-4], "", 0)) == {}
