"""What is done on the two ends of a tunnel: keys, files, and what stands in their way."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.planner import make_plan
from novaops.errors import Refused, WaitingForPeer
from novaops.facts.cloud_init import TEMPLATES
from novaops.facts.file import FileAt
from novaops.facts.listening import Listener, Listening
from novaops.facts.sshd import EFFECTIVE
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.tunnel.facts.ends import (
    AuthorizedKeys,
    AuthorizedKeysFile,
    HostKeys,
    TunnelFile,
    TunnelFiles,
    TunnelKey,
)
from novaops.features.tunnel.facts.reach import TargetReached
from novaops.features.tunnel.resources.authorized_key import AuthorizedKey
from novaops.features.tunnel.resources.cleanup import StaleTunnelFiles
from novaops.features.tunnel.resources.hosts_file import HostsEntries
from novaops.features.tunnel.resources.key_pair import KeyPair
from novaops.features.tunnel.resources.permission import after_permission
from novaops.features.tunnel.resources.pinned_host_keys import PinnedHostKeys
from novaops.features.tunnel.resources.port_preconditions import GatewayPortsFree, PortsFree
from novaops.features.tunnel.resources.targets_reached import TargetsReached
from novaops.model.action import Command, WriteFile, payload
from novaops.model.question import Missing, Section
from novaops.resources.etc_hosts import HOSTS
from novaops.resources.unit import OwnUnit
from novaops.shell import sh_file
from tests.unit.features.tunnel.support import API, HOME, KEY, LINE, PUBLIC, facts, hosts, wishes


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


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("nginx.service", "or where nobody needs that program: systemctl disable --now nginx.service"),
        ("", "or stop that program for good"),
        ("session-1.scope", "or stop that program for good"),
        ("ssh.service", "or stop that program for good"),
        ("user@1000.service", "or stop that program for good"),
    ],
)
def test_a_program_that_has_the_port_is_to_stay_stopped_at_the_next_boot(unit: str, said: str) -> None:
    """No command is said that would lock somebody out, or stop what has nothing to do with the port."""
    held = {Listening(): (Listener("127.0.0.1", 8443, ("java",), 7, unit),), AuthorizedKeys(): AuthorizedKeysFile(HOME, None)}
    for claims in (PortsFree("api", (("127.0.0.1", 8443),)), GatewayPortsFree("api", "novaops:box/api", (("127.0.0.1", 8443),))):
        with pytest.raises(Refused) as error:
            claims.plan(facts(held))
        assert error.value.fix == f"choose another port for listen:, {said}"


def test_a_listener_on_the_gateway_may_be_its_own_of_before() -> None:
    claims = GatewayPortsFree("api", "novaops:box/api", (("127.0.0.1", 9000),))
    held = (Listener("127.0.0.1", 9000, ("sshd",), 7, "session-1.scope", "novaops-tunnel"),)
    claims.plan(facts({Listening(): held, AuthorizedKeys(): AuthorizedKeysFile(HOME, f"{LINE}\n".encode())}))
    with pytest.raises(Refused, match="taken by sshd") as error:
        claims.plan(facts({Listening(): held, AuthorizedKeys(): AuthorizedKeysFile(HOME, None)}))
    assert "to end that: kill 7" in error.value.fix
    strange = (Listener("127.0.0.1", 9000, ("sshd-session",), 7, "session-2.scope", "ana"),)
    with pytest.raises(Refused, match="taken by sshd"):
        claims.plan(facts({Listening(): strange, AuthorizedKeys(): AuthorizedKeysFile(HOME, f"{LINE}\n".encode())}))


def test_a_tunnel_that_goes_gives_its_ports_and_names_to_the_next_one() -> None:
    """As where an entry gets another name: the one before is `state: absent`, and both are of one run."""
    went: list[dict[str, Any]] = [{**API, "name": "old", "state": "absent"}, {**API, "transparent": True}]
    own = [one for one in wishes(*went).own if isinstance(one, (HostsEntries, StaleTunnelFiles, PortsFree))]
    files = (TunnelFile("/etc/systemd/system/novaops-tunnel-old.service", "0644", "root", "root", b""),)
    names = b"127.86.1.2 api.openai.com # novaops tunnel old\n"
    held = (Listener("127.0.0.1", 8443, ("ssh",), 7, "novaops-tunnel-old.service"),)
    told = {
        Listening(): held,
        TunnelFiles("old"): files,
        **hosts(names),
    }
    plan = make_plan(own[:3], facts(told))
    assert ([one.resource for one in plan.steps], plan.refusals) == (["hosts:old", "tunnel:old"], ())
    assert own[2].id == "ports:api"
    plan = make_plan(own[2:3], facts(told))
    assert "novaops tunnel down HOST --name old" in str(plan.refusals[0][1].fix)


def test_a_port_that_a_tunnel_leaves_is_free_for_the_next_one() -> None:
    held = (Listener("127.0.0.1", 8443, ("ssh",), 7, "novaops-tunnel-api.service"),)
    moved, comes = PortsFree("api", (("127.0.0.1", 8444),)), PortsFree("b", (("127.0.0.1", 8443),))
    assert not make_plan([moved, comes], facts({Listening(): held})).refusals
    assert make_plan([PortsFree("api", (("127.0.0.1", 8443),)), comes], facts({Listening(): held})).refusals


def test_a_reverse_tunnel_that_goes_gives_its_port_on_the_gateway_to_the_next_one() -> None:
    went: list[dict[str, Any]] = [{**API, "name": "old", "state": "absent"}, {**API, "to": "127.0.0.1:22", "listen": 9000, "reverse": True}]
    of_gate = [one for _, one in wishes(*went).of_peers if isinstance(one, (AuthorizedKey, GatewayPortsFree))][:2]
    held = (Listener("127.0.0.1", 9000, ("sshd",), 7, "session-1.scope", "novaops-tunnel"),)
    line = f'restrict,port-forwarding,permitlisten="127.0.0.1:9000",permitopen="127.86.1.2:9000" {PUBLIC} novaops:box/old\n'
    told = {
        Listening(): held,
        AuthorizedKeys(): AuthorizedKeysFile(HOME, line.encode(), "0644", "root", "root", folder=True, home="755 root"),
    }
    plan = make_plan(of_gate, facts(told))
    assert ([one.resource for one in plan.steps], plan.refusals) == (["admitted:box/old"], ())
    plan = make_plan(of_gate[1:], facts(told))
    assert "novaops tunnel down box --name old" in str(plan.refusals[0][1].fix)
    other = (*held, Listener("127.0.0.1", 9000, ("sshd",), 8, "session-2.scope", "ana"))
    assert make_plan(of_gate, facts({**told, Listening(): other})).refusals


FORMER = f'restrict,permitopen="api.openai.com:443" {PUBLIC} novaops:root@192.0.2.1/api'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{FORMER}\n", f"{LINE}\n"),
        (f"# mine\n{FORMER}\nssh-rsa AAAA ana\n{LINE}\n", f"# mine\nssh-rsa AAAA ana\n{LINE}\n"),
        (f"{LINE}\n{FORMER}\n", f"{LINE}\n{FORMER}\n"),
        (f"opts {PUBLIC} novaops:den/api\n", f"opts {PUBLIC} novaops:den/api\n{LINE}\n"),
        (f"#{FORMER}\n", f"#{FORMER}\n{LINE}\n"),
    ],
    ids=["under a former name", "before the own line", "behind it", "of a copy that may do the same", "a comment"],
)
def test_a_line_of_the_same_key_that_sshd_would_take_goes(before: str, after: str) -> None:
    """Of a key sshd takes the first line: one that the client has left there under another name of its own would decide."""
    admits = AuthorizedKey("box", "api", "novaops:box/api", "opts", frozenset({"box", "den"}))
    found = AuthorizedKeysFile(HOME, before.encode(), "0644", "root", "root", folder=True, home="755 root")
    told = facts({AuthorizedKeys(): found}, box={TunnelKey("api"): KEY})
    steps = list(admits.plan(told))
    written = [one for step in steps for one in step.actions if isinstance(one, WriteFile)]
    assert [payload(one.content).decode() for one in written if one.content is not None] == ([after] if after != before else [])
    assert not list(admits.plan(admits.predict(told)))


@pytest.mark.parametrize("end", ["", " ", "\t", " \r"])
def test_what_stands_behind_the_own_line_keeps_nobody_in(end: str) -> None:
    own = LINE.replace(" novaops:", "\tnovaops:" if end else " novaops:")
    found = AuthorizedKeysFile(HOME, f"{own}{end}\nssh-rsa AAAA ana\n".encode(), "0644", "root", "root", folder=True, home="755 root")
    told = facts({AuthorizedKeys(): found}, box={TunnelKey("api"): KEY})
    (step,) = AuthorizedKey("box", "api", "novaops:box/api", None).plan(told)
    (write,) = [one for one in step.actions if isinstance(one, WriteFile)]
    assert write.content == b"ssh-rsa AAAA ana\n"
    steps = list(AuthorizedKey("box", "api", "novaops:box/api", "opts").plan(told))
    written = [payload(one.content) for step in steps for one in step.actions if isinstance(one, WriteFile) and one.content is not None]
    assert written == ([] if not end else [f"ssh-rsa AAAA ana\n{LINE}\n".encode()])


@pytest.mark.parametrize("blanks", [" ", "  ", "\t"])
@pytest.mark.parametrize(("comment", "fix"), [("novaops:den/api", "rm /etc/novaops/tunnel/api.key"), ("ana", "take it out")])
def test_a_line_of_somebody_else_for_the_same_key_is_refused(comment: str, fix: str, blanks: str) -> None:
    """Between its fields sshd takes any blanks."""
    admits = AuthorizedKey("box", "api", "novaops:box/api", "opts", frozenset({"box", "den"}))
    line = f"# one\n{PUBLIC.replace(' ', blanks)}{blanks}{comment}\n"
    found = AuthorizedKeysFile(HOME, line.encode(), "0644", "root", "root", folder=True, home="755 root")
    with pytest.raises(Refused, match="authorized_keys:2 lets the key of box's tunnel api") as error:
        list(admits.plan(facts({AuthorizedKeys(): found}, box={TunnelKey("api"): KEY})))
    assert fix in error.value.fix


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


def test_where_cloud_init_makes_the_file_at_each_boot_the_line_is_in_what_it_is_made_of() -> None:
    local, line = b"127.0.0.1 localhost\n", b"127.86.1.2 api.openai.com # novaops tunnel api\n"
    template = b"## template:jinja\n127.0.1.1 {{fqdn}} {{hostname}}\n"
    comes, goes = HostsEntries("api", (("127.86.1.2", "api.openai.com"),)), HostsEntries("api", ())

    def written(entries: HostsEntries, told: dict[Any, Any]) -> dict[str, Any]:
        return {one.path: one.content for step in entries.plan(facts(told)) for one in step.actions if isinstance(one, WriteFile)}

    path = TEMPLATES["debian"]
    assert written(comes, hosts(local, template, managed=True)) == {HOSTS: local + line, path: template + line}
    assert written(comes, hosts(local + line, template, managed=True)) == {path: template + line}, "one of an earlier novaops"
    assert written(comes, hosts(local + line, template + line, managed=True)) == {}
    assert written(comes, hosts(local, template)) == {HOSTS: local + line}, "a template that nobody reads stays"
    for managed in (True, False):
        assert written(goes, hosts(local + line, template + line, managed=managed)) == {HOSTS: local, path: template}
    with pytest.raises(Refused, match=rf"{path}:2 says where api\.openai\.com leads"):
        list(comes.plan(facts(hosts(local, local + b"10.0.0.1 api.openai.com\n", managed=True))))


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


def test_a_tunnel_that_is_there_is_not_refused_while_its_target_is_down() -> None:
    """Wherever sshd reads the line of its key: then the tunnel itself is asked, and status says what is down."""
    (asked,) = [one for _, one in wishes(API).of_peers if isinstance(one, TargetsReached)]
    down = dict.fromkeys(asked.asked, "Connection refused")
    line = f'restrict,permitopen="api.openai.com:443" {PUBLIC} novaops:box/api\n'
    elsewhere = "/etc/ssh/authorized_keys/novaops-tunnel"
    assert not make_plan([asked], facts({**down, AuthorizedKeys(): AuthorizedKeysFile(elsewhere, line.encode())})).refusals
    for other in (line.replace("openai", "other"), line.replace("box/api", "box/b"), ""):
        assert make_plan([asked], facts({**down, AuthorizedKeys(): AuthorizedKeysFile(elsewhere, other.encode())})).refusals


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
