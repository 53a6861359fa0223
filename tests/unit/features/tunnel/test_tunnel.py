"""tunnel: what may be written, what follows from it on both hosts, and what is said when nothing comes through; no host is asked."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from novaops.cli.options import GuardedRun, Options
from novaops.cli.query import not_there
from novaops.cli.section_verb import HostDesired
from novaops.engine import inventory
from novaops.engine.desired import DesiredState, without_yielding
from novaops.engine.playbooks import Playbooks
from novaops.errors import InventoryError, Refused, UsageError, WaitingForPeer
from novaops.facts.account import AccountNamed
from novaops.facts.file import FileAt, FileState
from novaops.facts.listening import Listener, Listening
from novaops.facts.sshd import EFFECTIVE, Sshd, SshdEffective, SshdState
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.tunnel import cli as tunnel_verbs
from novaops.features.tunnel import status as tunnels
from novaops.features.tunnel.client import key_options
from novaops.features.tunnel.distinct import distinct
from novaops.features.tunnel.facts.ends import (
    AuthorizedKeys,
    AuthorizedKeysFile,
    HostKeys,
    KeyFacts,
    TunnelFile,
    TunnelFiles,
    TunnelKey,
)
from novaops.features.tunnel.facts.reach import TargetReached
from novaops.features.tunnel.facts.state import PROBES, ForwardState, TunnelFacts, TunnelNamed, Tunnels
from novaops.features.tunnel.gateway_sessions import SessionsRemoved
from novaops.features.tunnel.paths import DROP_IN, alias_address
from novaops.features.tunnel.resources.account import TunnelUser
from novaops.features.tunnel.resources.authorized_key import AuthorizedKey
from novaops.features.tunnel.resources.cleanup import StaleTunnelFiles
from novaops.features.tunnel.resources.connection import TunnelConnected, diagnose
from novaops.features.tunnel.resources.gateway_sshd import GatewaySshd
from novaops.features.tunnel.resources.hosts_file import HOSTS, HostsEntries
from novaops.features.tunnel.resources.key_pair import KeyPair
from novaops.features.tunnel.resources.permission import after_permission
from novaops.features.tunnel.resources.pinned_host_keys import PinnedHostKeys
from novaops.features.tunnel.resources.port_preconditions import GatewayPortsFree, PortsFree
from novaops.features.tunnel.resources.targets_reached import TargetsReached
from novaops.features.tunnel.settings import Tunnel, default_name
from novaops.model.action import Command, WriteFile, payload
from novaops.model.question import Facts, Missing, Section
from novaops.resources.after_peer import AfterPeer
from novaops.resources.file import File as FileResource
from novaops.resources.unit import OwnUnit
from novaops.shell import sh_file

BOOKS = Playbooks(Path())
API = {"name": "api", "via": "gate", "to": "api.openai.com:443", "listen": "127.0.0.1:8443"}
SOCKS = {"name": "any", "via": "gate", "socks": "127.0.0.1:1080", "check": "https://api.openai.com/v1/models"}
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFkU"


def tunnel(**more: Any) -> Tunnel:
    return Tunnel(**{key: value for key, value in {**API, **more}.items() if value is not None})


def known(tunnels: Sequence[Mapping[str, Any]], **gate: Any) -> inventory.Inventory:
    hosts = {"box": {"address": "192.0.2.1", "tunnel": list(tunnels)}, "gate": {"address": "192.0.2.2", "port": 2222, **gate}}
    return inventory.parse(json.dumps({"hosts": hosts}), "inventory.yaml", list(BOOKS.by_name))


def wishes(*tunnels: Mapping[str, Any], **gate: Any) -> DesiredState:
    found = known(tunnels, **gate)
    return BOOKS.desired(found, found.hosts["box"], ["tunnel"])


def file_of(wanted: DesiredState, path: str) -> str:
    files = [getattr(one, "resource", one) for one in wanted.own]
    (found,) = [one for one in files if isinstance(one, FileResource) and one.path == path]
    assert found.content is not None
    return payload(found.content).decode()


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
        ([], "https://a.b/", ["*:80", "*:443"]),
        (["A.b:443", "*:5432"], "https://a.b/", ["a.b:443", "*:5432"]),
        (["a.b:*"], "http://A.B:8000/x", ["a.b:*"]),
        (["*:*"], "https://[2001:db8::1]/", ["*:*"]),
        (["[2001:db8::1]:443"], "https://[2001:db8::1]/", ["[2001:db8::1]:443"]),
    ],
)
def test_a_socks_proxy_reaches_what_its_key_allows(reaches: list[str], check: str, permitted: list[str]) -> None:
    (forward,) = Tunnel.model_validate({**SOCKS, "reaches": reaches, "check": check}).resolved_forwards()
    assert forward.key_permissions == tuple(f'permitopen="{one}"' for one in permitted)
    assert (forward.ssh_forwards, forward.kind) == ((("DynamicForward", "127.0.0.1:1080", ""),), "socks")


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
    asked = alias_address("api 127.0.0.1:9000")
    assert f"RemoteForward 127.0.0.1:9000 127.0.0.1:9200\n    LocalForward {asked}:9000 127.0.0.1:9000\n" in written
    assert file_of(made, "/etc/novaops/tunnel/api.forwards").splitlines()[-1].split("\t")[:3] == [asked, "9000", "tcp"]


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
        ("gate", ["target:api", "user:novaops-tunnel", "admitted:box/old", "admitted:box/api", no_reverse, "sshd:tunnels"]),
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
LISTEN 0 128 127.0.0.1:9000 0.0.0.0:* users:(("sshd",pid=11,fd=7))
LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=4))
sessions
"""
SESSION = '0 0 10.0.0.1:22 10.0.0.2:50 users:(("sshd",pid=11,fd=4),("sshd",pid=10,fd=4)) bbr cwnd:20 lastsnd:9 {} rcv_space:14480\n'


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        (SESSION.format("lastrcv:36012 lastack:35968"), ["11 10.0.0.2:50"]),
        (SESSION.format("lastrcv:34220 lastack:34168"), []),
        (SESSION.format("lastrcv:59512 lastack:356"), []),  # recorded of a stream that goes one way, a byte each second
        (SESSION.format("lastrcv:12 lastack:90000"), []),
        (SESSION.format("lastrcv:36012"), []),
        (SESSION.replace("pid=11", "pid=12").format("lastrcv:36012 lastack:35968"), []),  # listens nowhere
        ('0 0 127.0.0.1:9000 127.0.0.1:51 users:(("sshd",pid=11,fd=9)) lastrcv:90000 lastack:90000\n', []),  # a user of the port
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


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"via": "gate"}, ""),
        ({"via": "root@192.0.2.9"}, "novaops tunnel down --via gate takes that away, and novaops tunnel up then makes it anew"),
        ({"via": "root@192.0.2.9", "state": "absent"}, "novaops tunnel down --via gate takes that away"),
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
    """cloud-init writes /etc/hosts anew: said of the entries themselves, and so of entries that wait for the gateway."""
    made = wishes({**API, "transparent": True, "check": "tcp"})
    entries = next(one for one in made.own if one.id == "hosts:api")
    assert isinstance(entries, AfterPeer)
    managed = facts(dict.fromkeys(entries.resource.questions(), True))
    assert "cloud-init writes /etc/hosts anew" in "".join(entries.notes(managed))
    assert list(entries.notes(facts(dict.fromkeys(entries.resource.questions(), False)))) == []


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
        for port, code in ((server.getsockname()[1], 0), (1, 1)):
            forwards.write_text(f"# of novaops\n127.0.0.1\t{port}\ttcp\t-\ta.b:1\t127.0.0.1:1\t127.86.1.1\t9\n")
            words = ["sh", "-c", script.replace("fresh=15", "fresh=0"), "tunnel-answers", str(forwards), "novaops-tunnel-none.service"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert done.returncode == code, done.stderr
    assert "no request gets an answer through the tunnel" in done.stderr
    assert "Connection refused" in done.stderr


def test_the_check_says_nothing_while_all_is_well() -> None:
    written = file_of(wishes(API), "/etc/systemd/system/novaops-tunnel-api-check.service")
    assert {"SyslogLevel=notice", "LogLevelMax=notice"} <= set(written.splitlines())


# -- the ends ---------------------------------------------------------------------------------------------------------


def facts(answers: Mapping[Any, Any], **peers: Mapping[Any, Any]) -> Facts:
    return Facts(answers, {}, {name: Facts(of_it, {}) for name, of_it in peers.items()})


KEY = KeyFacts(PUBLIC, PUBLIC, private=True)
HOME = "/var/lib/novaops-tunnel/.ssh/authorized_keys"
LINE = f"opts {PUBLIC} novaops:box/api"


def test_the_gateway_waits_for_the_key_and_then_lets_it_in() -> None:
    admits = AuthorizedKey("box", "api", "novaops:box/api", "opts")
    with pytest.raises(WaitingForPeer, match="box's key"):
        list(admits.plan(facts({AuthorizedKeys(): AuthorizedKeysFile(HOME, None)}, box={TunnelKey("api"): Missing.ABSENT})))
    (step,) = admits.plan(facts({AuthorizedKeys(): AuthorizedKeysFile(HOME, None)}, box={TunnelKey("api"): KEY}))
    *folders, write = step.actions
    assert [str(folder).rpartition(" ")[2] for folder in folders] == ["/var/lib/novaops-tunnel", "/var/lib/novaops-tunnel/.ssh"]
    assert isinstance(write, WriteFile)
    assert (write.content, write.mode, write.owner) == (f"{LINE}\n".encode(), "0644", "root")


def test_where_sshd_has_its_keys_elsewhere_they_are_roots() -> None:
    elsewhere = AuthorizedKeysFile("/etc/ssh/keys/novaops-tunnel", None)
    (step,) = AuthorizedKey("box", "api", "novaops:box/api", "opts").plan(facts({AuthorizedKeys(): elsewhere}, box={TunnelKey("api"): KEY}))
    folder, write = step.actions
    assert str(folder) == "install -d -m 0755 -- /etc/ssh/keys"
    assert isinstance(write, WriteFile)
    assert (write.path, write.mode, write.owner) == ("/etc/ssh/keys/novaops-tunnel", "0644", "root")


def test_without_a_place_for_keys_nothing_is_done() -> None:
    nowhere = facts({AuthorizedKeys(): AuthorizedKeysFile("", None)}, box={TunnelKey("api"): KEY})
    with pytest.raises(Refused, match="takes no keys from a file of one user's own"):
        list(AuthorizedKey("box", "api", "novaops:box/api", "opts").plan(nowhere))
    assert not list(AuthorizedKey("box", "api", "novaops:box/api", None).plan(nowhere))


OTHERS = b"# mine\r\nssh-rsa AAAA\xff carla\n\nopts2 ssh-ed25519 BBBB novaops:other/api"


@pytest.mark.parametrize(
    ("before", "options", "after"),
    [
        (OTHERS, "opts", OTHERS + b"\n" + LINE.encode() + b"\n"),
        (LINE.encode() + b"\n" + OTHERS, "opts", None),
        (b"old " + LINE.encode() + b"\n" + OTHERS, "opts", OTHERS + b"\n" + LINE.encode() + b"\n"),
        (LINE.encode() + b"\n" + OTHERS, None, OTHERS),
        (OTHERS, None, None),
        (LINE.encode() + b"\n", None, b""),
        (b"", None, b""),
    ],
)
def test_every_other_line_of_authorized_keys_stays(before: bytes, options: str | None, after: bytes | None) -> None:
    found = AuthorizedKeysFile(HOME, before, "0644", "root", "root", folder=True, home="755 root")
    admits = AuthorizedKey("box", "api", "novaops:box/api", options)
    steps = list(admits.plan(facts({AuthorizedKeys(): found}, box={TunnelKey("api"): KEY})))
    written = [action.content for step in steps for action in step.actions if isinstance(action, WriteFile)]
    assert written == ([] if after is None else [after or None])


@pytest.mark.parametrize("options", ["opts", None])
def test_a_home_that_its_user_owns_becomes_roots_before_root_works_in_it(options: str | None) -> None:
    found = AuthorizedKeysFile(
        HOME, f"{LINE}\n".encode(), "0600", "novaops-tunnel", "novaops-tunnel", folder=True, home="700 novaops-tunnel"
    )
    (step,) = AuthorizedKey("box", "api", "novaops:box/api", options).plan(facts({AuthorizedKeys(): found}, box={TunnelKey("api"): KEY}))
    take, write = step.actions
    assert isinstance(take, Command)
    assert take.words[-3:] == ("/var/lib/novaops-tunnel", "/var/lib/novaops-tunnel/.ssh", HOME)
    assert isinstance(write, WriteFile)
    assert (write.mode, write.owner, write.group) == ("0644", "root", "root")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("planted", ["", "home/.ssh", "home/.ssh/keys", "hard"])
def test_links_in_a_home_lead_root_nowhere(tmp_path: Path, planted: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / "keys").write_text("root's\n")
    (victim / "keys").chmod(0o600)
    os.chown(victim, 7, 7)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "keys").write_text("user's\n")
    if planted == "hard":
        (home / ".ssh" / "keys").unlink()
        os.link(victim / "keys", home / ".ssh" / "keys")
    elif planted:
        (tmp_path / planted).rename(tmp_path / "away")
        (tmp_path / planted).symlink_to(victim / Path(planted).name if planted.endswith("keys") else victim)
    for each in (home, home / ".ssh"):
        os.chown(each, 65533, 65533, follow_symlinks=False)
    words: list[str | Path] = [
        "sh",
        "-c",
        sh_file("novaops.features.tunnel.resources", "own_home.sh"),
        "own-home",
        home,
        home / ".ssh",
        home / ".ssh" / "keys",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, bool(done.stderr)) == ((1, True) if planted else (0, False))
    assert (victim.stat().st_uid, victim.stat().st_mode & 0o777, (victim / "keys").read_text()) == (7, 0o700, "root's\n")
    assert home.stat().st_uid == 0


def test_two_keys_in_one_run_go_into_one_file() -> None:
    first, second = (AuthorizedKey(client, "api", f"novaops:{client}/api", "opts") for client in ("box", "den"))
    now = facts({AuthorizedKeys(): AuthorizedKeysFile(HOME, None)}, box={TunnelKey("api"): KEY}, den={TunnelKey("api"): KEY})
    (step,) = second.plan(first.predict(now))
    write = step.actions[-1]
    assert isinstance(write, WriteFile)
    assert write.content == f"{LINE}\nopts {PUBLIC} novaops:den/api\n".encode()
    assert write.before == f"{LINE}\n".encode()


def test_the_client_starts_nothing_before_the_gateway_lets_its_key_in() -> None:
    starts = after_permission(OwnUnit("u.service"), "api", "gate", "opts {} novaops:box/api")
    here = {UnitNamed("u.service"): Missing.ABSENT, TunnelKey("api"): KEY}
    for lines in (None, b"other\n", f"opts {PUBLIC[:-1]}x novaops:box/api\n".encode()):
        with pytest.raises(WaitingForPeer, match="gate's permission") as wait:
            starts.plan(facts(here, gate={AuthorizedKeys(): AuthorizedKeysFile(HOME, lines)}))
        assert wait.value.steps
    (step,) = starts.plan(facts(here, gate={AuthorizedKeys(): AuthorizedKeysFile(HOME, f"{LINE}\n".encode())}))
    assert [str(action) for action in step.actions] == ["systemctl enable -- u.service", "systemctl start -- u.service"]
    runs = {**here, UnitNamed("u.service"): UnitFacts("loaded", "active", "enabled")}
    assert not list(starts.plan(facts(runs, gate={AuthorizedKeys(): AuthorizedKeysFile(HOME, None)})))


def test_a_unit_between_two_attempts_is_not_started_again() -> None:
    assert not list(OwnUnit("u.service").plan(facts({UnitNamed("u.service"): UnitFacts("loaded", "activating", "enabled")})))


def test_the_keys_that_a_gateway_shows_are_those_of_its_private_ones(tmp_path: Path) -> None:
    for name in ("own", "other", "agent"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / name)]
        subprocess.run(make, check=True)
    own, other, agent = ((tmp_path / f"{name}.pub").read_text().split() for name in ("own", "other", "agent"))
    (tmp_path / "own.pub").write_text(" ".join(other), "utf-8")
    (tmp_path / "agent").unlink()
    asked = f"effective() {{ printf 'hostkey %s\\n' {tmp_path}/own {tmp_path}/agent {tmp_path}/none; }}\n"
    script = asked + HostKeys.script_one().removeprefix(EFFECTIVE)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert HostKeys.parse_one(Section(done.stdout, "", 0)) == (" ".join(own[:2]), " ".join(agent[:2]))


def test_the_host_keys_are_pinned_under_a_name_of_their_own() -> None:
    pinned = PinnedHostKeys("api", "gate", ("true",))
    now = facts({FileAt("/etc/novaops/tunnel/api.known_hosts"): Missing.ABSENT}, gate={HostKeys(): (PUBLIC, "ssh-rsa AAAA")})
    (step,) = pinned.plan(now)
    (write,) = step.actions
    assert isinstance(write, WriteFile)
    assert write.content == f"# managed by novaops: tunnel api\ngateway {PUBLIC}\ngateway ssh-rsa AAAA\n"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Missing.ABSENT, ["ed25519"]),
        (KEY, []),
        (replace(KEY, public=""), ["ed25519, a new one"]),
        (replace(KEY, private=False), ["of novaops-tunnel, 0600"]),
        (replace(KEY, written="ssh-rsa AAAA"), [PUBLIC]),
    ],
)
def test_a_key_is_made_once_and_mended(found: Any, said: list[str]) -> None:
    steps = list(KeyPair("api", "novaops:box/api").plan(facts({TunnelKey("api"): found})))
    assert [change.after for step in steps for change in step.changes] == said


# -- what is in the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holder", "taken"),
    [
        (Listener("127.0.0.1", 8443, ("nginx",), 7, "nginx.service"), True),
        (Listener("0.0.0.0", 8443, ("nginx",), 7, "nginx.service"), True),  # noqa: S104 - compared
        (Listener("*", 8443, ("java",), 7, ""), True),
        (Listener("::", 8443, ("java",), 7, ""), False),
        (Listener("127.0.0.2", 8443, ("nginx",), 7, "nginx.service"), False),
        (Listener("127.0.0.1", 8444, ("nginx",), 7, "nginx.service"), False),
        (Listener("127.0.0.1", 8443, ("ssh",), 7, "novaops-tunnel-api.service"), False),
        (Listener("127.0.0.1", 8443, ("ssh",), 7, "novaops-tunnel-other.service"), True),
    ],
)
def test_a_port_of_somebody_else_is_refused_with_the_program(holder: Listener, taken: bool) -> None:  # noqa: FBT001 - a parameter
    claims = PortsFree("api", (("127.0.0.1", 8443),))
    if not taken:
        claims.plan(facts({Listening(): (holder,)}))
        return
    with pytest.raises(Refused) as error:
        claims.plan(facts({Listening(): (holder,)}))
    assert holder.program in error.value.what
    assert "127.0.0.1:8443" in error.value.what


def test_a_listener_on_the_gateway_may_be_its_own_of_before() -> None:
    claims = GatewayPortsFree("api", "novaops:box/api", (("127.0.0.1", 9000),))
    held = (Listener("127.0.0.1", 9000, ("sshd",), 7, "session-1.scope"),)
    claims.plan(facts({Listening(): held, AuthorizedKeys(): AuthorizedKeysFile(HOME, f"{LINE}\n".encode())}))
    with pytest.raises(Refused, match="taken by sshd") as error:
        claims.plan(facts({Listening(): held, AuthorizedKeys(): AuthorizedKeysFile(HOME, None)}))
    assert "to end that: kill 7" in error.value.fix


def hosts(text: bytes) -> dict[Any, Any]:
    return {FileAt(HOSTS): FileState("regular file", "0644", "root", "root", text)}


def test_a_line_in_hosts_comes_and_goes_and_the_others_stay() -> None:
    before = b"127.0.0.1 localhost\n# caf\xe9\n\n::1 ip6"
    entries = HostsEntries("api", (("127.86.1.2", "api.openai.com"),))
    (step,) = entries.plan(facts(hosts(before)))
    first, write = step.actions
    assert "tunnel-answers /etc/novaops/tunnel/api.forwards novaops-tunnel-api.service" in str(first)
    assert isinstance(write, WriteFile)
    assert write.content == before + b"\n127.86.1.2 api.openai.com # novaops tunnel api\n"
    assert not list(entries.plan(facts(hosts(payload(write.content)))))
    (step,) = HostsEntries("api", ()).plan(facts(hosts(payload(write.content))))
    (gone,) = step.actions
    assert isinstance(gone, WriteFile)
    assert gone.content == before + b"\n"


@pytest.mark.parametrize("line", [b"10.0.0.1 API.openai.com\n", b"127.0.0.1 localhost api.openai.com # mine\n"])
def test_a_line_in_hosts_of_somebody_else_is_refused(line: bytes) -> None:
    with pytest.raises(Refused, match=r"/etc/hosts:1 says where api\.openai\.com leads"):
        list(HostsEntries("api", (("127.86.1.2", "api.openai.com"),)).plan(facts(hosts(line))))


def test_what_is_left_is_stopped_before_its_files_go() -> None:
    left = [
        TunnelFile("/etc/systemd/system/novaops-tunnel-api.service", "0644", "root", "root", b"x"),
        TunnelFile("/etc/systemd/system/novaops-tunnel-api-check.timer", "0644", "root", "root", b"x"),
        TunnelFile("/etc/novaops/tunnel/api.key", "0600", "novaops-tunnel", "novaops-tunnel", None),
    ]
    (step,) = StaleTunnelFiles("api").plan(facts({TunnelFiles("api"): tuple(left)}))
    stop, *files, reload, key = step.actions
    assert isinstance(stop, Command)
    assert stop.words[-2:] == ("novaops-tunnel-api-check.timer", "novaops-tunnel-api.service")
    assert [str(action) for action in files] == [f"remove {file.path}" for file in left[:2]]
    assert (str(reload), str(key).rpartition(" ")[2]) == ("systemctl daemon-reload", left[2].path)
    assert not list(StaleTunnelFiles("api", tuple(file.path for file in left)).plan(facts({TunnelFiles("api"): tuple(left)})))


# -- what is said when nothing comes through --------------------------------------------------------------------------

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


def test_what_a_new_tunnel_leads_to_is_tried_first() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        asked = [TargetReached("127.0.0.1", port, "false"), TargetReached("127.0.0.1", 1, "false"), TargetReached("127.0.0.1", 1, "true")]
        done = subprocess.run(
            ["sh", "-c", TargetReached.script(asked)],
            capture_output=True,
            text=True,
            check=True,
            env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        )
    found = TargetReached.parse(asked, Section(done.stdout, "", 0))
    assert [found[one] for one in asked] == ["", "Connection refused", ""]
    resource = TargetsReached("api", "gate", (asked[1],))
    with pytest.raises(Refused, match=r"api: gate does not reach 127\.0\.0\.1:1: Connection refused"):
        list(resource.plan(facts(found)))


@pytest.mark.parametrize(
    ("entry", "asked"),
    [
        ({}, ["api.openai.com"]),
        ({"to": "127.0.0.1:80"}, []),
        ({"to": "localhost:80"}, []),
        ({"to": None, "forwards": [{"to": "a.example:1", "listen": 9000}, {"to": "127.0.0.1:2", "listen": 9001}]}, ["a.example"]),
    ],
)
def test_what_may_come_with_the_same_run_is_not_tried(entry: dict[str, Any], asked: list[str]) -> None:
    wanted = {key: value for key, value in {**API, **entry}.items() if value is not None}
    if "forwards" in wanted:
        wanted.pop("listen")
    (found,) = [one for _, one in wishes(wanted).of_peers if isinstance(one, TargetsReached)]
    assert ([one.host for one in found.asked], found.host) == (asked, "gate")
    there = wishes({**wanted, "reverse": True})
    (found,) = [one for one in there.own if isinstance(one, TargetsReached)]
    assert ([one.host for one in found.asked], found.host) == (asked, "box")


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
        assert "not set up: novaops tunnel up box" in tunnels.rows(found)[0][5]
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
