"""A VPN server of one's own: its form, what is asked of the host, and what the host answers."""

from __future__ import annotations

import base64
import ipaddress
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from novaops.engine.desired import HostView
from novaops.engine.own_file import shipped
from novaops.engine.planner import make_plan
from novaops.engine.templates import Templates
from novaops.errors import HostFailed, NovaopsError, Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.firewall import Firewall, FirewallFacts
from novaops.facts.sshd import Caller, CallerFacts
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.vpn import client_profile, server_clients
from novaops.features.vpn.client_profile import ask, profile
from novaops.features.vpn.facts.revocations import Issued, Revocations, recorded
from novaops.features.vpn.facts.server import ServerState, VpnServer, overlaps
from novaops.features.vpn.facts.server_clients import Clients, Connection, VpnClients, clients_of, connections
from novaops.features.vpn.facts.server_profile import Parts, VpnProfile
from novaops.features.vpn.resources.server_authority import Authority
from novaops.features.vpn.resources.server_client import ClientCertificate, ClientRevoked
from novaops.features.vpn.resources.server_preconditions import ServerPreconditions
from novaops.features.vpn.resources.server_removed import FolderRemoved, PortClosed
from novaops.features.vpn.resources.server_running import ServerAnswers
from novaops.features.vpn.server import resources
from novaops.features.vpn.settings import Server as Form
from novaops.formats.x509 import Certificate, Chain
from novaops.model.action import Command
from novaops.model.plan import Plan
from novaops.model.question import Facts, Missing, Section
from novaops.secret import Secret
from novaops.shell import sh_file
from tests.support.strange_certificate import KEY, strange

QUESTION = VpnServer("vpn", "vpn-vpn", 1194, "udp")
NOW = 1_800_000_000
NAMES = ("one", "another")
INDEX = (
    "V\t361119225713Z\t\t5D76\tunknown\t/CN=server:vpn\n"
    "R\t290224225745Z\t261122230847Z\t5E67\tunknown\t/CN=alpha\n"
    "V\t290224225745Z\t\t22C4\tunknown\t/CN=omega\n"
    "V\t20510224225745Z\t\t135D\tunknown\t/CN=alpha\n"
    "V\t250224225745Z\t\t0001\tunknown\t/CN=late\n"
)
STATUS = (
    "TITLE\tOpenVPN 2.6.14\n"
    "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tConnected Since"
    "\tConnected Since (time_t)\tUsername\tClient ID\tPeer ID\tData Channel Cipher\n"
    "CLIENT_LIST\tomega\tudp4:198.51.100.2:3333\t10.86.0.3\t\t2048\t1024\t2026-11-22 22:57:45\t1795388265\tUNDEF\t1\t0\tAES-256-GCM\n"
    "CLIENT_LIST\tUNDEF\t198.51.100.9:1\t\t\t10\t10\t2026-11-22 22:57:45\t1795388265\tUNDEF\t2\t1\t\n"
    "END\n"
)


def form(**values: Any) -> Form:
    return Form(**{"name": "vpn", "serve": True, **values})


def facts(**answers: Any) -> Facts:
    return Facts({QUESTION: ServerState(**answers)}, {})


# -- the form ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "twelve-chars"}, "at most 11 letters"),
        ({"name": "a.b"}, "at most 11 letters"),
        ({"network": "10.86.0.1/24"}, "is not a network"),
        ({"network": "8.8.8.0/24"}, "is not a private network"),
        ({"network": "10.0.0.0/8"}, "/16 to /29"),
        ({"network": "10.86.0.0/30"}, "/16 to /29"),
        ({"network": "fd00::/64"}, "is not a network like"),
        ({"reaches": "fd00::/64"}, "is not an IPv4 network"),
        ({"protocol": "sctp"}, "'udp' or 'tcp'"),
        ({"port": "0"}, "is no port"),
    ],
)
def test_what_a_server_cannot_be(values: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        form(**values)


@given(st.text(max_size=15))
def test_no_name_says_anything_else_to_nft_or_systemd(name: str) -> None:
    try:
        found = form(name=name)
    except ValidationError:
        return
    assert len(found.device) <= 15
    assert all(c.isascii() and (c.isalnum() or c in "-_") for c in found.name)


def test_every_value_stands_in_the_files() -> None:
    host = HostView("h", "203.0.113.5", frozenset(), Templates([shipped("templates")]), Path())
    entry = form(network="10.9.8.0/25", reaches=("192.0.2.0/24", "198.51.100.7/32"), port=1200)
    files = {one.id: str(one.content) for one in resources(entry, host) if hasattr(one, "content")}
    conf, script = files["file:/etc/openvpn/server/vpn.conf"], files["file:/etc/novaops/vpn-server/vpn.sh"]
    assert "server 10.9.8.0 255.255.255.128\n" in conf
    assert "port 1200\nproto udp\n" in conf
    assert "push" not in conf.replace("Nothing is pushed", "")
    assert "ip daddr != { 192.0.2.0/24, 198.51.100.7/32 } drop" in script
    assert files["file:/etc/openvpn/server/vpn/remote"] == "203.0.113.5 1200 udp\n"


@pytest.mark.parametrize(
    ("address", "protocol", "proto"),
    [
        ("203.0.113.5", "tcp", "tcp-server"),
        ("vpn.example.com", "udp", "udp6"),
        ("vpn.example.com", "tcp", "tcp6-server"),
        ("2001:db8::1", "udp", "udp6"),
    ],
)
def test_a_name_may_lead_to_addresses_of_both_kinds(address: str, protocol: str, proto: str) -> None:
    host = HostView("h", "", frozenset(), Templates([shipped("templates")]), Path())
    files = {one.id: str(one.content) for one in resources(form(address=address, protocol=protocol), host) if hasattr(one, "content")}
    conf = files["file:/etc/openvpn/server/vpn.conf"]
    assert f"proto {proto}\n" in conf
    assert ("explicit-exit-notify" in conf) is (protocol == "udp")


def test_without_an_address_no_profile_could_say_where_to_go() -> None:
    host = HostView("h", "", frozenset(), Templates([shipped("templates")]), Path())
    with pytest.raises(NovaopsError, match="say by which address"):
        list(resources(form(), host))


# -- what the host answers --------------------------------------------------------------------------------------------


def said(**parts: str) -> str:
    return "".join(f"{name} {base64.b64encode(text.encode()).decode()}\n" for name, text in parts.items()) + f"now {NOW}\nend\n"


def test_an_answer_that_is_cut_off_is_none() -> None:
    whole = said(index=INDEX, status=STATUS)
    for part in ("", whole.removesuffix("end\n"), "end\n"):
        with pytest.raises(ValueError, match="cut off"):
            VpnClients.parse([VpnClients("vpn")], Section(part, "", 0))


def test_the_clients_of_a_server() -> None:
    question = VpnClients("vpn")
    found = VpnClients.parse([question], Section(said(index=INDEX, status=STATUS), "", 0))[question]
    assert isinstance(found, Clients)
    assert [(one.name, one.serial, one.state) for one in found.issued] == [
        ("alpha", "5E67", "revoked"),
        ("omega", "22C4", "valid"),
        ("alpha", "135D", "valid"),
        ("late", "0001", "expired"),
    ]
    assert found.connected == (Connection("omega", "198.51.100.2:3333", "10.86.0.3", 2048, 1024, 1795388265),)
    assert {name: one.serial for name, one in found.newest.items()} == {"alpha": "135D", "omega": "22C4", "late": "0001"}
    assert found.valid("late") is None
    nothing = VpnClients.parse([question], Section(said(status=""), "", 0))
    assert nothing == {question: Missing.ABSENT}


def test_the_list_has_one_line_for_each_client() -> None:
    clients = Clients(tuple(clients_of(recorded(INDEX, NOW))), tuple(connections(STATUS)), NOW)
    details = server_clients.details(Facts({VpnClients("vpn"): clients}, {}), "vpn")
    assert [(one["name"], one["state"], one["revoked_before"]) for one in details["clients"]] == [
        ("alpha", "valid", ["5E67"]),
        ("omega", "valid", []),
        ("late", "expired", []),
    ]
    rows = server_clients.rows(details)
    assert rows[1][4].startswith("from 198.51.100.2:3333 as 10.86.0.3 since 2026-11-22T22:57:45+00:00, 2 KiB in, 1 KiB out")
    assert (rows[0][4], rows[2][3]) == ("no", "")
    with pytest.raises(HostFailed, match="there is no VPN server vpn"):
        server_clients.details(Facts({VpnClients("vpn"): Missing.ABSENT}, {}), "vpn")


@pytest.mark.parametrize("serial", ["zz", "", "-1", "0x1", "1" * 65])
def test_a_serial_that_is_none_is_said_by_the_parser(serial: str) -> None:
    with pytest.raises(ValueError, match="no hexadecimal number"):
        list(recorded(f"V\t300101000000Z\t\t{serial}\tunknown\t/CN=a\n", NOW))


@pytest.mark.parametrize("column", range(3))
@pytest.mark.parametrize("count", ["-1", "9" * 20, "9" * 400])
def test_what_cannot_be_counted_is_said_by_the_parser(column: int, count: str) -> None:
    counts = [count if number == column else "1" for number in range(3)]
    header = "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tBytes Received\tBytes Sent\tConnected Since (time_t)"
    with pytest.raises(ValueError, match="cannot be counted"):
        list(connections("\n".join([header, "\t".join(["CLIENT_LIST", "a", "x", "y", *counts])])))


def test_an_authority_with_a_key_of_no_known_kind_does_not_fit() -> None:
    found = VpnServer.parse([QUESTION], Section(said(ca=strange(KEY), server=strange(KEY)), "", 0))[QUESTION]
    assert isinstance(found, ServerState)
    assert found.ca is not None
    assert (found.ca_fits, found.fits, found.is_signed) == (False, False, False)


@given(st.text())
def test_any_other_database_is_unknown_and_never_half_read(text: str) -> None:
    try:
        found = list(recorded(text, NOW))
    except ValueError:
        return
    assert all(line.count("\t") == 5 for line in text.splitlines())
    assert len(found) <= len(text.splitlines())


def test_the_server_as_it_is() -> None:
    listeners = 'UNCONN 0 0 0.0.0.0:1194 0.0.0.0:* users:(("openvpn",pid=8,fd=7))\nUNCONN 0 0 [::]:1194 [::]:*\n'
    routes = "default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0 proto kernel\nunreachable 10.0.0.0/8\n"
    state = "1795388265,CONNECTED,SUCCESS,10.86.0.1,,,,\nEND\n" + STATUS
    text = said(listeners=listeners, routes=routes, state=state, index=INDEX, certs="5D76.pem\n22C4.pem\nBEEF.pem\n", main="8\n")
    found = VpnServer.parse([QUESTION], Section(text, "", 0))[QUESTION]
    assert isinstance(found, ServerState)
    assert (found.listens, found.listeners) == (True, ("the kernel",))
    text = said(listeners=listeners, main="9\n", holders="8 openvpn@office.service\n9 openvpn-server@vpn.service\n10 \n")
    strange = VpnServer.parse([QUESTION], Section(text, "", 0))[QUESTION]
    assert isinstance(strange, ServerState)
    assert (strange.listens, strange.listeners) == (False, ("openvpn", "the kernel")), "a name proves nothing"
    assert strange.units == ("openvpn@office.service",)
    assert found.routes == (("192.0.2.0/24", "eth0"),)
    assert (found.answers, found.ca, found.is_signed) == (True, None, False)
    assert (found.unrecorded, [one.name for one in found.clients.connected]) == (("BEEF",), ["omega"])
    assert found.clients.revocations.trouble == "there is none"


@given(st.ip_addresses(v=4), st.integers(8, 30))
def test_overlaps_are_found(address: ipaddress.IPv4Address, bits: int) -> None:
    network = ipaddress.IPv4Network((address, bits), strict=False)
    shared = network.overlaps(ipaddress.IPv4Network("10.86.0.0/24"))
    assert (overlaps("10.86.0.0/24", [(str(network), "eth0")], "vpn-vpn") is not None) is shared
    assert overlaps("10.86.0.0/24", [(str(network), "vpn-vpn")], "vpn-vpn") is None


# -- what is done -----------------------------------------------------------------------------------------------------


def self_signed() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    begin, end = (datetime(year, 1, 1, tzinfo=UTC) for year in (2026, 2029))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 255, begin, end).sign(key, SHA256())
    return Chain.read(built.public_bytes(serialization.Encoding.PEM).decode()).leaf


def parts(asked: client_profile.Asked | None = None, name: str = "alpha") -> Parts:
    """As the host has it, with a certificate for the key of `asked`."""
    if asked is None:
        return Parts("CA", Secret("TLS"), "203.0.113.5 1194 udp", None, "", None)
    request = x509.load_pem_x509_csr(asked.request.encode())
    begin, end = (datetime(year, 1, 1, tzinfo=UTC) for year in (2026, 2029))
    built = x509.CertificateBuilder(request.subject, request.subject, request.public_key(), 255, begin, end).sign(
        ec.generate_private_key(ec.SECP256R1()), SHA256()
    )
    pem = built.public_bytes(serialization.Encoding.PEM).decode()
    one = Issued(name, "00FF", "valid", int(end.timestamp()))
    return Parts("CA", Secret("TLS"), "203.0.113.5 1194 udp", Chain.read(pem).leaf, pem, one)


def plan(resource: Any, answers: Mapping[Any, Any]) -> Plan:
    return make_plan([resource], Facts(answers, {}))


def test_a_client_is_added_once() -> None:
    asked = ask("alpha", None)
    wanted = ClientCertificate("vpn", "alpha", asked.request, asked.public, 825)
    question = VpnProfile("vpn", "alpha")
    (step,) = plan(wanted, {question: parts()}).steps
    (command,) = step.actions
    assert isinstance(command, Command)
    assert command.stdin == asked.request
    assert command.undo is not None
    assert plan(wanted, {question: parts(asked)}).steps == (), "the certificate is for the key that was made"
    other = parts(ask("alpha", None))
    (refusal,) = plan(wanted, {question: other}).refusals
    assert "there is a client alpha already, valid until 2029-01-01" in str(refusal[1])
    assert "novaops vpn client renew HOST alpha --server vpn" in str(getattr(refusal[1], "fix", ""))
    (renewal,) = plan(replace(wanted, renew=True), {question: other}).steps
    assert renewal.changes[0].before == "serial 00FF, until 2029-01-01"
    with pytest.raises(HostFailed, match="there is no client alpha"):
        plan(replace(wanted, renew=True), {question: parts()})
    with pytest.raises(HostFailed, match="there is no VPN server vpn"):
        plan(wanted, {question: Missing.ABSENT})
    dead = replace(parts(asked), valid=None)
    assert plan(wanted, {question: dead}).steps, "revoked: the same key gets nothing for it"


def test_who_is_revoked_is_cut_off_as_well() -> None:
    clients = Clients(tuple(clients_of(recorded(INDEX, NOW))), tuple(connections(STATUS)), NOW)
    question = VpnClients("vpn")

    def fields(name: str, found: Any = clients) -> list[str]:
        return [change.field for step in plan(ClientRevoked("vpn", name), {question: found}).steps for change in step.changes]

    assert fields("omega") == ["certificate", "connected"]
    assert fields("alpha") == ["certificate"]
    assert fields("late") == []
    gone = replace(clients, issued=(Issued("omega", "22C4", "revoked", NOW),))
    assert fields("omega", gone) == ["connected"], "revoked, and still in"
    closed = replace(gone, connected=(), revocations=Revocations("it expired on 2026-01-01", NOW - 1))
    assert fields("omega", closed) == ["list of revoked certificates"]
    with pytest.raises(HostFailed, match="there is no client nobody"):
        fields("nobody")


def test_the_authority_is_made_and_kept() -> None:
    (step,) = plan(Authority(QUESTION), {QUESTION: ServerState(now=NOW)}).steps
    assert [change.field for change in step.changes] == ["authority", "server certificate", "tls-crypt key", "list of revoked certificates"]
    (_, refusal) = plan(Authority(QUESTION), {QUESTION: ServerState(ca=self_signed(), now=NOW)}).refusals[0]
    assert isinstance(refusal, Refused)
    assert "novaops vpn serve HOST --name vpn --remove --forget-clients" in refusal.fix, "and no other server of the host"
    assert "private key of the VPN's authority" in refusal.what


class Office:
    """An authority with clients, its record, and lists of revoked certificates that it signs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
        begin, end = (datetime(year, 1, 1, tzinfo=UTC) for year in (2026, 2046))
        built = x509.CertificateBuilder(self.name, self.name, self.key.public_key(), 1, begin, end).sign(self.key, SHA256())
        self.ca = built.public_bytes(serialization.Encoding.PEM).decode()

    def listed(self, *serials: int, since: int = NOW - 86_400, until: int = NOW + 400 * 86_400, key: Any = None) -> str:
        begin, end = (datetime.fromtimestamp(seconds, UTC) for seconds in (since, until))
        built = x509.CertificateRevocationListBuilder(self.name, begin, end)
        for serial in serials:
            built = built.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, begin).build())
        return built.sign(key or self.key, SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def state(self, crl: str | None, index: str = INDEX, **more: str) -> ServerState:
        answers = {"ca": self.ca, "index": index, **({"crl": crl} if crl is not None else {}), **more}
        found = VpnServer.parse([QUESTION], Section(said(**answers), "", 0))[QUESTION]
        assert isinstance(found, ServerState)
        return replace(found, certificate=found.ca, ca_fits=True, fits=True, tls_crypt=True)

    def clients(self, crl: str | None, status: str = STATUS) -> Clients:
        answers = {"ca": self.ca, "index": INDEX, "status": status, **({"crl": crl} if crl is not None else {})}
        found = VpnClients.parse([VpnClients("vpn")], Section(said(**answers), "", 0))[VpnClients("vpn")]
        assert isinstance(found, Clients)
        return found


OFFICE = Office()
ALPHA_IS_IN = STATUS.replace("CLIENT_LIST\tomega", "CLIENT_LIST\talpha")
ALPHA_IS_OUT = INDEX.replace("V\t20510224225745Z\t\t135D\tunknown\t/CN=alpha\n", "")
RIGHT = OFFICE.listed(0x5E67)


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        (OFFICE.state(RIGHT), []),
        (OFFICE.state(OFFICE.listed()), [("list of revoked certificates", "lacks alpha (serial 5E67)")]),
        (OFFICE.state(None), [("list of revoked certificates", "there is none")]),
        (OFFICE.state("nonsense"), [("list of revoked certificates", "it cannot be read")]),
        (
            OFFICE.state(OFFICE.listed(0x5E67, key=ec.generate_private_key(ec.SECP256R1()))),
            [("list of revoked certificates", "this authority did not sign it")],
        ),
        (OFFICE.state(OFFICE.listed(0x5E67, until=NOW - 1)), [("list of revoked certificates", "it expired on 2027-01-15")]),
        (OFFICE.state(OFFICE.listed(0x5E67, since=NOW + 1)), [("list of revoked certificates", "it is valid from 2027-01-15 on")]),
        (OFFICE.state(OFFICE.listed(0x5E67, until=NOW + 29 * 86_400)), [("list of revoked certificates", "29 days left")]),
        (
            OFFICE.state(OFFICE.listed(0x5E67, 0x22C4)),
            [("list of revoked certificates", "has 22C4, which the record does not call revoked")],
        ),
        (replace(OFFICE.state(RIGHT), list_is_closed=True), [("list of revoked certificates", "not for the server to read")]),
        (OFFICE.state(RIGHT, state=ALPHA_IS_IN), []),
        (OFFICE.state(RIGHT, ALPHA_IS_OUT, state=ALPHA_IS_IN), [("connected", "alpha from 198.51.100.2:3333, with a revoked certificate")]),
        (OFFICE.state(RIGHT, certs="5E67.pem\n01.pem\nBEEF.pem\nindex\n"), [("record of certificates", "lacks BEEF")]),
        (
            replace(OFFICE.state(RIGHT), revoked_itself=True),
            [("server certificate", "serial 1, which is revoked"), ("list of revoked certificates", "before the renewal")],
        ),
    ],
)
def test_the_list_of_revoked_certificates_is_compared_with_the_record(state: ServerState, changes: list[tuple[str, str]]) -> None:
    steps = plan(Authority(QUESTION), {QUESTION: state}).steps
    assert [(change.field, change.before) for step in steps for change in step.changes] == changes


def test_who_comes_in_although_revoked_is_said_and_shut_out() -> None:
    def found(crl: str | None, status: str = "") -> dict[str, tuple[str, bool, str]]:
        details = server_clients.details(Facts({VpnClients("vpn"): OFFICE.clients(crl, status)}, {}), "vpn")
        assert server_clients.broken(details) is bool(server_clients.lines_to_mend(details, "canada"))
        return {one["name"]: (one["state"], one["let_in"], one["why"]) for one in details["clients"]}

    lacks = "the list of revoked certificates lacks serial 5E67, which is let in"
    assert found(RIGHT) == {"alpha": ("valid", True, ""), "omega": ("valid", True, ""), "late": ("expired", False, "")}
    assert found(OFFICE.listed())["alpha"] == ("valid", True, lacks)
    expired = "nobody is let in: the list of revoked certificates: it expired on 2027-01-15"
    assert found(OFFICE.listed(0x5E67, until=NOW - 1))["omega"] == ("valid", False, expired)
    clients = OFFICE.clients(OFFICE.listed(), ALPHA_IS_IN)
    gone = replace(clients, issued=tuple(one for one in clients.issued if one.serial == "5E67"))
    (step,) = plan(ClientRevoked("vpn", "alpha"), {VpnClients("vpn"): gone}).steps
    assert [change.field for change in step.changes] == ["list of revoked certificates", "connected"]
    inside = replace(gone, revocations=Revocations(until=NOW * 2))
    details = server_clients.details(Facts({VpnClients("vpn"): inside}, {}), "vpn")
    assert server_clients.rows(details)[0][1] == "revoked, but still in"


def test_a_taken_port_and_a_taken_network_are_refused() -> None:
    fits = ServerPreconditions(QUESTION, "10.86.0.0/24")
    unit = UnitNamed("openvpn-server@vpn.service")

    def refusal(server: ServerState, active: str = "inactive", caller: str = "192.0.2.9") -> str:
        came = CallerFacts(caller, "192.0.2.1", 22, "root")
        answers = {QUESTION: server, unit: UnitFacts("loaded", active, "enabled"), Firewall(): FirewallFacts(), Caller(): came}
        return "".join(error.what for _, error in plan(fits, answers).refusals)

    assert refusal(ServerState()) == ""
    assert refusal(ServerState(listeners=("perl",))) == "port 1194/udp is taken by perl"
    assert refusal(ServerState(listeners=("openvpn",)), "active") == "port 1194/udp is taken by openvpn"
    assert refusal(ServerState(listens=True), "active") == ""
    told = {unit: Missing.ABSENT, Firewall(): FirewallFacts(), Caller(): Missing.ABSENT}
    for units, said in ((("perl.service",), "systemctl disable --now perl.service"), (("session-1.scope",), "stop it for good")):
        ((_, error),) = plan(fits, {**told, QUESTION: ServerState(listeners=("perl",), units=units)}).refusals
        assert error.fix.startswith(f"{said}, or choose another port")
    assert refusal(ServerState(routes=(("10.0.0.0/8", "eth1"),))) == "10.86.0.0/24 overlaps 10.0.0.0/8, which the host has at eth1"
    assert "this connection comes from, 10.86.0.2" in refusal(ServerState(), caller="10.86.0.2")
    assert refusal(ServerState(listens=True), "active", "10.86.0.2") == "", "who comes by the VPN itself"
    assert refusal(ServerState(), caller="2001:db8::1") == ""


def test_a_server_that_is_removed_leaves_its_port_and_network_to_the_next_one() -> None:
    host = HostView("h", "203.0.113.5", frozenset(), Templates([shipped("templates")]), Path())
    entries = [form(name="old", state="absent"), form()]
    fits = next(one for one in resources(entries[1], host, beside=entries) if isinstance(one, ServerPreconditions))
    (old,) = fits.leaving
    unit = UnitNamed("openvpn-server@vpn.service")

    def refusal(before: ServerState, device: str = "vpn-old", program: str = "openvpn") -> str:
        now = ServerState(listeners=(program,), routes=(("10.86.0.0/24", device),))
        answers = {QUESTION: now, old: before, unit: Missing.ABSENT, Firewall(): FirewallFacts(), Caller(): Missing.ABSENT}
        return "".join(error.what for _, error in plan(fits, answers).refusals)

    there = ServerState(configured=(1194, "udp"))
    assert refusal(there) == ""
    assert "is taken by openvpn" in refusal(replace(there, configured=(1195, "udp")))
    assert "is taken by openvpn" in refusal(replace(there, beside=("openvpn",))), "somebody else's"
    assert "is taken by perl" in refusal(there, program="perl")
    assert "overlaps" in refusal(there, device="tun0")


def test_a_server_that_runs_with_files_of_before_is_restarted() -> None:
    """Whoever renews its certificate in place, or puts a copy back, leaves the old one in memory."""
    assert not list(ServerAnswers(QUESTION).plan(facts()))
    (step,) = ServerAnswers(QUESTION).plan(facts(stale=("/etc/openvpn/server/vpn/server.crt",)))
    assert [(one.field, one.before) for one in step.changes] == [("loaded", "/etc/openvpn/server/vpn/server.crt of before")]
    assert [action.words for action in step.actions if isinstance(action, Command)] == [
        ("systemctl", "restart", "--", "openvpn-server@vpn.service")
    ]


def stale(tmp_path: Path, began: int, *files: Path, state: str = "active") -> list[str]:
    """What server.sh says of files, of a process that began `began` seconds ago."""
    stubs = f"""
systemctl() {{ case $1 in is-active) echo {state} ;; *) command date -u -d "-{began} seconds" '+%a %Y-%m-%d %H:%M:%S UTC' ;; esac; }}
"""
    script = f'{sh_file("novaops.features.vpn.facts", "server.sh")}\n{stubs}\nstale unit "$@"'
    words = ["sh", "-c", script, "stale", *map(str, files), str(tmp_path / "absent")]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()


def test_what_has_changed_since_a_process_began(tmp_path: Path) -> None:
    new = tmp_path / "server.crt"
    new.write_text("x")
    assert stale(tmp_path, 60, new) == [str(new)]
    assert stale(tmp_path, 0, new) == []
    assert stale(tmp_path, 60, new, state="inactive") == []
    os.utime(new, (1, 1))
    assert stale(tmp_path, 60, new) == [str(new)], "a copy that was put back is as old as it says"


def test_a_server_that_does_not_answer_is_not_proven() -> None:
    for server, words in ((ServerState(), "nobody listens"), (ServerState(listens=True), "does not say that it is up")):
        with pytest.raises(HostFailed, match=words):
            ServerAnswers(QUESTION).verify_works(Facts({QUESTION: server}, {}))
    ServerAnswers(QUESTION).verify_works(facts(listens=True, answers=True))


# -- the profile ------------------------------------------------------------------------------------------------------


def test_a_profile_is_whole() -> None:
    asked = ask("alpha", None)
    text = profile("vpn", "alpha", parts(asked), asked.key).reveal()
    assert "remote 203.0.113.5 1194 udp\n" in text
    assert "verify-x509-name server:vpn name\n" in text
    assert "redirect-gateway" not in [line.split(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    for name in ("ca", "cert", "key", "tls-crypt"):
        assert text.count(f"<{name}>\n") == text.count(f"</{name}>\n") == 1
    assert client_profile.certificate_in(text).startswith("-----BEGIN CERTIFICATE-----")
    assert str(profile("vpn", "alpha", parts(asked), asked.key)) == "[secret]"


def test_a_key_with_a_passphrase_is_encrypted() -> None:
    asked = ask("alpha", Secret("TestP@ssw0rd#123"))
    pem = asked.key.reveal()
    assert pem.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    serialization.load_pem_private_key(pem.encode(), b"TestP@ssw0rd#123")
    with pytest.raises(ValueError, match=r"."):
        serialization.load_pem_private_key(pem.encode(), b"wrong")


# -- the port ---------------------------------------------------------------------------------------------------------

OURS = "-A INPUT -p udp -m udp --dport 1194 -m comment --comment novaops -j ACCEPT"
TCP = OURS.replace("udp", "tcp")
RULES = f"*filter\n:INPUT ACCEPT [0:0]\n{OURS}\n{TCP}\n-A INPUT -j REJECT\nCOMMIT\n"
SAVED = FileAt("/etc/iptables/rules.v4")


def closing(closed: PortClosed, rules: str = RULES, **answers: Any) -> list[Any]:
    """What is done where a server listens on 1194/udp, and this is its state."""
    given: dict[Any, Any] = dict.fromkeys(closed.questions(), Missing.ABSENT)
    given[closed.question] = ServerState(**{"configured": (1194, "udp"), **answers})
    given[Firewall()] = FirewallFacts({"iptables": rules})
    given[SAVED] = FileState("regular file", "0640", "root", "adm", RULES.encode())
    return [action for step in make_plan([closed], Facts(given, {})).steps for action in step.actions]


@pytest.mark.parametrize("closed", [PortClosed(QUESTION), PortClosed(replace(QUESTION, port=1196), stays=True)])
def test_what_was_opened_is_closed_again_and_nothing_else(closed: PortClosed) -> None:
    """With the server, and where it moves to another port."""

    def steps(**answers: Any) -> list[str]:
        return [str(action) for action in closing(closed, **answers)]

    deleted = "iptables -w 10 -D " + OURS.removeprefix("-A ")
    assert steps() == steps(listens=True) == [deleted, "write /etc/iptables/rules.v4"]
    assert steps(beside=("dnsmasq",)) == [], "somebody else lives by it now"
    assert steps(rules="") == ["write /etc/iptables/rules.v4"]
    assert steps(configured=None) == steps(configured=(1195, "udp")) == []
    assert steps(configured=(1194, "tcp"))[0] == deleted.replace("udp", "tcp")
    assert steps(ufw=frozenset({"1194/udp"}))[0] == "ufw delete allow 1194/udp"
    assert steps(ufw=frozenset({"1194/tcp", "443/udp"})) == steps()


def test_a_server_that_stays_where_it_is_stays_open() -> None:
    assert closing(PortClosed(QUESTION, stays=True)) == []
    assert closing(PortClosed(replace(QUESTION, protocol="tcp"), stays=True)) != []


@pytest.mark.parametrize("entry", [{"port": 1195}, {"state": "absent"}])
def test_a_port_that_another_server_comes_to_have_stays_open(entry: dict[str, Any]) -> None:
    """As where two servers change places."""
    host, one = HostView("h", "203.0.113.5", frozenset(), Templates([shipped("templates")]), Path()), form(**entry)

    def closed(**other: Any) -> list[Any]:
        (found,) = (each for each in resources(one, host, beside=[one, form(name="two", **other)]) if isinstance(each, PortClosed))
        return closing(found)

    assert closed(port=1194) == []
    assert closed(port=1194, protocol="tcp") != []
    assert closed(port=1196) != []
    assert closed(port=1194, state="absent") != []


def test_the_file_of_rules_loses_one_line() -> None:
    closed = PortClosed(QUESTION)
    (write,) = closing(closed, rules="")
    assert write.content == RULES.replace(f"{OURS}\n", "").encode()
    assert closed.id == "port:1194/udp"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"configured": "1194 udp4\n"}, ((1194, "udp"), frozenset())),
        ({"configured": "443 tcp6-server\n"}, ((443, "tcp"), frozenset())),
        ({"configured": "1194 udp 1195\n"}, (None, frozenset())),
        ({"configured": "1194\n"}, (None, frozenset())),
        (
            {"ufw": "ufw allow 22/tcp\nufw allow 1194/udp comment 'novaops'\nufw allow 443/tcp comment 'novaops, too'\n"},
            (None, frozenset({"1194/udp"})),
        ),
    ],
)
def test_where_it_listens_by_its_configuration(told: dict[str, str], state: Any) -> None:
    found = VpnServer.parse([QUESTION], Section(said(**told), "", 0))[QUESTION]
    assert isinstance(found, ServerState)
    assert (found.configured, found.ufw) == state


def test_a_folder_goes_only_with_what_novaops_put_there() -> None:
    folder = FolderRemoved("/etc/systemd/system/openvpn-server@vpn.service.d", "novaops.conf")
    (question,) = folder.questions()
    assert plan(folder, {question: True}).steps == ()
    (step,) = plan(folder, {question: False}).steps
    assert [str(action) for action in step.actions] == ["rmdir -- /etc/systemd/system/openvpn-server@vpn.service.d"]


def test_what_goes_leaves_the_authority() -> None:
    host = HostView("h", "203.0.113.5", frozenset(), Templates([shipped("templates")]), Path())
    gone = [one.id for one in resources(form(state="absent"), host)]
    assert "file:/etc/openvpn/server/vpn.conf" in gone
    assert not any("/etc/openvpn/server/vpn/" in one or one.startswith("authority:") for one in gone)


@pytest.mark.parametrize(
    ("days", "token", "fields"),
    [
        (400, "", []),
        (400, "another", ["server certificate", "list of revoked certificates"]),
        (20, "", ["server certificate", "list of revoked certificates"]),
    ],
)
def test_the_servers_certificate_is_renewed_in_time_and_when_asked(days: int, token: str, fields: list[str]) -> None:
    made = self_signed()
    now = made.not_after - days * 86_400
    listed = Clients(revocations=Revocations(until=now + 400 * 86_400))
    server = ServerState(made, made, ca_fits=True, fits=True, tls_crypt=True, clients=listed, token=NAMES[0], now=now)
    steps = plan(Authority(QUESTION, token=token), {QUESTION: server}).steps
    assert [change.field for step in steps for change in step.changes] == fields
    again = replace(server, token=NAMES[1])
    assert plan(Authority(QUESTION, token=NAMES[1]), {QUESTION: replace(again, now=made.not_after - 400 * 86_400)}).steps == ()
