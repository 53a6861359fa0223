"""`novaops verify` of tunnels without a host: every claim is seen red, what is right is green, and what hosts say is read."""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.features.tunnel import checks as claims
from novaops.features.tunnel import observe as seeing
from novaops.features.tunnel.observe import GOT_IN, ExpectedTunnel, ObservedTunnel, Rebooted
from novaops.features.tunnel.paths import alias_address
from novaops.features.tunnel.settings import Tunnel
from novaops.shell import whole
from novaops.verify.claims import Claim
from novaops.verify.sections import SAY, CommandResult, read
from tests.support.testinfra_host import AnsweringHost

TO = "api.openai.com:443"
FRONT = alias_address("api.openai.com")
OK = CommandResult(0, "200 127.0.0.1\n")
IN = 'Authenticated to 192.0.2.1 ([192.0.2.1]:22) using "publickey".\n'
REFUSED = CommandResult(255, "Host key verification failed.\n")


def wanted(**more: Any) -> ExpectedTunnel:
    written = {"name": "api", "via": "canada", "to": TO, "listen": 8443, **more}
    return ExpectedTunnel(Tunnel.model_validate({key: value for key, value in written.items() if value is not None}))


RIGHT = ObservedTunnel(
    wanted(transparent=True),
    {8443: frozenset({"127.0.0.1"})},
    {TO: OK},
    {TO: CommandResult(0, f"{FRONT} STREAM api.openai.com\n{FRONT} DGRAM\n")},
    {TO: CommandResult(0, f"404 {FRONT}\n")},
    {
        "shell": CommandResult(1, IN),
        "sftp": CommandResult(0, ""),
        "port": CommandResult(255, f"{IN}channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n"),
        "back": CommandResult(255, f"{IN}Error: remote port forwarding failed for listen port 0\n"),
    },
    {"another": REFUSED, "none": REFUSED},
    CommandResult(0, "novaops-tunnel 600\n"),
    enabled=CommandResult(0, "enabled\n"),
)
GONE = ObservedTunnel(
    wanted(state="absent"), {8443: frozenset()}, left={kind: CommandResult(1) for kind in ("files", "units", "processes", "names")}
)
AGAIN = Rebooted({TO: OK}, CommandResult(), {TO: OK}, RIGHT.names, RIGHT.unchanged)


def opens(what: str, text: str, status: int = 255) -> ObservedTunnel:
    return replace(RIGHT, opens={**RIGHT.opens, what: CommandResult(status, text)})


def judged(claim: Callable[..., None], seen: ObservedTunnel, rebooted: Rebooted = AGAIN) -> str:
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


@pytest.mark.parametrize("seen", [RIGHT, GONE], ids=["present", "absent"])
def test_what_is_right_is_green(seen: ObservedTunnel) -> None:
    about = [claim for claim in every() if Claim(claim).about(seen.expected)]
    assert {claim.__name__: judged(claim, seen) for claim in about} == {claim.__name__: "" for claim in about}
    assert len(about) == (13 if seen is RIGHT else 2)


def test_the_port_of_a_socks_proxy_is_to_be_free_when_it_is_gone() -> None:
    assert wanted(state="absent", to=None, listen=None, socks=1080).ports == (1080,)


def test_no_port_is_another_one_where_a_socks_proxy_reaches_all() -> None:
    socks = {"to": None, "listen": None, "socks": 1080, "check": "https://a.b/"}
    assert Claim(claims.test_no_other_port).about(wanted(**socks))
    assert not Claim(claims.test_no_other_port).about(wanted(**socks, reaches=["*:*"]))


def test_each_claim_is_made_of_one_kind_or_the_other() -> None:
    assert all(Claim(claim).about(RIGHT.expected) != Claim(claim).about(GONE.expected) for claim in every())
    assert not Claim(claims.test_unchanged).about(wanted())


WRONG: list[tuple[Callable[..., None], ObservedTunnel, str]] = [
    (claims.test_listens, replace(RIGHT, listening={8443: frozenset()}), "at 127.0.0.1 and nowhere else, but nothing listens there"),
    (claims.test_listens, replace(RIGHT, listening={8443: frozenset({"*"})}), "but it is at 0.0.0.0"),
    (claims.test_listens, replace(RIGHT, listening={8443: frozenset({"127.0.0.1", "::1"})}), "but it is at 127.0.0.1 and ::1"),
    (
        claims.test_request,
        replace(RIGHT, requests={TO: CommandResult(60, "curl: (60) SSL certificate problem: expired\n000 \n")}),
        "https://api.openai.com/ through 127.0.0.1:8443 should be answered by api.openai.com:443, but (60) SSL certificate",
    ),
    (
        claims.test_request,
        replace(RIGHT, requests={TO: CommandResult(1, "it was closed at once\n")}),
        "should be answered by api.openai.com:443, but it was closed at once",
    ),
    (claims.test_unchanged, replace(RIGHT, names={TO: CommandResult(2)}), "but it leads nowhere"),
    (
        claims.test_unchanged,
        replace(RIGHT, names={TO: CommandResult(0, f"{FRONT} STREAM\n2001:db8::1 STREAM\n")}),
        "but it leads to 2001:db8::1",
    ),
    (
        claims.test_unchanged,
        replace(RIGHT, unchanged={TO: CommandResult(7, "curl: (7) refused\n")}),
        "asked by an unchanged client, should be",
    ),
    (claims.test_unchanged, replace(RIGHT, unchanged={TO: CommandResult(0, "200 192.0.2.7\n")}), "but it comes to 192.0.2.7"),
    (claims.test_enabled, replace(RIGHT, enabled=CommandResult(1, "disabled\n")), "should be enabled, but it is disabled"),
    (claims.test_key_is_private, replace(RIGHT, key=CommandResult(0, "novaops-tunnel 640\n")), "but it has mode 0640"),
    (claims.test_key_is_private, replace(RIGHT, key=CommandResult(0, "nova 600\n")), "but it is nova's"),
    (claims.test_key_is_private, replace(RIGHT, key=CommandResult(1, "stat: No such file\n")), "but stat: No such file"),
    (claims.test_no_shell, opens("shell", f"{IN}{GOT_IN}\n", 0), "should run no command for the tunnel's key, but it ran one"),
    (claims.test_no_files, opens("sftp", "   0   0   0   5   2\n", 0), "but sftp answered"),
    (claims.test_no_other_port, opens("port", f"{IN}SSH-2.0-OpenSSH_9.2\n", 0), "but it did not: SSH-2.0-OpenSSH_9.2"),
    (
        claims.test_no_other_port,
        opens("port", f"{IN}channel 0: open failed: connect failed: Connection refused\ndebug1: bye\n"),
        "but it did not: channel 0: open failed: connect failed: Connection refused",
    ),
    (claims.test_not_back, opens("back", IN, 124), "but it took a port for it"),
    (claims.test_not_back, opens("back", f"{IN}Allocated port 40001 for remote forward\n", 0), "but it took a port for it"),
    (
        claims.test_pinned,
        replace(RIGHT, pinned={"another": CommandResult(1, IN), "none": REFUSED}),
        "where another host key is pinned, but it did",
    ),
    (
        claims.test_pinned,
        replace(RIGHT, pinned={"another": REFUSED, "none": CommandResult(1, IN)}),
        "where no host key is pinned, but it did",
    ),
    (
        claims.test_nothing_left,
        replace(GONE, left={**GONE.left, "files": CommandResult(0, "/etc/novaops/tunnel/api.key\n")}),
        "there should be no files of it any more, but there are: /etc/novaops/tunnel/api.key",
    ),
    (claims.test_nothing_left, replace(GONE, left={**GONE.left, "processes": CommandResult(0, "812\n")}), "no processes of it any more"),
    (claims.test_nothing_listens, replace(GONE, listening={8443: frozenset({"127.0.0.1"})}), "but something does, at 127.0.0.1"),
]


@pytest.mark.parametrize(("claim", "seen", "said"), WRONG, ids=[claim.__name__ for claim, _, _ in WRONG])
def test_each_fault_is_said(claim: Callable[..., None], seen: ObservedTunnel, said: str) -> None:
    assert said in judged(claim, seen)
    others = [other for other in every() if other is not claim and Claim(other).about(seen.expected)]
    assert [judged(other, seen) for other in others] == [""] * len(others)


def test_every_claim_is_seen_red() -> None:
    red = {claim for claim, _, _ in WRONG}
    assert set(every()) - red == {claims.test_after_reboot, claims.test_unchanged_after_reboot, claims.test_heals}
    late = {TO: CommandResult(7, "curl: (7) refused\n")}
    assert "within 60 s of the reboot should be" in judged(claims.test_after_reboot, RIGHT, replace(AGAIN, requests=late))
    past = {TO: CommandResult(0, "203.0.113.7 STREAM api.openai.com\n")}
    assert "but it leads to 203.0.113.7" in judged(claims.test_unchanged_after_reboot, RIGHT, replace(AGAIN, names=past))
    assert "within 60 s after its ssh was killed should be" in judged(claims.test_heals, RIGHT, replace(AGAIN, healed=late))
    assert judged(claims.test_heals, RIGHT, replace(AGAIN, killed=CommandResult(1))) == "- there was no ssh of it to kill"


@pytest.mark.parametrize("claim", [claims.test_no_shell, claims.test_no_files, claims.test_no_other_port, claims.test_not_back])
def test_what_nobody_could_try_is_not_proven(claim: Callable[..., None]) -> None:
    late = CommandResult(255, "ssh: connect to host 192.0.2.1 port 22: Connection refused\n")
    seen = replace(RIGHT, opens=dict.fromkeys(RIGHT.opens, late), pinned=dict.fromkeys(RIGHT.pinned, late))
    assert judged(claim, seen).startswith("- the key could not be tried: ssh: connect to host")
    assert judged(claims.test_pinned, seen).startswith("- the gateway could not be reached")


def test_a_tunnel_the_other_way_round_is_asked_there_and_back() -> None:
    back = wanted(reverse=True)
    (forward,) = back.forwards
    address, port = forward.probe_address
    assert judged(claims.test_listens, replace(RIGHT, expected=back, listening={port: frozenset({address})})) == ""
    assert judged(claims.test_listens, replace(RIGHT, expected=back, listening={port: frozenset({"127.0.0.1"})})) != ""


def test_the_same_port_may_be_listened_on_for_others_at_other_addresses() -> None:
    """Another tunnel, one that a renamed entry left its port to, and another forward of the same tunnel."""
    entries = [
        {"name": "api", "via": "canada", "to": TO, "listen": 8443},
        {"name": "b", "via": "canada", "to": TO, "listen": "127.0.0.2:8443"},
        {"name": "old", "via": "canada", "to": TO, "listen": 8443, "state": "absent"},
        {
            "name": "two",
            "via": "canada",
            "forwards": [{"to": "a:1", "listen": "127.0.0.3:8443"}, {"to": "b:1", "listen": "127.0.0.4:8443"}],
        },
    ]
    expected = dict(seeing.entries_of([Tunnel.model_validate(entry) for entry in entries]))
    found = {8443: frozenset(f"127.0.0.{number}" for number in (1, 2, 3, 4))}
    for name in ("api", "b", "two"):
        assert judged(claims.test_listens, replace(RIGHT, expected=expected[name], listening=found)) == "", name
        assert judged(claims.test_listens, replace(RIGHT, expected=expected[name], listening={8443: found[8443] | {"10.0.0.1"}})), name
        assert judged(claims.test_listens, replace(RIGHT, expected=expected[name], listening={8443: frozenset({"127.0.0.9"})})), name
    assert judged(claims.test_nothing_listens, replace(GONE, expected=expected["old"], listening=found)) == ""
    assert judged(claims.test_nothing_listens, replace(GONE, expected=expected["old"], listening={8443: found[8443] | {"127.0.0.9"}}))


def test_only_what_the_tunnels_user_listens_on_is_the_tunnels() -> None:
    """Others may have the port at another address, and a program that came after a tunnel that is gone may have its port."""
    ss = (
        "ss() { printf 'LISTEN 0 128 %s 0.0.0.0:* %s ino:1 sk:1 <->\\n' 127.0.0.1:8443 uid:998 10.0.0.1:8443 'uid:99 x' 10.0.0.2:8443 ''; }"
    )
    told = read(sh(f"{SAY}user=u conf=c\n{seeing._TOOLS}{ss}\nid() {{ echo 998; }}\nsaw listening own_listeners\n"))
    assert seeing._addresses(told["listening"], 8443) == {"127.0.0.1"}


def test_after_a_reboot_an_unchanged_client_is_asked_again() -> None:
    """What rewrites /etc/hosts when a host starts leaves the tunnel itself as it is."""
    told = "= boot:a.example.com:1 0\n= name:a.example.com:1 0\n  1.2.3.4 STREAM\n= unchanged:a.example.com:1 0\n= end 0\n"
    host = AnsweringHost(lambda command: told if "\nask_unchanged\n" in command else "= end 0\n")
    (found,) = seeing.after_reboot(host, [replace(RIGHT, expected=wanted(transparent=True, to="a.example.com:1"))])
    assert found.names == {"a.example.com:1": CommandResult(0, "1.2.3.4 STREAM\n")}
    assert list(found.unchanged) == ["a.example.com:1"]


def test_lines_that_are_left_are_also_found_in_what_cloud_init_makes_the_file_of(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    (tmp_path / "hosts.debian.tmpl").write_text("1.2.3.4 a # novaops tunnel api\n1.2.3.4 b # novaops tunnel api-2\n")
    script = seeing._ABSENT.replace("/etc/hosts", f"{tmp_path}/hosts").replace("/etc/cloud/templates", str(tmp_path))
    told = read(sh(f"{SAY}user=u conf=c name=api hosts_comment='# novaops tunnel api'\n{seeing._TOOLS}{script}"))
    assert told["left:names"].lines == ("1.2.3.4 a # novaops tunnel api",)


def test_what_begins_with_the_name_of_an_absent_tunnel_is_not_its_own(tmp_path: Path) -> None:
    configs, units = tmp_path / "etc/novaops/tunnel", tmp_path / "etc/systemd/system"
    for folder in (configs, units):
        folder.mkdir(parents=True)
    left = (configs / "api.key", units / "novaops-tunnel-api-check.timer", units / "novaops-tunnel-api-443.socket")
    others = (configs / "api.v2.key", *(units / f"novaops-tunnel-api{end}" for end in (".v2.service", "-2.service", "-2-443.socket")))
    for file in (*left, *others):
        file.write_text(f"# managed by novaops: tunnel {'api' if file in left else 'api-2'}\n")
    script = seeing._ABSENT.replace("/etc/novaops", f"{tmp_path}/etc/novaops").replace("/etc/systemd", f"{tmp_path}/etc/systemd")
    told = read(sh(f"{SAY}user=u conf=c name=api hosts_comment=x\n{seeing._TOOLS}{script}"))
    assert {*told["left:files"].lines, *told["left:units"].lines} == set(map(str, left))


def test_a_listener_at_an_ipv6_address_is_tried_as_one() -> None:
    asked = seeing._requests(wanted(listen="[::1]:8443", check="tcp"))
    assert "stays_open '[::1]' 8443" in asked


# -- what hosts say -----------------------------------------------------------------------------------------------------------


def sh(script: str) -> str:
    return subprocess.run(["dash", "-s"], input=whole(script), capture_output=True, text=True, check=True).stdout


def test_commands_are_read_as_they_end() -> None:
    told = read(sh(f"{SAY}saw a:b:443 printf '= c 0\\nx'\nsaw none true\necho noise\nsaw bad sh -c 'echo no >&2; exit 3'\nsaw end true\n"))
    assert told == {
        "a:b:443": CommandResult(0, "= c 0\nx\n"),
        "none": CommandResult(),
        "bad": CommandResult(3, "no\n"),
        "end": CommandResult(),
    }


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("LISTEN 0 128 127.0.0.1:8443 0.0.0.0:*", "127.0.0.1"),
        ("LISTEN 0 128 [::1]:8443 [::]:*", "::1"),
        ("LISTEN 0 128 *:8443 *:*", "*"),
        ("LISTEN 0 128 127.0.0.53%lo:8443 0.0.0.0:*", "127.0.0.53"),
    ],
)
def test_where_something_listens(line: str, address: str) -> None:
    other = "LISTEN 0 128 127.0.0.1:18443 0.0.0.0:*\n"
    assert seeing._addresses(CommandResult(0, f"{other}{line}\n"), 8443) == {address}


ODD: Mapping[str, Any] = {
    "forwards": [{"to": "a.example.com:5432", "listen": 5432}, {"to": TO, "listen": 8443}],
    "to": None,
    "listen": None,
}


@pytest.mark.parametrize("more", [{}, {"transparent": True}, {"reverse": True}, {"site": "gate", "to": None}, ODD], ids=str)
@pytest.mark.parametrize("script", [seeing._PRESENT, seeing._ABSENT, seeing._REBOOT])
def test_the_scripts_are_sh(script: str, more: Mapping[str, Any]) -> None:
    given: list[str] = []

    def answer(command: str) -> str:
        given.append(command)
        return "= end 0\n"

    seeing._run(AnsweringHost(answer), wanted(**more), script)
    (command,) = given
    assert "@" not in command.replace('"$@"', "")
    subprocess.run(["dash", "-n"], input=whole(command), text=True, check=True)
