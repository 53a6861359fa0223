"""Entries of `vpn:`, what a link's host is asked to have, and what is said of a link as it is."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from novaops.app import run
from novaops.engine import inventory
from novaops.engine.own_file import shipped
from novaops.engine.planner import make_plan, questions_of
from novaops.engine.playbooks import Playbooks
from novaops.engine.templates import Templates
from novaops.errors import HostFailed, Refused, UsageError
from novaops.facts.dns import AddressesOf
from novaops.facts.file import FileAt, FileState
from novaops.facts.nearby import Near, Nearby
from novaops.facts.succeeds import Succeeds
from novaops.features.vpn import status as vpns
from novaops.features.vpn.diagnosis import diagnose
from novaops.features.vpn.facts.link import LinkRoute, Links, LinkState, LinkStates
from novaops.features.vpn.link import lint_file, read_profile
from novaops.features.vpn.paths import LinkPaths
from novaops.features.vpn.resources.link import VpnLink, VpnRemoved
from novaops.features.vpn.resources.link_commands import is_right
from novaops.features.vpn.settings import Link, Server, Vpn, distinct, route
from novaops.model.action import Command, WriteFile
from novaops.model.plan import Risk
from novaops.model.question import Facts, Missing, Question, Section
from novaops.secret import Secret

ENTRY = {"name": "canada", "profile": "canada.ovpn", "routes": ["api.openai.com"]}


def read(*entries: dict[str, Any]) -> list[Any]:
    return distinct(TypeAdapter(list[Vpn]).validate_python(entries))


def wrong(*entries: dict[str, Any]) -> str:
    with pytest.raises((ValidationError, ValueError)) as error:
        read(*entries)
    return inventory.message(error.value.errors()[0]) if isinstance(error.value, ValidationError) else str(error.value)


def test_both_kinds() -> None:
    link, server = read(ENTRY, {"name": "home", "serve": "true"})
    assert isinstance(link, Link)
    assert isinstance(server, Server)
    assert (link.device, link.url, link.when_down, link.keep) == ("vpn-canada", "https://api.openai.com/", "unreachable", 24)
    (other,) = read({**ENTRY, "name": "a-very-long-name", "routes": "API.openai.com,192.0.2.7,198.51.100.0/24,2001:db8::/32"})
    assert (other.device, other.hosts) == ("vpn-a-very-long", ("api.openai.com",))
    assert other.networks == ("192.0.2.7", "198.51.100.0/24", "2001:db8::/32")
    assert read({"name": "canada", "state": "absent"})[0].profile is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"routes": ["0.0.0.0/0"]}, "is every address, ssh included"),
        ({"routes": ["::/0"]}, "is every address"),
        ({"routes": ["127.0.0.1"]}, "never leaves the host"),
        ({"routes": ["localhost"]}, "is not a name like api.openai.com"),
        ({"routes": ["10.0.0.1/24"]}, "host bits"),
        ({"routes": ["a b.c"]}, "is no host name"),
        ({"routes": []}, "routes: say what goes through it"),
        ({"profile": None}, "profile: the .ovpn file is needed"),
        ({"routes": ["192.0.2.7"]}, "check: say which URL has to answer"),
        ({"user": "nova"}, "user and password belong together"),
        ({"user": " ", "password": "env:PW"}, "user: it is blank"),
        ({"user": "nova", "password": "plain"}, "a secret is not written in plain text"),
        ({"check": "ftp://x"}, "is not a URL"),
        ({"check": "https://x/$(reboot)' -o /etc/passwd"}, "is not a URL"),
        ({"keep": 0}, '"0" is less than 1'),
        ({"when_down": "leak"}, "is not one of unreachable, direct"),
        ({"extra": 1}, "there is no such key"),
        ({"name": "../x"}, "is no name"),
    ],
)
def test_what_is_no_link(change: dict[str, Any], says: str) -> None:
    assert says in wrong({**ENTRY, **change})


def test_links_do_not_meet() -> None:
    assert "is there twice" in wrong(ENTRY, ENTRY)
    assert "cannot go through both" in wrong(ENTRY, {**ENTRY, "name": "other"})
    assert "would both have the device vpn-abcdefghijk" in wrong(
        {**ENTRY, "name": "abcdefghijkl"}, {**ENTRY, "name": "abcdefghijkm", "routes": ["other.example"]}
    )
    assert read({**ENTRY, "name": "abcdefghijkl"}, {"name": "abcdefghijkm", "state": "absent"}), "one that gets another name"


@given(st.text(max_size=30))
def test_a_route_is_one_plain_word(text: str) -> None:
    try:
        found = route(text)
    except ValueError:
        return
    assert not set(found) & set(" \t\n'\"$`;&|<>()\\*?[]{}!#~")
    assert not found.startswith("-")
    assert route(found) == found


# -- the resource -----------------------------------------------------------------------------------------------------

CONTENTS: dict[str, Any] = {
    path: f"# managed by novaops {path}\n" for path in LinkPaths("canada").all if not path.endswith((".auth", ".pass"))
} | {LinkPaths("canada").started_with[0]: Secret("# managed by novaops\nkey\n")}
WANTED = VpnLink("canada", "vpn-canada", CONTENTS, {LinkPaths("canada").started_with[0]: "0600"}, ("198.51.100.0/24",), ("192.0.2.1",))
UP = LinkState(
    *("canada", "vpn-canada", True, ("10.8.0.2",), "192.0.2.1:1194", 1000, 5, 6, 0),
    routes=(LinkRoute("api.openai.com", "198.51.100.7", "vpn-canada"),),
    unresolved=(),
    url="https://api.openai.com/",
    status=401,
    source="10.8.0.2",
    milliseconds=50,
    complaint="",
    error="",
)
NEAR = Near(("10.0.0.1",), (("10.0.0.0/24", "eth0"), ("10.8.0.0/24", "vpn-canada")))


def facts(resource: Any = WANTED, *, there: bool = True, right: bool = True, link: LinkState | None = UP, near: Near = NEAR) -> Facts:
    def answer(question: Question[Any]) -> Any:
        match question:
            case FileAt(path):
                text = CONTENTS.get(path)
                content = (text.reveal() if isinstance(text, Secret) else text or "").encode()
                mode = "0600" if path == LinkPaths("canada").started_with[0] else "0644"
                return FileState("regular file", mode, "root", "root", content) if there and text else Missing.ABSENT
            case Succeeds(script):
                return right if script == is_right(LinkPaths("canada")) else not there
            case Nearby():
                return near
            case LinkStates():
                return Links(1060, (link,) if link else ())
            case AddressesOf(_):
                return ("192.0.2.1",)
        raise AssertionError(question)

    return Facts({question: answer(question) for question in questions_of([resource])}, {})


def test_nothing_is_to_be_done_where_it_works() -> None:
    assert not make_plan([WANTED], facts())


def test_the_first_time() -> None:
    (step,) = make_plan([WANTED], facts(there=False, right=False)).steps
    assert (step.resource, step.risk) == ("vpn:canada", Risk.LOCKOUT)
    kinds = [type(action) for action in step.actions]
    assert kinds == [Command, *[WriteFile] * 8, Command]
    assert "key" not in str([change.after for change in step.changes if "canada.conf" in change.field])
    for command in (step.actions[0], step.actions[-1]):
        assert isinstance(command, Command)
        assert command.undo is not None
        assert command.undo.holds


def test_a_link_that_was_stopped_or_runs_with_older_files() -> None:
    (step,) = make_plan([WANTED], facts(right=False)).steps
    assert [type(action) for action in step.actions] == [Command, Command]
    digest = sha256(
        b"".join(
            text.encode()
            for text in (
                CONTENTS[path].reveal() if isinstance(CONTENTS[path], Secret) else CONTENTS[path]
                for path in LinkPaths("canada").started_with
                if path in CONTENTS
            )
        )
    ).hexdigest()
    first = step.actions[0]
    assert isinstance(first, Command)
    assert first.undo is not None
    assert digest in first.undo.holds


def test_somebody_elses_configuration_is_left_alone() -> None:
    known = facts()
    foreign = known.but(FileAt(LinkPaths("canada").started_with[0]), FileState("regular file", "0600", "root", "root", b"client\n"))
    assert "has not made it" in str(make_plan([WANTED], foreign).refusals[0][1])
    gone = VpnRemoved("canada")
    asked = facts(gone).but(FileAt(LinkPaths("canada").started_with[0]), FileState("regular file", "0600", "root", "root", b"client\n"))
    assert isinstance(make_plan([gone], asked).refusals[0][1], Refused)


@pytest.mark.parametrize(
    ("networks", "says"),
    [
        (("10.0.0.0/8",), "the host's gateway 10.0.0.1 is in it"),
        (("10.0.0.128/25",), "10.0.0.0/24 is the host's own neighbourhood, at eth0"),
        (("192.0.2.0/24",), "the VPN's own server 192.0.2.1 is in it"),
        (("192.0.2.1",), "the VPN's own server 192.0.2.1 is in it"),
    ],
)
def test_networks_that_would_cut_somebody_off(networks: tuple[str, ...], says: str) -> None:
    resource = replace(WANTED, networks=networks)
    assert says in str(make_plan([resource], facts(resource, there=False)).refusals[0][1])


def test_the_vpns_own_network_may_be_named() -> None:
    resource = replace(WANTED, networks=("10.8.0.1",))
    assert not make_plan([resource], facts(resource)).refusals


def test_taken_away_and_gone() -> None:
    gone = VpnRemoved("canada")
    (step,) = make_plan([gone], facts(gone)).steps
    assert [type(action) for action in step.actions] == [Command, *[WriteFile] * 8, Command]
    assert not make_plan([gone], facts(gone, there=False))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, None),
        ({"addresses": (), "error": "nobody answers"}, "the link is down"),
        ({"addresses": (), "running": False}, "OpenVPN does not run"),
        ({"routes": (LinkRoute("a.b", "1.2.3.4", "eth0"),)}, "a.b (1.2.3.4) goes over eth0"),
        ({"routes": (LinkRoute("a.b", "1.2.3.4", ""),)}, "there is no way to a.b (1.2.3.4)"),
        ({"routes": (LinkRoute("a.b", "2001:db8::1", ""),)}, None),
        ({"routes": (LinkRoute("a.b", "2001:db8::1", "eth0"),)}, "goes over eth0"),
        ({"routes": (LinkRoute("a.b", "2001:db8::1", ""),), "addresses": ("10.8.0.2", "fd00::2")}, "there is no way to"),
        ({"status": 0, "complaint": "timed out"}, "does not answer through it"),
        ({"source": "10.0.0.5"}, "not through the link"),
    ],
)
def test_what_proves_a_link(change: dict[str, Any], says: str | None) -> None:
    link = replace(UP, **change)
    found = diagnose(link)
    assert (found is None) if says is None else (found is not None and says in found.what)
    if says is not None:
        with pytest.raises(HostFailed):
            WANTED.verify_works(facts(link=link))


def test_no_link_is_no_proof() -> None:
    with pytest.raises(HostFailed):
        WANTED.verify_works(facts(link=None))


# -- as the host says it ----------------------------------------------------------------------------------------------

SAID = f"""now\t1060
link\tcanada
device\tvpn-canada
url\thttps://api.openai.com/
running
address\t10.8.0.2
restarts\t2
rx\t2048
tx\t1024
handshake\t1000
server\t192.0.2.1:1194
error\t{base64.b64encode(b"nobody answers at x").decode()}
route\tapi.openai.com\t198.51.100.7\tvpn-canada
unresolved\tnowhere.example
answer\t401\t10.8.0.2\t0.0501\t
end
"""


def test_what_a_host_says_is_read_and_shown() -> None:
    question = LinkStates()
    found = LinkStates.parse([question], Section(SAID, "", 0))
    expected = replace(UP, received=2048, sent=1024, restarts=2, unresolved=("nowhere.example",), error="nobody answers at x")
    assert found == {question: Links(1060, (expected,))}
    shown = vpns.details(Facts({question: found[question]}, {}))
    assert (vpns.broken(shown), shown["links"][0]["handshake_s"], shown["links"][0]["api"]["milliseconds"]) == (False, 60, 50)
    (first, *rest) = vpns.rows(shown)
    assert first[:4] == ("canada", "works", "vpn-canada", "60 s ago")
    assert any("nowhere.example leads nowhere" in row for row in rest)
    assert vpns.rows({"links": []})[0][1] == "no link of novaops' is set up here"
    assert LinkStates.parse([question], Section(SAID.removesuffix("end\n"), "", 0)) == {}


def test_a_link_that_does_not_work_is_said_to() -> None:
    shown = vpns.details(Facts({LinkStates(): Links(1060, (replace(UP, addresses=(), handshake=0),))}, {}))
    assert vpns.broken(shown)
    assert vpns.rows(shown)[0][:4] == ("canada", "the link is down", "vpn-canada", "never")


def test_neighbours() -> None:
    text = """default via 10.0.0.1 dev eth0
10.0.0.0/24 dev eth0 proto 2 scope link src 10.0.0.5
198.51.100.7 dev vpn-x proto 86 scope link
unreachable 198.51.100.7 proto 86 metric 4000000000
fe80::/64 dev eth0 proto 2 metric 256 pref medium
end
"""
    question = Nearby()
    assert Nearby.parse([question], Section(text, "", 0)) == {
        question: Near(("10.0.0.1",), (("10.0.0.0/24", "eth0"), ("fe80::/64", "eth0")))
    }


def test_profiles_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_profile(tmp_path / "none.ovpn")
    file = tmp_path / "bad.ovpn"
    file.write_text("client\n<ca>\n")
    with pytest.raises(UsageError, match="line 2: <ca> is not closed"):
        read_profile(file)


# -- what the host's own script makes of OpenVPN's words ----------------------------------------------------------------

WHY = yaml.safe_load((Path(__file__).parents[3] / "cases/vpn/why.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", WHY, ids=lambda case: case["says"][:40] or "nothing")
def test_plain_words(case: dict[str, Any], script: Path) -> None:
    words = ["sh", str(script), "canada", "why", *(["quiet"] if case.get("quiet") else [])]
    done = subprocess.run(words, input=case["log"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == case["says"]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("link") / "link.sh"
    file.write_text(Templates([shipped("templates")]).render("vpn/link.sh.j2", protocol=86, pause=900))
    return file


BOTH_KINDS = """
hosts:
  canada:
    address: 192.0.2.1
    vpn:
      - {name: office, serve: true}
      - {name: home, profile: home.ovpn, routes: [api.openai.com]}
  gate: {address: 192.0.2.2, vpn: [{name: office, serve: true}]}
"""


@pytest.mark.parametrize(
    ("words", "links"),
    [
        ("down canada", ["home"]),
        ("down", ["home"]),
        ("down gate", []),
        ("down canada --name home", ["home"]),
        ("up canada --check", ["home"]),
    ],
)
def test_a_server_is_not_touched_by_the_verbs_of_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, links: list[str]
) -> None:
    (tmp_path / "inventory.yaml").write_text(BOTH_KINDS)
    monkeypatch.chdir(tmp_path)
    found: list[Any] = []

    def take(_: object, hosts: list[str], __: object, *, wanted: Any, section: str, **___: object) -> int:
        playbooks = Playbooks(tmp_path)
        known = inventory.load(None, list(playbooks.by_name))
        monkeypatch.setattr(playbooks, "desired", lambda *_, settings: found.extend(settings["vpn"]))
        for host in known.find(hosts, section):
            wanted(known, playbooks, host)
        return 0

    monkeypatch.setattr("novaops.cli.section_verb.converge_hosts", take)
    assert run(["vpn", *words.split()]) == 0
    assert [entry.name for entry in found] == links


def test_a_server_has_verbs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inventory.yaml").write_text(BOTH_KINDS)
    monkeypatch.chdir(tmp_path)
    assert run(["vpn", "down", "gate", "--name", "office"]) == 2
    assert "novaops vpn serve gate --name office" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "gate", "--name", "canada"),
        ("serve", "gate", "--name", "canada", "--remove"),
        ("client", "ls", "gate", "--server", "canada"),
    ],
)
def test_a_link_is_no_server(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("canada.ovpn").touch()
    Path("inventory.yaml").write_text(
        "hosts: {gate: {address: 192.0.2.1, vpn: [{name: canada, profile: canada.ovpn, routes: [h.example.com]}]}}\n"
    )
    assert run(["vpn", *words, "--timeout", "1"]) == 2
    said = capsys.readouterr().err
    assert "canada is a link of gate" in said
    assert "novaops vpn up gate --name canada" in said


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"network": "10.87.0.0/24"}, "would both listen at udp port 1194"),
        ({"port": 1195}, "overlap: 10.86.0.0/24 and 10.86.0.0/24"),
        ({"port": 1195, "network": "10.86.0.0/16"}, "overlap"),
    ],
)
def test_two_servers_are_not_in_each_others_way(other: dict[str, Any], said: str) -> None:
    one, two = (Server(name=name, serve=True, **more) for name, more in (("one", {}), ("two", other)))
    with pytest.raises(ValueError, match=said):
        distinct([one, two])
    assert distinct([one, two.model_copy(update={"state": "absent"})])
    assert distinct([one, Server(name="two", serve=True, port=1194, protocol="tcp", network="10.87.0.0/24")])


# -- the host's own script -------------------------------------------------------------------------------------------------

ROUTES = """\
default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.7
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.7
172.16.0.0/12 via 10.0.0.2 dev eth0
10.0.0.1 dev vpn-canada proto 86 scope link
unreachable 198.51.100.7 metric 100
"""


@pytest.mark.parametrize(
    ("address", "near"),
    [
        *(
            (address, True)
            for address in ("127.0.0.1", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::1", "fe80::1", "ff02::1")
        ),
        ("10.0.0.1", True),  # the gateway, whatever our own routes say
        ("10.0.0.9", True),
        ("10.0.0.7", True),
        ("9.9.9.9", True),  # the resolver
        *((address, False) for address in ("104.18.7.192", "172.16.3.4", "198.51.100.7", "2606:4700::1")),
    ],
)
def test_where_a_name_must_not_lead(script: Path, tmp_path: Path, address: str, *, near: bool) -> None:
    """`ip` is played here, as no test may have routes of its own; the lab asks a real one."""
    program = tmp_path / "ip"
    program.write_text(
        f"""#!/usr/bin/env python3
import ipaddress, sys
words = sys.argv[1:]
family = 6 if words[0] == "-6" else 4
lines = [] if family == 6 else {ROUTES.splitlines()!r}
if words[3:4] == ["default"]:
    lines = [line for line in lines if line.startswith("default")]
elif "table" in words:
    lines = ["local 10.0.0.7 dev eth0 table local"] if words[-1] == "10.0.0.7" else []
else:
    def covers(line):
        net = line.split()[1 if line.startswith("unreachable") else 0]
        return net == "default" or ipaddress.ip_address(words[-1]) in ipaddress.ip_network(net)
    lines = [line for line in lines if covers(line)]
print("".join(line + "\\n" for line in lines), end="")
"""
    )
    program.chmod(0o755)
    text = script.read_text().partition("\ncase $2 in")[0]
    text = text.replace("PATH=/usr/local/sbin", f"PATH={tmp_path}:/usr/local/sbin").replace("/etc/resolv.conf", f"{tmp_path}/resolv.conf")
    (tmp_path / "resolv.conf").write_text("nameserver 9.9.9.9\n")
    done = subprocess.run(["sh", "-c", f"{text}\nnear {address}", "x", "canada"], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is near, done.stderr


@pytest.mark.parametrize(
    ("about", "exe", "near"),
    [
        ("ino:900 sk:1", "/usr/sbin/sshd", True),
        ("ino:900 sk:1", "/usr/lib/openssh/sshd-session (deleted)", True),
        ("timer:(keepalive,9min,0) ino:900 sk:1 cgroup:/ <->", "/usr/sbin/sshd", True),
        ("ino:900 sk:1", "/usr/bin/curl", False),
        ("uid:1000 ino:900 sk:1", "/home/ana/sshd", False),
        ("ino:901 sk:1", "/usr/sbin/sshd", False),
    ],
)
def test_who_is_logged_in_from_there(script: Path, tmp_path: Path, about: str, exe: str, near: bool) -> None:  # noqa: FBT001 - a parameter
    """Anybody may call a process sshd, and connect to what is to go through the link: that would take its route away."""
    (tmp_path / "77/fd").mkdir(parents=True)
    (tmp_path / "77/fd/4").symlink_to("socket:[900]")
    (tmp_path / "77/exe").symlink_to(exe)
    text = script.read_text().partition("\ncase $2 in")[0].replace("/proc/", f"{tmp_path}/")
    ss = f"""ss() {{
  case "$*" in *-p*) echo '0 0 10.0.0.7:22 104.18.7.192:5 users:(("sshd: x",pid=78,fd=3))' ;;
    *) echo '0 0 10.0.0.7:22 104.18.7.192:5 {about} ' ;;
  esac
}}"""
    done = subprocess.run(["sh", "-c", f"{text}\n{ss}\nip() {{ :; }}\nnear 104.18.7.192", "x", "canada"], capture_output=True, check=False)
    assert (done.returncode == 0, done.stderr) == (near, b"")


@pytest.mark.parametrize("line", ["key {other}", "ca ../other.pem", "crl-verify {other}"])
def test_no_profile_takes_other_files_of_this_machine_along(tmp_path: Path, line: str) -> None:
    other = tmp_path / "other.pem"
    other.write_text("secret\n")
    folder = tmp_path / "vpn"
    folder.mkdir()
    file = folder / "evil.ovpn"
    file.write_text(f"client\nremote vpn.example.com\n{line.format(other=other)}\n")
    with pytest.raises(UsageError) as caught:
        lint_file(file)
    assert "not in the profile's folder" in str(caught.value)


@pytest.mark.parametrize(
    "line", ["auth-user-pass {other}", "askpass {other}", "http-proxy p 3128 {other} basic", "socks-proxy p 1080 {other}"]
)
def test_nor_passwords_of_this_machine(tmp_path: Path, line: str) -> None:
    """The other lines are still looked at: such a path may be one of the provider's own machine, and a password may be given elsewhere."""
    other = tmp_path / "other.txt"
    other.write_text("secret\nword\n")
    folder = tmp_path / "vpn"
    folder.mkdir()
    file = folder / "evil.ovpn"
    file.write_text(f"client\nremote vpn.example.com\n{line.format(other=other)}\nx-unknown\n")
    found = lint_file(file)
    assert (found.login, found.proxy_login, found.key_password) == (None, None, None)
    assert "it is not in the profile's folder" in str(found.findings)
    assert "x-unknown" in [one.option for one in found.findings]


def test_a_link_that_is_not_set_up_is_not_passed_over() -> None:
    entry = Link(name="canada", profile="canada.ovpn", routes=("api.openai.com",))
    found = {"links": [vpns.not_set_up(entry.name, entry.device, entry.url, "aliyun")]}
    assert vpns.broken(found)
    [row] = vpns.rows(found)
    assert row[:3] == ("canada", "not set up: novaops vpn up aliyun --name canada", "vpn-canada")


def test_a_link_that_is_stopped_leaves_the_notes_of_others(script: Path, tmp_path: Path) -> None:
    """`canada` and `canada.2` are two links: without its notes the other one would be started anew, and its held routes forgotten."""
    for name in ("canada.with", "canada.shut4", "canada.2.with", "canada.2.shut4"):
        (tmp_path / name).write_text("")
    text = script.read_text().replace("run=/run/novaops-vpn", f"run={tmp_path}").replace("\ncase $2 in", "\nsystemctl() { :; }\ncase $2 in")
    subprocess.run(["sh", "-c", text, "link.sh", "canada", "down"], check=False)
    assert {file.name for file in tmp_path.iterdir()} == {"canada.2.with", "canada.2.shut4"}
