"""`novaops verify` of VPNs without a host: every claim is seen red, what is right is green, and what hosts say is read."""

from __future__ import annotations

import datetime as dt
import inspect
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from novaops.features.vpn import checks as claims
from novaops.features.vpn import observe as seeing
from novaops.features.vpn.observe import Observed, ObservedAbsent, ObservedLink, ObservedRoute, ObservedServer, Rebooted
from novaops.features.vpn.settings import Link, Server
from novaops.shell import sh_file, whole
from novaops.verify.claims import Claim
from novaops.verify.sections import CommandResult
from tests.support.testinfra_host import AnsweringHost

NAME, DEVICE = "api.openai.com", "vpn-oracle"


def link(**more: Any) -> Link:
    return Link.model_validate({"name": "oracle", "profile": "a.ovpn", "routes": [NAME, "192.0.2.0/24"], **more})


RIGHT = ObservedLink(
    link(),
    CommandResult(0, "5: vpn-oracle inet 10.8.0.2/24 scope global vpn-oracle\n"),
    {
        NAME: (ObservedRoute("104.18.6.192", DEVICE, own=True, shut=True), ObservedRoute("2606:4700::1", shut=True)),
        "192.0.2.0/24": (ObservedRoute("192.0.2.1", DEVICE, own=True, shut=True),),
    },
    {
        "everything else": ObservedRoute("203.0.113.7", "eth0"),
        "the connection from here": ObservedRoute("198.51.100.1", "eth0"),
        "the DNS server 198.51.100.53": ObservedRoute("198.51.100.53", "eth0"),
    },
    CommandResult(0, "404 104.18.6.192\n"),
    (4000, 9000),
    {"/etc/openvpn/client/oracle.conf": "root 600", "/etc/openvpn/client/oracle.auth": "root 600"},
    CommandResult(0, "enabled\n"),
)
SERVER = ObservedServer(
    Server(name="gate", serve=True),
    device=CommandResult(0, "5: vpn-gate inet 10.86.0.1/24 scope global vpn-gate\n"),
    files={"/etc/openvpn/server/gate/ca.key": "root 600", "/etc/openvpn/server/gate/server.key": "root 400"},
    enabled=CommandResult(0, "enabled\n"),
    listening=True,
    forwards=True,
    masquerades=1,
)
GONE = ObservedAbsent(Link(name="oracle", state="absent"), left={kind: CommandResult() for kind in ("device", "routes", "files", "units")})
AGAIN = Rebooted(CommandResult(0, "404 104.18.6.192\n"), RIGHT.device, listening=True, masquerades=1)


def ways(*found: ObservedRoute) -> ObservedLink:
    return replace(RIGHT, routes={**RIGHT.routes, NAME: found})


def others(what: str, device: str, address: str = "203.0.113.7") -> ObservedLink:
    return replace(RIGHT, others={**RIGHT.others, what: ObservedRoute(address, device)})


def judged(claim: Callable[..., None], seen: Observed, rebooted: Rebooted = AGAIN) -> str:
    """What a claim says; "" when it is content. A skip begins with a dash."""
    known = {"seen": seen, "rebooted": rebooted}
    try:
        claim(**{name: known[name] for name in inspect.signature(claim).parameters})
    except AssertionError as error:
        return str(error)
    except pytest.skip.Exception as error:
        return f"- {error}"
    return ""


def every() -> list[Callable[..., None]]:
    return [function for name, function in vars(claims).items() if name.startswith("test_")]


@pytest.mark.parametrize(("seen", "count"), [(RIGHT, 9), (SERVER, 8), (GONE, 1)], ids=["link", "server", "absent"])
def test_what_is_right_is_green(seen: Observed, count: int) -> None:
    about = [claim for claim in every() if Claim(claim).about(seen.wanted)]
    assert {claim.__name__: judged(claim, seen) for claim in about} == {claim.__name__: "" for claim in about}
    assert len(about) == count


WRONG: list[tuple[Callable[..., None], Observed, str]] = [
    (
        claims.test_up,
        replace(RIGHT, device=CommandResult(1, "Device vpn-oracle does not exist.\n")),
        "but Device vpn-oracle does not exist.",
    ),
    (claims.test_up, replace(RIGHT, device=CommandResult()), "vpn-oracle should be up and have an address, but it has none"),
    (
        claims.test_named_goes_through,
        ways(ObservedRoute("104.18.6.192", "eth0", shut=True)),
        f"{NAME} (104.18.6.192) should go through {DEVICE}, ",
    ),
    (claims.test_named_goes_through, ways(ObservedRoute("104.18.6.192", shut=True)), "but it goes nowhere"),
    (claims.test_named_goes_through, ways(ObservedRoute("2606:4700::1", "eth0", shut=True)), "but it goes by eth0"),
    (claims.test_named_goes_through, ways(), f"{NAME} should go through {DEVICE}, but it leads to no address"),
    (claims.test_nothing_else, others("everything else", DEVICE), "everything else should not go through vpn-oracle, but it does"),
    (claims.test_nothing_else, others("the connection from here", DEVICE), "the connection from here should not go"),
    (claims.test_nothing_else, others("the DNS server 198.51.100.53", DEVICE), "the DNS server 198.51.100.53 should not go"),
    (
        claims.test_answered,
        replace(RIGHT, request=CommandResult(28, "curl: (28) Connection timed out\n000 \n")),
        "but (28) Connection timed out",
    ),
    (claims.test_bytes_move, replace(RIGHT, moved=(90, 9000)), "but it sent 90 bytes and got 9000 meanwhile"),
    (claims.test_bytes_move, replace(RIGHT, moved=(4000, 0)), "but it sent 4000 bytes and got 0 meanwhile"),
    (
        claims.test_nothing_leaks,
        ways(ObservedRoute("104.18.6.192", DEVICE, own=True)),
        "should be unreachable without the VPN, but there is no such",
    ),
    (claims.test_secrets, replace(RIGHT, files={}), "there should be a profile in /etc/openvpn/client, but there is none"),
    (claims.test_secrets, replace(RIGHT, files={"/a.conf": "root 640"}), "but it is root's with mode 0640"),
    (claims.test_secrets, replace(RIGHT, files={"/a.conf": "nova 600"}), "but it is nova's with mode 0600"),
    (claims.test_enabled, replace(RIGHT, enabled=CommandResult(1, "disabled\n")), "but it is disabled"),
    (claims.test_listens, replace(SERVER, listening=False), "udp port 1194 should be listened on, but it is not"),
    (claims.test_has_address, replace(SERVER, device=CommandResult(1, "no such device\n")), "but it has none"),
    (claims.test_has_address, replace(SERVER, device=CommandResult(0, "5: vpn-gate inet 10.9.0.1/24 x\n")), "but it has 10.9.0.1"),
    (claims.test_way_out, replace(SERVER, forwards=False), "but it does not"),
    (claims.test_way_out, replace(SERVER, masquerades=0), "one rule should masquerade 10.86.0.0/24, but there are none"),
    (claims.test_way_out, replace(SERVER, masquerades=2), "but there are 2"),
    (claims.test_revocations, replace(SERVER, revoked="it was valid until x"), "should be valid, but it was valid until x"),
    (
        claims.test_shut_out,
        replace(SERVER, accepted=("/a/5E67.pem",)),
        "openssl accepts them by the list of revoked certificates: /a/5E67.pem",
    ),
    (claims.test_keys, replace(SERVER, files={}), "the authority's private key should be on this host, but there is none"),
    (claims.test_keys, replace(SERVER, files={"/a/ca.key": "root 644"}), "/a/ca.key should be root's"),
    (
        claims.test_nothing_left,
        replace(GONE, left={**GONE.left, "routes": CommandResult(0, "104.18.6.192 dev vpn-oracle\n")}),
        "there should be no routes of it any more, but there is: 104.18.6.192 dev vpn-oracle",
    ),
]


@pytest.mark.parametrize(("claim", "seen", "said"), WRONG, ids=[claim.__name__ for claim, _, _ in WRONG])
def test_each_fault_is_said(claim: Callable[..., None], seen: Observed, said: str) -> None:
    assert said in judged(claim, seen)


def test_every_claim_is_seen_red() -> None:
    assert set(every()) - {claim for claim, _, _ in WRONG} == {claims.test_link_after_reboot, claims.test_server_after_reboot}
    for rebooted, said in (
        (replace(AGAIN, device=CommandResult()), "should be up within 90 s of the reboot"),
        (replace(AGAIN, request=CommandResult(7, "curl: (7) refused\n")), "should be answered after the reboot, but (7) refused"),
    ):
        assert said in judged(claims.test_link_after_reboot, RIGHT, rebooted)
    for rebooted, said in (
        (replace(AGAIN, listening=False), "should be listened on after the reboot"),
        (replace(AGAIN, masquerades=2), "after the reboot, but there are 2"),
    ):
        assert said in judged(claims.test_server_after_reboot, SERVER, rebooted)


def test_what_is_no_fault() -> None:
    near = ways(ObservedRoute("104.18.6.192", "eth0", own=True))
    assert judged(claims.test_named_goes_through, near).startswith(f"- the host reaches {NAME} (104.18.6.192) without anything on the way")
    assert judged(claims.test_nothing_leaks, near) == ""
    assert judged(claims.test_nothing_else, others("everything else", DEVICE, "192.0.2.7")) == "", "a wanted network"
    late = replace(RIGHT, request=CommandResult(7), moved=(0, 0))
    assert judged(claims.test_bytes_move, late) == "- the request was not answered"
    by_nothing = replace(RIGHT, routes={NAME: (ObservedRoute("104.18.6.192", "eth0", own=True),)}, moved=(0, 0))
    assert judged(claims.test_bytes_move, by_nothing) == "- nothing that is named goes through it"
    assert not Claim(claims.test_nothing_leaks).about(link(when_down="direct"))


# -- what hosts say -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "below", "way"),
    [
        (
            CommandResult(0, "192.0.2.7 dev vpn-oracle src 10.8.0.2 uid 0 \n"),
            "unreachable 192.0.2.7",
            ObservedRoute("192.0.2.7", "vpn-oracle", own=True, shut=True),
        ),
        (CommandResult(0, "192.0.2.7 via 198.51.100.1 dev eth0 src 198.51.100.2 uid 0\n"), "", ObservedRoute("192.0.2.7", "eth0")),
        (CommandResult(0, "192.0.2.7 dev eth0 src 198.51.100.2\n"), "", ObservedRoute("192.0.2.7", "eth0", own=True)),
        (CommandResult(2, "RTNETLINK answers: No route to host\n"), "", ObservedRoute("192.0.2.7")),
        (CommandResult(0, "unreachable 192.0.2.7 dev lo src 198.51.100.2\n"), "", ObservedRoute("192.0.2.7")),
        (CommandResult(0, "local 192.0.2.7 dev lo src 192.0.2.7\n"), "", ObservedRoute("192.0.2.7", "lo", own=True)),
    ],
)
def test_where_the_kernel_sends_it(said: CommandResult, below: str, way: ObservedRoute) -> None:
    told = {"route:192.0.2.7": said, "below:192.0.2.7": CommandResult(0, below)}
    assert seeing._route(told, "192.0.2.7") == way


def test_what_moved() -> None:
    told = {"before": CommandResult(0, "10\n20\n"), "after": CommandResult(0, "110\n320\n")}
    assert seeing._moved(told) == (100, 300)
    assert seeing._moved({**told, "before": CommandResult(1, "cat: no such file\n")}) == (0, 0)


def test_rules_of_a_server() -> None:
    rules = '  ip saddr 10.86.0.0/24 oifname != "vpn-gate" masquerade\n  ip saddr 10.99.0.0/24 masquerade\n  ip saddr 10.86.0.0/24 drop\n'
    server = SERVER.wanted
    assert seeing._masquerades({"rules": CommandResult(0, rules)}, server) == 1
    assert seeing._masquerades({"rules": CommandResult(0, f"{rules}-A POSTROUTING -s 10.86.0.0/24 -j MASQUERADE\n")}, server) == 2
    for line, found in (
        ("UNCONN 0 0 0.0.0.0:1194 0.0.0.0:*", True),
        ("UNCONN 0 0 [::]:1194 [::]:*", True),
        ("UNCONN 0 0 *:11940 *:*", False),
    ):
        assert seeing._listens({"listening": CommandResult(0, f"{line}\n")}, server) is found


def authority(days: int, *, other: bool = False) -> tuple[CommandResult, CommandResult]:
    """A list of revoked certificates, and the authority's certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    certificate = made.not_valid_before(now).not_valid_after(now + dt.timedelta(days=9)).sign(key, hashes.SHA256())
    signer = ec.generate_private_key(ec.SECP256R1()) if other else key
    until = now + dt.timedelta(days=days)
    listed = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(until - dt.timedelta(days=1)).next_update(until)
    texts = [one.public_bytes(serialization.Encoding.PEM).decode() for one in (listed.sign(signer, hashes.SHA256()), certificate)]
    return CommandResult(0, texts[0]), CommandResult(0, texts[1])


def test_the_list_of_revoked_certificates() -> None:
    assert seeing._revoked(*authority(3)) == ""
    assert "it was valid until" in seeing._revoked(*authority(-3))
    assert seeing._revoked(*authority(3, other=True)) == "the authority did not sign it"
    assert "it cannot be read: cat: no" in seeing._revoked(CommandResult(1, "cat: no\n"), authority(3)[1])


def sh(name: str) -> str:
    return sh_file("novaops.features.vpn", name)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            sh("observe_link.sh"),
            ["https://a.example.com/", "192.0.2.1", "203.0.113.7", NAME, "--", "192.0.2.1"],
        ),
        (seeing._AGAIN, ["https://a.example.com/"]),
        (sh("observe_server.sh"), ["u", "1194"]),
        (sh("observe_absent.sh"), []),
    ],
)
def test_the_scripts_are_sh(script: str, words: list[str]) -> None:
    given: list[str] = []

    def answer(command: str) -> str:
        given.append(command)
        return "= end 0\n"

    told: Mapping[str, CommandResult] = seeing._run(AnsweringHost(answer), link(), script, words)
    assert told == {"end": CommandResult()}
    subprocess.run(["dash", "-n"], input=whole(given[0]), text=True, check=True)


def test_what_begins_with_the_name_of_an_absent_link_is_not_its_own(tmp_path: Path) -> None:
    """Units are asked for by their whole names, and a device whose name was cut may be another link's by now."""
    folder = tmp_path / "etc/openvpn/client"
    folder.mkdir(parents=True)
    for name in ("canada.conf", "canada.v2.conf"):
        (folder / name).write_text("x")
    script = sh("observe_absent.sh").replace("/etc/openvpn/client", str(folder))
    fakes = 'systemctl() { printf "%s x active\n" "$@"; }\nip() { echo 5: there; }\n'

    def answer(command: str) -> str:
        return subprocess.run(["dash", "-s"], input=whole(fakes + command), capture_output=True, text=True, check=True).stdout

    host = AnsweringHost(answer)
    told = seeing._run(host, Link(name="canada", state="absent"), script, [])
    assert told["left:files"].lines == (f"{folder}/canada.conf",)
    assert not [line for line in told["left:units"].lines if "*" in line]
    assert "novaops-vpn-canada-hold.service" in told["left:units"].lines
    gone = Link(name="canada-west1", state="absent")
    for devices, kinds in ((set[str](), {"device", "routes", "files", "units"}), ({gone.device}, {"files", "units"})):
        seen = seeing._observe(host, gone, "", devices)
        assert isinstance(seen, ObservedAbsent)
        assert set(seen.left) == kinds
