"""tunnel: what may be written, and what follows from it on both hosts; no host is asked."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from novaops.cli.options import GuardedRun, Options
from novaops.cli.section_verb import HostDesired
from novaops.engine.desired import DesiredState, without_yielding
from novaops.errors import InventoryError, Refused, UsageError
from novaops.facts.account import AccountNamed
from novaops.facts.file import FileAt, FileState
from novaops.facts.listening import Listener, Listening
from novaops.facts.sshd import Sshd, SshdEffective, SshdState, settings_of
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.tunnel import cli as tunnel_verbs
from novaops.features.tunnel.client import key_options
from novaops.features.tunnel.distinct import distinct
from novaops.features.tunnel.facts.ends import (
    AuthorizedKeys,
    AuthorizedKeysFile,
    TunnelFile,
    TunnelFiles,
)
from novaops.features.tunnel.facts.state import PROBES
from novaops.features.tunnel.gateway_sessions import SessionsRemoved
from novaops.features.tunnel.paths import DROP_IN, alias_address, probe_place
from novaops.features.tunnel.resources.account import TunnelUser
from novaops.features.tunnel.resources.cleanup import StaleTunnelFiles
from novaops.features.tunnel.resources.connection import TunnelConnected
from novaops.features.tunnel.resources.gateway_sshd import GatewaySshd
from novaops.features.tunnel.resources.port_preconditions import PortsFree
from novaops.features.tunnel.settings import Tunnel, default_name
from novaops.model.action import Command, payload
from novaops.model.question import Missing
from novaops.resources.after_peer import AfterPeer
from tests.unit.features.tunnel.support import API, BOOKS, HOME, PUBLIC, SOCKS, facts, file_of, hosts, known, tunnel, wishes

# -- what may be written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "place", "said"),
    [
        ({**API, "via": None}, "0", "via: the host that it goes through has to be said"),
        ({**API, "to": None}, "0", "to: say one of to:"),
        ({**API, "forwards": [{"to": "a.b:1", "listen": 9000}]}, "0", "to and forwards: say one of"),
        ({**API, "to": "api.openai.com"}, "0/to", '"api.openai.com" has no port: HOST:PORT'),
        ({**API, "to": "api openai:443"}, "0/to", "is no host name"),
        ({**API, "listen": "127.0.0.1:443"}, "0/listen", "ports below 1024 are root's"),
        ({**API, "listen": "127.0.0.1"}, "0/listen", "is no port"),
        ({**API, "listen": ":8443"}, "0/listen", "is neither a port nor ADDRESS:PORT"),
        ({**API, "listen": "::1:8443"}, "0/listen", "is neither a port nor ADDRESS:PORT"),
        ({**API, "listen": None}, "0", "listen: where clients find it has to be said"),
        ({**API, "supervisor": "runit"}, "0/supervisor", "is not one of autossh, systemd"),
        ({**API, "check": "ftp://x/"}, "0/check", "neither tcp nor a URL"),
        ({**API, "check": "https://x/\n"}, "0/check", "is no URL"),
        ({**API, "every": 1}, "0/every", '"1" is less than 5'),
        ({**API, "name": "../x"}, "0/name", "is no name"),
        ({**API, "prot": 1}, "0/prot", "there is no such key"),
        ({**API, "transparent": True, "to": "192.0.2.9:443"}, "0", "transparent: 192.0.2.9 is no name"),
        ({**API, "transparent": True, "reverse": True}, "0", "transparent: not with reverse"),
        ({**API, "to": None, "site": "x", "reverse": True}, "0", "site: not with reverse"),
        ({**API, "to": "socks"}, "0/to", "has no port: HOST:PORT; a SOCKS proxy is socks: 127.0.0.1:1080"),
        ({**SOCKS, "to": "a.b:443"}, "0", "to and socks: say one of"),
        ({**SOCKS, "listen": 9000}, "0", "listen: not with socks"),
        ({**SOCKS, "reverse": True}, "0", "reverse: not with socks"),
        ({**SOCKS, "transparent": True}, "0", "transparent: not with socks"),
        ({**SOCKS, "check": None}, "0", "check: with socks: say which URL"),
        ({**SOCKS, "check": "tcp"}, "0", "check: with socks: say which URL"),
        ({**SOCKS, "check": "https://a.b:8443/"}, "0", "check: a.b:8443 is not among what reaches: allows: *:80, *:443"),
        ({**SOCKS, "reaches": ["a.b"]}, "0/reaches/0", '"a.b" has no port: HOST:PORT, with * for any'),
        ({**SOCKS, "reaches": ["a b:1"]}, "0/reaches/0", "is no host name"),
        ({**SOCKS, "reaches": ['a",permitopen="c:1']}, "0/reaches/0", "is no"),
        ({**SOCKS, "socks": "127.0.0.1:80"}, "0/socks", "ports below 1024 are root's"),
        ({**API, "reaches": ["a.b:1"]}, "0", "reaches: only with socks"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(entry: dict[str, Any], place: str, said: str) -> None:
    found = known([{key: value for key, value in entry.items() if value is not None}])
    with pytest.raises(InventoryError) as error:
        BOOKS.desired(found, found.hosts["box"])
    assert error.value.what.startswith(f"inventory.yaml: hosts/box/tunnel/{place}: "), error.value.what
    assert said in error.value.what


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([API, API], "api is there twice"),
        ([API, {**API, "name": "b"}], "listen: api and b both have 127.0.0.1:8443"),
        ([API, {**SOCKS, "socks": 8443}], "listen: api and any both have 127.0.0.1:8443"),
        (
            [{**API, "transparent": True}, {**API, "name": "b", "listen": 9000, "transparent": True}],
            "transparent: api and b both take api.openai.com:443",
        ),
        ([{**API, "transparent": True}, {**API, "name": "api-443", "listen": 9000}], "would both have a unit api-443"),
    ],
)
def test_two_tunnels_want_nothing_of_each_other(others: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        distinct([Tunnel(**other) for other in others])


@pytest.mark.parametrize(
    ("reaches", "check", "permitted"),
    [
        (None, "https://a.b/", ["*:80", "*:443"]),
        (["A.b:443", "*:5432"], "https://a.b/", ["a.b:443", "*:5432"]),
        (["a.b:*"], "http://A.B:8000/x", ["a.b:*"]),
        (["*:*"], "https://[2001:db8::1]/", ["*:*"]),
        (["[2001:db8::1]:443"], "https://[2001:db8::1]/", ["[2001:db8::1]:443"]),
        (["[2001:db8::1]:*"], "https://[2001:db8::1]/", ["[2001:db8::1]:*"]),
    ],
)
def test_a_socks_proxy_reaches_what_its_key_allows(reaches: list[str] | None, check: str, permitted: list[str]) -> None:
    said = {} if reaches is None else {"reaches": reaches}
    (forward,) = Tunnel.model_validate({**SOCKS, **said, "check": check}).resolved_forwards()
    assert forward.key_permissions == tuple(f'permitopen="{one}"' for one in permitted)
    assert (forward.ssh_forwards, forward.kind) == ((("DynamicForward", "127.0.0.1:1080", ""),), "socks")


def test_a_socks_proxy_that_reaches_nothing() -> None:
    """An empty list must not open the web."""
    with pytest.raises(ValueError, match="reaches: an empty list allows nothing"):
        Tunnel.model_validate({**SOCKS, "reaches": []})


def test_a_socks_proxy_on_its_client() -> None:
    wanted = wishes(SOCKS)
    assert "    DynamicForward 127.0.0.1:1080\n" in file_of(wanted, "/etc/novaops/tunnel/any.conf")
    columns = ("127.0.0.1", "1080", "socks", SOCKS["check"], "api.openai.com:443", "127.0.0.1:1080", "-", "-")
    assert "\t".join(columns) in file_of(wanted, "/etc/novaops/tunnel/any.forwards")


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"to": "api.openai.com:443"}, "openai"),
        ({"to": "192.0.2.7:1"}, "192.0.2.7"),
        ({"to": "socks"}, "socks"),
        ({"socks": "1080"}, "socks"),
        ({"site": "x"}, "x"),
        ({}, None),
    ],
)
def test_the_name_of_a_tunnel_that_only_flags_describe(flags: dict[str, str], name: str | None) -> None:
    assert default_name(flags) == name


def test_a_listener_may_be_just_a_port() -> None:
    assert tunnel(listen=8443).listen == tunnel(listen="8443").listen == tunnel(listen="localhost:8443").listen == "127.0.0.1:8443"
    assert tunnel(listen="[::1]:8443").listen == "[::1]:8443"


@pytest.mark.parametrize(
    ("to", "check"),
    [
        ("api.openai.com:443", "https://api.openai.com/"),
        ("api.openai.com:8443", "https://api.openai.com:8443/"),
        ("192.0.2.7:443", "tcp"),
        ("web.example.com:80", "http://web.example.com/"),
        ("192.0.2.7:8080", "http://192.0.2.7:8080/"),
        ("db.example.com:5432", "tcp"),
    ],
)
def test_what_is_asked_follows_from_the_port(to: str, check: str) -> None:
    assert tunnel(to=to).resolved_forwards()[0].check == check


@given(st.text(max_size=30))
def test_no_text_breaks_out_of_the_files(text: str) -> None:
    for key in ("to", "listen", "check", "via", "via_address", "name"):
        for word in (text, f"a{text}:443", f"https://a{text}/"):
            try:
                made = tunnel(**{key: word})
            except ValidationError:
                continue
            written = getattr(made, key)
            assert not set(written) & set("\n\r\t \"'\\\0\x1b"), (key, written)


# -- what follows from it ---------------------------------------------------------------------------------------------


def test_the_key_may_reach_this_port_and_nothing_else() -> None:
    assert key_options(tunnel().resolved_forwards()) == (
        'restrict,port-forwarding,command="/bin/false",permitopen="api.openai.com:443",permitlisten="localhost:1"'
    )


def test_the_key_of_a_reverse_tunnel_may_listen_and_come_round() -> None:
    assert key_options(tunnel(reverse=True, to="127.0.0.1:22", listen=2022).resolved_forwards()) == (
        'restrict,port-forwarding,command="/bin/false",permitlisten="127.0.0.1:2022",permitopen="127.0.0.1:2022"'
    )


def test_the_client_gets_an_ssh_config_that_trusts_only_what_is_pinned() -> None:
    written = file_of(wishes(API), "/etc/novaops/tunnel/api.conf")
    lines = [line.strip() for line in written.splitlines()]
    for line in (
        "HostName 192.0.2.2",
        "Port 2222",
        "StrictHostKeyChecking yes",
        "GlobalKnownHostsFile none",
        "BatchMode yes",
        "ExitOnForwardFailure yes",
        "LocalForward 127.0.0.1:8443 api.openai.com:443",
    ):
        assert line in lines
    assert not re.search("^ *RemoteForward", written, re.MULTILINE)


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ("gw.example.com:2200", ("HostName gw.example.com", "Port 2200")),
        ("2001:db8::7", ("HostName 2001:db8::7", "Port 22")),
        ("[fe80::1%eth0]:22", ("HostName fe80::1%%eth0", "Port 22")),
    ],
)
def test_the_gateway_may_be_reached_elsewhere(address: str, lines: tuple[str, str]) -> None:
    written = file_of(wishes({**API, "via_address": address}), "/etc/novaops/tunnel/api.conf")
    assert all(f"    {line}\n" in written for line in lines)


def test_a_reverse_tunnel_listens_there_and_is_asked_all_the_way_round() -> None:
    made = wishes({**API, "reverse": True, "to": "127.0.0.1:9200", "listen": 9000})
    written = file_of(made, "/etc/novaops/tunnel/api.conf")
    asked, port = probe_place("api 127.0.0.1:9000")
    assert f"RemoteForward 127.0.0.1:9000 127.0.0.1:9200\n    LocalForward {asked}:{port} 127.0.0.1:9000\n" in written
    assert file_of(made, "/etc/novaops/tunnel/api.forwards").splitlines()[-1].split("\t")[:3] == [asked, str(port), "tcp"]


@pytest.mark.parametrize("port", [2222, 8080])
def test_a_port_may_be_the_same_on_both_ends_of_a_reverse_tunnel(port: int) -> None:
    """Also where the client listens at it on all its addresses, as its sshd or a published port of docker does."""
    made = wishes({**API, "reverse": True, "to": f"127.0.0.1:{port}", "listen": port})
    (free,) = [one for one in made.own if isinstance(one, PortsFree)]
    listening = tuple(Listener(address, port, ("sshd",), 7, "ssh.service") for address in ("0.0.0.0", "::"))  # noqa: S104 - compared
    assert not list(free.plan(facts({Listening(): listening})))


@pytest.mark.parametrize(("supervisor", "words"), [("autossh", "/usr/bin/autossh -M 0 -N -T"), ("systemd", "/usr/bin/ssh -N -T")])
def test_who_starts_ssh_again(supervisor: str, words: str) -> None:
    made = wishes({**API, "supervisor": supervisor})
    unit = file_of(made, "/etc/systemd/system/novaops-tunnel-api.service")
    assert f"ExecStart={words} -F /etc/novaops/tunnel/api.conf gateway\n" in unit
    assert " -f" not in unit
    assert {"Restart=always", "RestartSec=5", "StartLimitIntervalSec=0"} <= set(unit.splitlines())
    assert ("package:autossh" in [one.id for one in made.own]) == (supervisor == "autossh")


def test_unchanged_clients_find_a_listener_at_the_names_own_port() -> None:
    made = wishes({**API, "transparent": True})
    socket = file_of(made, "/etc/systemd/system/novaops-tunnel-api-443.socket")
    assert f"ListenStream={alias_address('api.openai.com')}:443\n" in socket
    assert "127.0.0.1:8443\n" in file_of(made, "/etc/systemd/system/novaops-tunnel-api-443.service")


SITE = {
    "name": "llm",
    "provider": "openai",
    "domain": ["127.0.0.1"],
    "listen": "127.0.0.1",
    "http_port": 8080,
    "tls": "off",
    "auth": {"passthrough": True, "from": "127.0.0.1/32"},
}
TO_SITE = {"name": "llm", "via": "gate", "site": "llm", "listen": 8081}


def test_a_tunnel_may_end_at_a_site_of_the_gateway() -> None:
    made = wishes(TO_SITE, proxy=[SITE])
    assert "LocalForward 127.0.0.1:8081 127.0.0.1:8080\n" in file_of(made, "/etc/novaops/tunnel/llm.conf")
    (works,) = [one for one in made.own if isinstance(one, TunnelConnected)]
    assert works.usage == ("base URL: http://127.0.0.1:8081/v1",)


@pytest.mark.parametrize(
    ("entry", "gate", "said"),
    [
        ({**API, "via": "gat"}, {}, "box: tunnel api: via: inventory.yaml has no host or group gat"),
        ({**API, "via": "box"}, {}, "via: that is the host itself"),
        (API, {"address": "127.0.0.1"}, "gate has the address 127.0.0.1, where the client would reach itself"),
        (TO_SITE, {}, "gate has no site llm"),
        (TO_SITE, {"proxy": [{**SITE, "tls": "self-signed"}]}, "does not listen for plain http on loopback"),
        (TO_SITE, {"proxy": [{**SITE, "domain": ["a.example.com"]}]}, "does not answer for http://127.0.0.1"),
    ],
)
def test_a_gateway_that_is_none_is_said_before_anything_is_contacted(entry: dict[str, Any], gate: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        wishes(entry, **gate)
    assert said in error.value.what


def test_nothing_is_asked_of_the_gateway_to_go_away() -> None:
    made = wishes({"name": "api", "state": "absent", "via": "gate"})
    ids = [resource.id for _, resource in made.of_peers]
    assert ids == ["admitted:box/api", "unit:novaops-tunnels.service", "sshd:tunnels", "user:novaops-tunnel"]
    assert not [one for one in (*made.own, *(resource for _, resource in made.of_peers)) if list(getattr(one, "peer_questions", tuple)())]


def test_each_gateway_gets_what_its_own_tunnels_need() -> None:
    other = {**API, "name": "b", "via": "root@203.0.113.9", "listen": 9000}
    made = wishes(other, API, {"name": "old", "state": "absent", "via": "gate"})
    found: dict[str, list[str]] = {}
    for host, resource in made.of_peers:
        found.setdefault(host.name, []).append(resource.id)
    no_reverse = "unit:novaops-tunnels.service"
    assert list(found.items()) == [
        ("root@203.0.113.9", ["target:b", "user:novaops-tunnel", "admitted:box/b", no_reverse, "sshd:tunnels"]),
        ("gate", ["admitted:box/old", "target:api", "user:novaops-tunnel", "admitted:box/api", no_reverse, "sshd:tunnels"]),
    ]


SESSIONS = ("/etc/systemd/system/novaops-tunnels.service", "/etc/novaops/tunnel/gateway.sessions")


def test_what_frees_ports_of_reverse_tunnels_stays_while_a_key_may_listen() -> None:
    there = wishes({**API, "reverse": True, "to": "127.0.0.1:22"}).of_peers
    assert [one.id for _, one in there if one.id.endswith(SESSIONS)] == [f"file:{path}" for path in SESSIONS]
    gone = [one for _, one in wishes(API).of_peers if isinstance(one, SessionsRemoved)]
    file = FileState("regular file", "0644", "root", "root", b"x")
    unit = UnitFacts("loaded", "active", "enabled")
    on_host: dict[Any, Any] = {UnitNamed("novaops-tunnels.service"): unit, **{FileAt(path): file for path in SESSIONS}}
    for options, steps in ((key_options(tunnel(reverse=True).resolved_forwards()), 0), (key_options(tunnel().resolved_forwards()), 3)):
        keys = AuthorizedKeysFile(HOME, f"{options} {PUBLIC} novaops:other/x\n".encode())
        assert sum(len(list(one.plan(facts({AuthorizedKeys(): keys, **on_host})))) for one in gone) == steps


def test_what_one_client_wants_away_stays_where_another_wants_it() -> None:
    gone = [one for _, one in wishes({"name": "api", "state": "absent", "via": "gate"}).of_peers]
    comes = [one for _, one in wishes({**API, "name": "b", "listen": 9000}).of_peers]
    for both in ([*gone, *comes], [*comes, *gone]):
        stays = without_yielding(both)
        assert [one.id for one in stays if one.id == "admitted:box/api"]
        assert [one for one in stays if one.id in {"sshd:tunnels", "user:novaops-tunnel"}] == [
            one for one in comes if one.id in {"sshd:tunnels", "user:novaops-tunnel"}
        ]
    assert without_yielding(gone) == gone


LISTENING = """\
held 11 socket:[700]
held 11 socket:[400]
held 11 socket:[900]
held 12 socket:[401]
LISTEN 0 128 127.0.0.1:9000 0.0.0.0:* uid:998 ino:700 sk:1 <->
LISTEN 0 128 0.0.0.0:22 0.0.0.0:* ino:100 sk:2 <->
sessions
"""
SESSION = "0 0 10.0.0.1:22 10.0.0.2:50 timer:(keepalive,9sec,0) ino:400 sk:3 <-> bbr cwnd:20 lastsnd:9 {} rcv_space:14480\n"


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        (SESSION.format("lastrcv:36012 lastack:35968"), ["11 10.0.0.2:50"]),
        (SESSION.format("lastrcv:34220 lastack:34168"), []),
        (SESSION.format("lastrcv:59512 lastack:356"), []),  # recorded of a stream that goes one way, a byte each second
        (SESSION.format("lastrcv:12 lastack:90000"), []),
        (SESSION.format("lastrcv:36012"), []),
        (SESSION.replace("ino:400", "ino:401").format("lastrcv:36012 lastack:35968"), []),  # listens nowhere
        (
            SESSION.replace("ino:400", "ino:402").format("lastrcv:36012 lastack:35968"),
            [],
        ),  # nobody's, or a stranger's, whatever it is called
        ("0 0 127.0.0.1:9000 127.0.0.1:51 uid:998 ino:900 sk:4 <-> lastrcv:90000 lastack:90000\n", []),  # a user of the port
    ],
)
def test_which_session_is_of_a_client_that_is_gone(line: str, gone: list[str]) -> None:
    script = wishes({**API, "reverse": True, "to": "127.0.0.1:22"}).of_peers
    (text,) = [payload(one.resource.content or "").decode() for _, one in script if one.id.endswith("gateway.sessions")]  # type: ignore[attr-defined]
    program = text.partition("limit=35000 '")[2].partition("'")[0]
    for awk in ("mawk", "gawk"):
        if shutil.which(awk):
            done = subprocess.run([awk, "-v", "limit=35000", program], input=LISTENING + line, capture_output=True, text=True, check=True)
            assert done.stdout.splitlines() == gone


@pytest.mark.parametrize(
    ("listen", "reverse", "ports"),
    [("8443", False, "no"), ("8443", True, "no"), ("[::1]:8443", True, "no"), ("127.0.0.5:8443", True, "clientspecified")],
)
def test_what_sshd_is_told_of_listeners(listen: str, reverse: bool, ports: str) -> None:  # noqa: FBT001 - a parameter
    made = wishes({**API, "listen": listen, "reverse": reverse, "check": "tcp"})
    (gate,) = [one.resource for _, one in made.of_peers if isinstance(one, AfterPeer) and isinstance(one.resource, GatewaySshd)]
    assert gate.listens == reverse
    for line in (f"GatewayPorts {ports}", "PermitOpen any", "PermitListen any"):
        assert f"    {line}\n" in gate.text


def test_a_tunnel_is_taken_away_where_its_gateway_is_known_or_left_alone() -> None:
    left = (TunnelFile("/etc/novaops/tunnel/api.forwards", "0644", "root", "root", b"# managed\n# via gate\n"),)
    (rest,) = [one for one in wishes({"name": "api", "state": "absent"}).own if isinstance(one, StaleTunnelFiles)]
    with pytest.raises(Refused) as error:
        list(rest.plan(facts({TunnelFiles("api"): left})))
    assert "--via gate" in error.value.fix
    assert not list(rest.plan(facts({TunnelFiles("api"): ()})))
    (rest,) = [one for one in wishes({"name": "api", "state": "absent", "via": "gate"}).own if isinstance(one, StaleTunnelFiles)]
    assert list(rest.plan(facts({TunnelFiles("api"): left})))


DOWN = "novaops tunnel down HOST --name api --via gate"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"via": "gate"}, ""),
        ({"via": "root@192.0.2.9"}, f"{DOWN} takes that away, and novaops tunnel up then makes it anew"),
        ({"via": "root@192.0.2.9", "state": "absent"}, f"{DOWN} takes that away"),
        ({"state": "absent", "via": "gate"}, ""),
    ],
)
def test_a_gateway_of_before_is_named(wanted: dict[str, Any], told: str) -> None:
    there = (TunnelFile("/etc/novaops/tunnel/api.forwards", "0644", "root", "root", b"# managed\n# via gate\n"),)
    keys = ("name",) if wanted.get("state") else tuple(API)
    entry = {**{key: API[key] for key in keys}, **wanted}
    (rest,) = [one for one in wishes(entry).own if isinstance(one, StaleTunnelFiles)]
    said = list(rest.notes(facts({TunnelFiles("api"): there})))
    assert said == ([f"api went through gate, which still lets its key in. {told}"] if told else [])
    assert not list(rest.notes(facts({TunnelFiles("api"): ()})))


def test_a_gateway_that_is_gone_for_good_is_not_even_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found = known([{**API, "via": "gone"}])
    made: list[DesiredState] = []

    def converge(*_: Any, wanted: HostDesired, **__: Any) -> int:
        made.append(wanted(found, BOOKS, found.hosts["box"]))
        return 0

    monkeypatch.setattr("novaops.cli.section_verb.converge_hosts", converge)
    with pytest.raises(UsageError, match="no host or group gone"):
        tunnel_verbs.down(Options(), run=GuardedRun())
    tunnel_verbs.down(Options(), only_here=True, run=GuardedRun())
    assert not made[0].of_peers
    assert [one.via is None for one in made[0].own if isinstance(one, StaleTunnelFiles)] == [False]


@pytest.mark.parametrize(
    ("said", "ports", "listens", "refused"),
    [
        ({"gatewayports": "yes"}, "no", True, "GatewayPorts yes would open"),
        ({"gatewayports": "no"}, "clientspecified", True, "GatewayPorts no would open"),
        ({"gatewayports": "clientspecified"}, "no", True, ""),
        ({"gatewayports": "no"}, "no", True, ""),
        ({"gatewayports": "yes"}, "no", False, ""),
        ({"gatewayports": "no", "permitopen": "none"}, "no", False, "PermitOpen of sshd shuts"),
    ],
)
def test_without_a_drop_in_sshd_itself_must_be_fit(said: dict[str, str], ports: str, listens: bool, refused: str) -> None:  # noqa: FBT001 - a parameter
    gate = GatewaySshd(f"Match User novaops-tunnel\n    MaxSessions 0\n    GatewayPorts {ports}\n", listens=listens)
    sshd = Sshd("/usr/sbin/sshd", (9, 2), "", {"/etc/ssh/sshd_config": ""}, {}, accept=False, directory=True, nologin=False)
    settings = {"allowtcpforwarding": ("yes",), **{key: (value,) for key, value in said.items()}}
    now = facts({SshdState(): sshd, FileAt(DROP_IN): Missing.ABSENT, SshdEffective("novaops-tunnel"): settings})
    if not refused:
        assert not list(gate.plan(now))
        return
    with pytest.raises(Refused, match=refused):
        list(gate.plan(now))


@pytest.mark.parametrize(
    ("version", "printed", "takes"),
    [
        ((9, 2), "pubkeyacceptedalgorithms rsa-sha2-512,ecdsa-sha2-nistp256", False),
        ((8, 4), "pubkeyacceptedkeytypes ssh-ed25519-cert-v01@openssh.com,ssh-rsa", False),
        ((9, 2), "pubkeyacceptedalgorithms *,!ssh-ed25519", False),
        ((8, 4), "pubkeyacceptedkeytypes ssh-*", True),
        ((9, 2), "pubkeyacceptedalgorithms rsa-sha2-512,ssh-ed25519", True),
        ((9, 2), "pubkeyacceptedalgorithms *", True),
    ],
)
def test_a_gateway_that_takes_no_key_of_that_kind_is_refused(version: tuple[int, int], printed: str, takes: bool) -> None:  # noqa: FBT001
    """As with rules for FIPS: it would turn the key down, and each `tunnel up` would say that `tunnel up` lets it in again."""
    sshd = Sshd("/usr/sbin/sshd", version, "", {"/etc/ssh/sshd_config": ""}, {}, accept=False, directory=True, nologin=False)
    settings = settings_of(["allowtcpforwarding yes", "gatewayports no", printed])
    now = facts({SshdState(): sshd, FileAt(DROP_IN): Missing.ABSENT, SshdEffective("novaops-tunnel"): settings})
    gate = GatewaySshd("Match User novaops-tunnel\n    MaxSessions 0\n    GatewayPorts no\n")
    if takes:
        assert not list(gate.plan(now))
        return
    with pytest.raises(Refused, match="would not let novaops-tunnel log in") as found:
        list(gate.plan(now))
    known = "PubkeyAcceptedAlgorithms" if version > (8, 4) else "PubkeyAcceptedKeyTypes"
    assert f"{known} +ssh-ed25519" in str(found.value.fix)


def judged(gate: GatewaySshd, block: str, settings: dict[str, tuple[str, ...]], *, refused: bool) -> None:
    """What becomes of a gateway whose sshd has this block before what novaops would write, and says that it is set so."""
    first = "/etc/ssh/sshd_config.d/00-a.conf"
    files = {"/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n", first: block}
    sshd = Sshd("/usr/sbin/sshd", (9, 2), "", files, {}, accept=False, directory=True, nologin=False)
    settings = {"allowtcpforwarding": ("yes",), **settings}
    now = facts({SshdState(): sshd, FileAt(DROP_IN): Missing.ABSENT, SshdEffective("novaops-tunnel"): settings})
    if not refused:
        assert list(gate.plan(now))
        return
    with pytest.raises(Refused, match="another Match block comes before") as found:
        list(gate.plan(now))
    assert f"{first}:2" in str(found.value.why)


@pytest.mark.parametrize(
    ("theirs", "ours", "listens", "refused"),
    [
        ("no", "clientspecified", True, True),
        ("yes", "no", True, True),
        ("clientspecified", "no", True, False),
        ("no", "no", True, False),
        ("yes", "no", False, False),
    ],
)
def test_a_block_that_comes_first_and_says_where_sshd_listens(theirs: str, ours: str, listens: bool, refused: bool) -> None:  # noqa: FBT001 - parameters
    """Sshd would listen on loopback alone, or for everybody, and not where the tunnel is to be reached."""
    gate = GatewaySshd(f"Match User novaops-tunnel\n    MaxSessions 0\n    GatewayPorts {ours}\n", listens=listens)
    judged(gate, f"Match User *,!root\n    GatewayPorts {theirs}\n", {"gatewayports": (theirs,)}, refused=refused)


@pytest.mark.parametrize(("port", "refused"), [("22", True), ("2222", False)])
def test_a_block_for_the_port_of_sshd_that_comes_first_is_refused(port: str, refused: bool) -> None:  # noqa: FBT001 - a parameter
    """Each `tunnel up` would make a new connection, and say that something on the host keeps changing it back."""
    gate = GatewaySshd("Match User novaops-tunnel\n    MaxSessions 0\n    PermitOpen any\n    GatewayPorts no\n")
    judged(gate, "Match LocalPort 22\n    PermitOpen none\n", {"gatewayports": ("no",), "port": (port,)}, refused=refused)


def test_a_gateway_that_takes_no_such_line_is_refused_before_anything_is_made() -> None:
    """As Amazon Linux 2: it would turn the key down, and each `tunnel up` would say that `tunnel up` lets it in again."""
    sshd = Sshd("/usr/sbin/sshd", (7, 4), "", {"/etc/ssh/sshd_config": ""}, {}, accept=False, directory=True, nologin=False)
    settings = {"allowtcpforwarding": ("yes",), "gatewayports": ("no",)}
    now = {FileAt(DROP_IN): Missing.ABSENT, SshdEffective("novaops-tunnel"): settings}
    gate = GatewaySshd("Match User novaops-tunnel\n    MaxSessions 0\n    GatewayPorts no\n")
    with pytest.raises(Refused, match=r"OpenSSH 7\.4 on the host is too old"):
        list(gate.plan(facts({SshdState(): sshd, **now})))
    assert not list(gate.plan(facts({SshdState(): replace(sshd, version=(7, 9)), **now})))


@pytest.mark.parametrize(("file", "text"), [("etc/back.conf", "x"), ("home/.ssh/authorized_keys", "x"), ("home/.ssh/authorized_keys", "")])
def test_the_user_is_not_taken_from_under_another_tunnel(tmp_path: Path, file: str, text: str) -> None:
    (step,) = TunnelUser().plan(facts({AccountNamed("novaops-tunnel"): Missing.ABSENT}))
    (make,) = step.actions
    assert isinstance(make, Command)
    assert make.undo
    *_, script, _, user, _ = make.undo.words
    for folder in ("etc", "home/.ssh"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / file).write_text(text)
    stubs = "id() { echo 54321; }; systemctl() { :; }; getent() { false; }; rmdir() { :; }; userdel() { echo gone; }\n"
    script = stubs + script.replace("/etc/novaops/tunnel", str(tmp_path / "etc"))
    done = subprocess.run(["sh", "-c", script, "remove", user, str(tmp_path / "home")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == ((1, "") if text else (0, "gone\n")), done.stderr
    assert not text or f"other tunnels begin or end here, as {tmp_path / file} says" in done.stderr


def _answer(listens: str, port: int, folder: Path) -> str:
    forwards = folder / "one.forwards"
    forwards.write_text(f"{listens}\t{port}\ttcp\t-\ta.b:1\t{listens}:{port}\t-\t-\n")
    subprocess.run(["sh", "-c", f'{PROBES}\nask_through "$0" "$1" listener', str(forwards), str(folder)], check=True)
    return (folder / "1").read_text()


@pytest.mark.parametrize(("family", "address", "written"), [("inet", "127.0.0.1", "127.0.0.1"), ("inet6", "::1", "[::1]")])
def test_a_listener_of_either_kind_is_asked(family: str, address: str, written: str, tmp_path: Path) -> None:
    with socket.create_server((address, 0), family=socket.AF_INET if family == "inet" else socket.AF_INET6) as server:
        assert _answer(written, server.getsockname()[1], tmp_path).startswith("yes\t")
    assert _answer(written, 1, tmp_path).startswith("no\t")


@pytest.mark.parametrize(
    ("trouble", "journal", "restarted"),
    [
        ("curl: (7) Failed to connect", "", True),
        ("curl: (7) Failed to connect", "channel 2: open failed: administratively prohibited: open failed", True),
        ("curl: (56) Connection reset", "channel 2: open failed: connect failed: Connection refused", False),
        ("curl: (60) SSL certificate problem", "", False),
    ],
)
def test_the_check_cuts_nobody_where_that_would_not_help(tmp_path: Path, trouble: str, journal: str, restarted: bool) -> None:  # noqa: FBT001 - a parameter
    script = file_of(wishes(API), "/etc/novaops/tunnel/api.check").replace("/run/novaops-tunnel", str(tmp_path))
    stubs = f"""
systemctl() {{ case $1 in show) echo active ;; *) echo "$1" ;; esac; }}
journalctl() {{ echo '{journal}'; }}
youngest() {{ age=99 ssh=7; }}
ask_through() {{ printf 'no\t0\t0\t%s\n' '{trouble}' >"$2/1"; }}
unit="""
    script = script.replace("\nunit=", stubs, 1)
    said = [subprocess.run(["sh", "-c", script, "check", "api"], capture_output=True, text=True, check=False) for _ in range(2)]
    assert [one.returncode for one in said] == [1, 1], said[0].stderr
    assert ["try-restart" in one.stdout.split() for one in said] == [False, restarted]
    assert ("left as it is" in said[1].stdout) != restarted


def test_what_a_wrapped_resource_has_to_say_is_said() -> None:
    """cloud-init writes /etc/hosts anew, from what is not found: said of the entries, also while they wait for the gateway."""
    made = wishes({**API, "transparent": True, "check": "tcp"})
    entries = next(one for one in made.own if one.id == "hosts:api")
    assert isinstance(entries, AfterPeer)
    assert "cloud-init writes /etc/hosts anew" in "".join(entries.notes(facts(hosts(b"", managed=True))))
    for told in (hosts(b""), hosts(b"", b"", managed=True)):
        assert list(entries.notes(facts(told))) == []


def test_names_lead_into_a_tunnel_that_something_has_come_through(tmp_path: Path) -> None:
    made = wishes({**API, "transparent": True, "check": "tcp"})
    ids = [one.id for one in made.own]
    assert ids.index("hosts:api") > ids.index("tunnel:api")
    plain = [one.id for one in wishes(API).own]
    assert plain.index("hosts:api") < plain.index("rest:api")
    entries = next(one for one in made.own if one.id == "hosts:api")
    (step,) = entries.resource.plan(facts(hosts(b"")))  # type: ignore[attr-defined]
    *_, script, _, _, _ = step.actions[0].words
    forwards = tmp_path / "api.forwards"
    with socket.create_server(("127.0.0.1", 0)) as server:
        answers = server.getsockname()[1]
        # The name's own listener comes from systemd: where that leads nowhere, the tunnel's does not help.
        for port, front, code in ((answers, answers, 0), (1, 1, 1), (answers, 1, 1)):
            forwards.write_text(f"# of novaops\n127.0.0.1\t{port}\ttcp\t-\ta.b:1\t127.0.0.1:1\t127.0.0.1\t{front}\n")
            words = ["sh", "-c", script.replace("fresh=15", "fresh=0"), "tunnel-answers", str(forwards), "novaops-tunnel-none.service"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert done.returncode == code, done.stderr
    assert "no request gets an answer through the tunnel" in done.stderr
    assert "Connection refused" in done.stderr


def test_the_check_says_nothing_while_all_is_well() -> None:
    written = file_of(wishes(API), "/etc/systemd/system/novaops-tunnel-api-check.service")
    assert {"SyslogLevel=notice", "LogLevelMax=notice"} <= set(written.splitlines())
