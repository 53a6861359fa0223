"""What filters a port: iptables in every layout (tests/cases/iptables), firewalld, ufw, tables of nftables; and what opens it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from novaops.engine.planner import make_plan, questions_of
from novaops.facts.file import FileAt, FileState
from novaops.facts.firewall import Firewall, FirewallFacts, Table, Zone
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.formats.iptables import Rule, Ruleset, accepting
from novaops.model.action import Command, WriteFile
from novaops.model.plan import Plan
from novaops.model.question import Facts, Missing
from novaops.resources.open_port import SAVED, OpenPort
from novaops.shell import join
from tests.unit.facts.test_facts import framed, outcome, read

CASES = Path(__file__).parents[2] / "cases"
FILES = sorted((CASES / "iptables").glob("*.yaml"))
ORACLE = yaml.safe_load((CASES / "iptables/as_Oracle_ships_Ubuntu.yaml").read_text())["saved"]
UFW = yaml.safe_load((CASES / "iptables/as_ufw_lays_out_IPv4.yaml").read_text())["saved"]
REJECT = "-A INPUT -j REJECT --reject-with icmp-host-prohibited"
OURS = "-A INPUT -p tcp -m tcp --dport 443 -m comment --comment novaops -j ACCEPT"
V4, V6 = SAVED["iptables"][0], SAVED["ip6tables"][0]


# -- iptables, read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_verdict(file: Path) -> None:
    case = yaml.safe_load(file.read_text())
    verdicts = {port: Ruleset(case["saved"]).verdict(port) for port in case["verdicts"]}
    assert {port: "accepted" if v.accepted else v.place for port, v in verdicts.items()} == case["verdicts"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_one_line_more_opens_the_port_and_no_other(file: Path) -> None:
    case = yaml.safe_load(file.read_text())
    before = Ruleset(case["saved"])
    verdict = before.verdict(443)
    if verdict.accepted:
        return
    rule = join(accepting(443, verdict.chain))
    after = Ruleset(before.with_rule(rule, verdict))
    lines = after.text.splitlines(keepends=True)
    assert after.verdict(443).accepted
    assert after.has(rule)
    assert not before.has(rule)
    assert {port: after.verdict(port).accepted for port in (22, 80, 8443)} == {p: before.verdict(p).accepted for p in (22, 80, 8443)}
    assert lines.count(f"{rule}\n") == 1
    assert "".join(line for line in lines if line != f"{rule}\n") == case["saved"]
    if place := case.get("line before which 443 is accepted"):
        assert lines[lines.index(f"{rule}\n") + 1] == f"{place}\n"


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ("", True),
        ("-p tcp -m tcp --dport 443 -m comment --comment x", True),
        ("-p 6 -m multiport --dports 80,400:500", True),
        ("-p tcp --dport :443", True),
        ("-p tcp --dport 443:", True),
        ("-p tcp --dport 444:", False),
        ("-p tcp --dport https", False),
        ("-p all -s 0.0.0.0/0 -d ::/0", True),
        ("-m comment --comment -j", True),
        ("-m comment --comment !", True),
        ('-m comment --comment "two words"', True),
        ("-m comment --comment it's", True),
        ("! -p udp", True),
        ("! -p tcp", False),
        ("-p udp", False),
        ("-m state --state RELATED,NEW", True),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", False),
        ("-m conntrack ! --ctstate INVALID", True),
        ("-m addrtype --dst-type LOCAL", True),
        ("-m addrtype --dst-type BROADCAST", False),
        ("-i lo", False),
        ("! -i lo", True),
        ("-i eth0", None),
        ("! -i eth0", None),
        ("-s 192.0.2.0/24", None),
        ("-d ::1/128", False),
        ("-m socket", None),
        ("-m limit --limit 3/min", None),
        ("-p udp -m limit --limit 3/min", False),
        ("!", None),
        ("-p tcp !", None),
        ("-f", None),
        ("-p", False),
    ],
)
@pytest.mark.parametrize(("end", "target"), [("", ""), (" -j DROP", "DROP"), (" -g a --reject-with -j", "a")])
def test_whether_a_rule_takes_a_connection(conditions: str, end: str, target: str, *, expected: bool | None) -> None:
    if not end or conditions not in {"!", "-p tcp !", "-p"}:
        rule = Rule("INPUT", f"-A INPUT {conditions}{end}", 0)
        assert (rule.takes(443), rule.target) == (expected, target)
        assert rule.goes_on is (target != "a")
        assert rule.is_about_a_port is ("--dport" in conditions)


WORDS = st.sampled_from(
    [
        *(
            "*filter",
            ":INPUT DROP [0:0]",
            ":INPUT ACCEPT [0:0]",
            ":a - [0:0]",
            "COMMIT",
            "-A INPUT",
            "-A a",
            "-j",
            "-g",
            "a",
            "DROP",
            "ACCEPT",
        ),
        *(
            "RETURN",
            "-p tcp",
            "!",
            "-m tcp",
            "--dport 443",
            "--dport",
            '--comment "x y',
            "'",
            "\n",
            " ",
            "--ctstate NEW",
            "-i lo",
            "[1:2] ",
        ),
    ]
)


@given(st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=80))
def test_any_text_has_a_verdict_and_is_opened_by_one_line(text: str) -> None:
    before = Ruleset(text)
    verdict = before.verdict(443)
    if not verdict.accepted:
        rule = join(accepting(443, verdict.chain))
        after = before.with_rule(rule, verdict)
        assert after.replace(f"{rule}\n", "", 1) == text
        if text.endswith("\n"):
            assert Ruleset(after).verdict(443).accepted


# -- what the host answers --------------------------------------------------------------------------------------------


def told(**parts: str) -> str:
    return "".join(f"{name} {base64.b64encode(text.encode()).decode()}\n" for name, text in parts.items()) + "end\n"


def firewall(stdout: str) -> Any:
    return outcome(read([Firewall()], framed(Firewall(), stdout)), Firewall())


LIST_ALL = """\
public (default, active)
  target: {target}
  services: dhcpv6-client {service}
  ports: {ports}
  rich rules:
"""


def zone(services: tuple[str, str], ports: tuple[str, str], targets: tuple[str, str] = ("default", "default")) -> Zone:
    runtime, permanent = (LIST_ALL.format(target=t, service=s, ports=p) for t, s, p in zip(targets, services, ports, strict=True))
    said = told(
        zone="public\n", runtime=runtime, permanent=permanent, services="dhcpv6-client 546/udp\nhttps 443/tcp 443/udp\nssh 22/tcp\n"
    )
    found = firewall(said)
    assert isinstance(found, FirewallFacts)
    assert found.zone is not None
    return found.zone


def test_a_zone_of_firewalld() -> None:
    found = zone(("https", "ssh"), ("8000-8010/tcp 53/udp", "8443/tcp"))
    assert found == Zone("public", ("8000-8010/tcp", "53/udp", "546/udp", "443/tcp", "443/udp"), ("8443/tcp", "546/udp", "22/tcp"))
    for targets in (("ACCEPT", "ACCEPT"), ("ACCEPT", "default"), ("DROP", "ACCEPT"), ("DROP", "DROP")):
        assert zone(("ssh", "ssh"), ("", ""), targets).accepts_all is (targets == ("ACCEPT", "ACCEPT"))


def test_tables_of_nftables() -> None:
    listed = (CASES / "nftables/tables_that_somebody_has_made.json").read_text()
    found = firewall(told(nft=listed))
    spans = ((22, 22), (2222, 2224), (80, 80), (8000, 8010), (5432, 5432), (9443, 9443))
    assert found.tables == (Table("inet filter", "input", spans), Table("ip6 own", "in"))
    assert firewall(told(nft=listed.replace('"inet"', '"ip"'), iptables=ORACLE)).tables == (Table("ip6 own", "in"),), "iptables' own table"
    assert firewall(told(nft=listed.replace('"table": "filter"', '"table": "firewalld"'))).tables == (Table("ip6 own", "in"),)


def test_a_table_is_named_only_when_it_turns_all_away() -> None:
    def tables(*rules: tuple[str, list[Any]], policy: str = "accept") -> tuple[Table, ...]:
        place = {"family": "ip", "table": "t"}
        chains = [
            {"chain": {**place, "name": "in", "type": "filter", "hook": "input", "policy": policy}},
            {"chain": {**place, "name": "other"}},
        ]
        sets = [{"set": {**place, "name": "s", "elem": [81, {"elem": {"val": 443, "timeout": 5}}]}}]
        elsewhere = [{"set": {"family": "ip", "table": "u", "name": "s", "elem": [8443]}}]
        listed = [*chains, *sets, *elsewhere, *({"rule": {**place, "chain": chain, "expr": parts}} for chain, parts in rules)]
        found = firewall(told(nft=json.dumps({"nftables": listed})))
        assert isinstance(found, FirewallFacts)
        return found.tables

    some = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}
    named = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": "@s"}}
    assert tables(("in", [{"counter": None}])) == ()
    assert tables(("in", [some, {"drop": None}]), ("other", [{"drop": None}])) == ()
    assert tables(("in", [{"counter": None}, {"reject": None}])) == (Table("ip t", "in"),)
    assert tables(policy="drop") == (Table("ip t", "in"),)
    assert tables(("in", [named, {"accept": None}]), ("in", [{"drop": None}])) == (Table("ip t", "in", ((81, 81), (443, 443))),)


@pytest.mark.parametrize(
    ("stdout", "expected"),
    [
        ("", "unknown"),
        (told(iptables=ORACLE).removesuffix("end\n"), "unknown"),
        ("iptables abc\nend\n", "unknown"),
        (told(nft="{"), "unknown"),
        (told(zone="public", runtime=LIST_ALL, permanent=LIST_ALL, services=""), "unknown"),
        ("end\n", FirewallFacts()),
        (told(iptables=ORACLE, nft=""), FirewallFacts({"iptables": ORACLE})),
        (f"failed ip6tables {base64.b64encode(b'not permitted').decode()}\nend\n", FirewallFacts(unread=("ip6tables: not permitted",))),
    ],
)
def test_what_the_host_answers(stdout: str, expected: Any) -> None:
    assert firewall(stdout) == expected


# -- what is done about it --------------------------------------------------------------------------------------------


def planned(
    answer: FirewallFacts,
    files: Mapping[str, str | FileState] | None = None,
    ports: tuple[int, ...] = (443,),
    starting: tuple[str, ...] = ("netfilter-persistent.service",),
) -> Plan:
    """`starting` are the units that start when the host boots; the others are there, and do not."""
    resources = [OpenPort(port) for port in ports]
    written = {
        path: FileState("regular file", "0640", "root", "adm", text.encode()) if isinstance(text, str) else text
        for path, text in (files or {}).items()
    }
    facts: dict[Any, Any] = {Firewall(): answer}
    for question in questions_of(resources):
        if isinstance(question, FileAt):
            facts[question] = written.get(question.path, Missing.ABSENT)
        elif isinstance(question, UnitNamed):
            facts[question] = UnitFacts("loaded", "inactive", "enabled" if question.name in starting else "disabled")
    return make_plan(resources, Facts(facts, {}))


def words(plan: Plan) -> list[str]:
    commands = [action for step in plan.steps for action in step.actions if isinstance(action, Command)]
    return [" ".join(command.words[3:] if command.words[0] == "sh" else command.words) for command in commands]


def undos(plan: Plan) -> list[str]:
    undone = [action.undo for step in plan.steps for action in step.actions if isinstance(action, Command)]
    return [" ".join(undo.words[3:] if undo.words[0] == "sh" else undo.words) for undo in undone if undo]


def writes(plan: Plan) -> list[WriteFile]:
    return [action for step in plan.steps for action in step.actions if isinstance(action, WriteFile)]


def notes(plan: Plan) -> list[str]:
    return [note.text for note in plan.notes]


def test_Oracle() -> None:  # noqa: N802 - a name
    plan = planned(FirewallFacts({"iptables": ORACLE, "ip6tables": ""}), {V4: ORACLE})
    assert words(plan) == [f"insert-rule iptables INPUT {REJECT} {OURS.removeprefix('-A INPUT ')}"]
    assert undos(plan) == [f"iptables -w 10 -D {OURS.removeprefix('-A ')}"]
    (write,) = writes(plan)
    assert (write.path, write.mode, write.owner, write.group) == (V4, "0640", "root", "adm")
    assert write.content == ORACLE.replace(f"{REJECT}\n", f"{OURS}\n{REJECT}\n").encode()
    assert write.before == ORACLE.encode()
    assert write.check[3:] == ("test", "iptables-restore", "{}")
    (step,) = plan.steps
    assert [(c.field, c.before, c.after) for c in step.changes] == [
        ("iptables INPUT", REJECT, f"{OURS} before it"),
        (V4, REJECT, f"{OURS} before it"),
    ]
    assert notes(plan) == []


def test_two_ports_make_two_lines_in_one_file() -> None:
    plan = planned(FirewallFacts({"iptables": ORACLE}), {V4: ORACLE}, ports=(443, 80))
    first, second = writes(plan)
    assert second.before == first.content
    both = OURS + "\n" + OURS.replace("443", "80") + "\n" + REJECT
    assert second.content == ORACLE.replace(REJECT, both).encode()


def test_what_is_open_already_is_left() -> None:
    opened = ORACLE.replace(REJECT, f"-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT\n{REJECT}")
    assert planned(FirewallFacts({"iptables": opened}), {V4: opened}) == planned(FirewallFacts())
    assert not planned(FirewallFacts({"iptables": opened}), {V4: opened})
    lost_at_boot = planned(FirewallFacts({"iptables": opened}), {V4: ORACLE})
    assert (words(lost_at_boot), [w.path for w in writes(lost_at_boot)]) == ([], [V4])
    not_loaded = planned(FirewallFacts({"iptables": ORACLE}), {V4: opened})
    assert (len(words(not_loaded)), writes(not_loaded)) == (1, [])


@pytest.mark.parametrize("file", [FileState("directory"), FileState("regular file"), FileState("fifo", content=ORACLE.encode())])
def test_what_is_no_file_of_rules_is_left(file: FileState) -> None:
    plan = planned(FirewallFacts({"iptables": ORACLE}), {V4: file})
    assert (len(words(plan)), writes(plan)) == (1, [])


def test_IPv6_has_a_file_of_its_own() -> None:  # noqa: N802 - a name
    plan = planned(FirewallFacts({"iptables": "", "ip6tables": ORACLE}), {V6: ORACLE, V4: ""})
    assert words(plan) == [f"insert-rule ip6tables INPUT {REJECT} {OURS.removeprefix('-A INPUT ')}"]
    assert [(write.path, write.check[4]) for write in writes(plan)] == [(V6, "ip6tables-restore")]


def test_where_the_policy_drops_the_rule_comes_last() -> None:
    plan = planned(FirewallFacts({"iptables": "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"}))
    assert words(plan) == [f"insert-rule iptables INPUT  {OURS.removeprefix('-A INPUT ')}"]


def test_a_port_closed_on_purpose_stays_closed() -> None:
    closed = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 443 -j DROP\nCOMMIT\n"
    for answer, files, where in (
        (FirewallFacts({"iptables": closed}), {}, "iptables"),
        (FirewallFacts({"iptables": ""}), {V4: closed}, V4),
        (
            FirewallFacts(
                {
                    "iptables": UFW.replace(
                        "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT", "-A ufw-user-input -p tcp --dport 443 -j DROP"
                    )
                }
            ),
            {},
            "ufw",
        ),
    ):
        ((_, refusal),) = planned(answer, files).refusals
        assert refusal.what.startswith(f"somebody has closed port 443 in {where}: -A ")
        assert refusal.what.endswith("--dport 443 -j DROP")


def test_ufw_opens_it_by_its_own_command() -> None:
    plan = planned(FirewallFacts({"iptables": UFW}), {V4: ORACLE})
    assert (words(plan), undos(plan), writes(plan)) == (["ufw allow 443/tcp comment novaops"], ["ufw delete allow 443/tcp"], [])
    assert not planned(FirewallFacts({"iptables": UFW.replace("--dport 22 ", "--dport 443 ")}))


def test_firewalld_opens_it_by_its_own_command() -> None:
    rules = {"iptables": ORACLE}
    plan = planned(FirewallFacts(rules, Zone("dmz", ("443/tcp",), ("80/tcp",))), {V4: ORACLE})
    assert (words(plan), undos(plan), writes(plan)) == (["firewalld dmz add 443/tcp"], ["firewalld dmz remove 443/tcp"], [])
    assert words(planned(FirewallFacts(rules, Zone("dmz", (), ("400-500/tcp",))))) == ["firewalld dmz add 443/tcp"]
    assert not planned(FirewallFacts(rules, Zone("dmz", ("443/tcp",), ("400-500/tcp",))))
    assert not planned(FirewallFacts(rules, Zone("trusted", (), (), accepts_all=True)))


def test_what_is_left_to_others_is_said() -> None:
    table = Table("inet filter", "input", ((22, 22), (400, 442)))
    (said,) = notes(planned(FirewallFacts(tables=(table,))))
    assert said.startswith("the nftables table inet filter turns away what it does not name, and port 443 is not named")
    assert "nft insert rule inet filter input tcp dport 443 accept opens the port" in said
    for span in ((400, 443), (443, 443), (443, 500)):
        assert notes(planned(FirewallFacts(tables=(Table("inet filter", "input", (span,)),)))) == []
    unread = FirewallFacts(unread=("iptables: not permitted",))
    assert notes(planned(unread)) == ["whether port 443 is open could not be told in full: iptables: not permitted"]


def test_a_rule_that_no_file_holds_is_gone_after_a_boot() -> None:
    opened = ORACLE.replace(REJECT, f"{OURS}\n{REJECT}")
    gone = "the rule of iptables for port 443 is gone after a boot: nothing on the host puts it back (iptables-persistent does)"
    assert notes(planned(FirewallFacts({"iptables": opened}))) == [gone]
    assert notes(planned(FirewallFacts({"iptables": opened}), {V4: opened})) == []
    by_somebody_else = FirewallFacts({"iptables": opened.replace("--comment novaops", "--comment web")})
    assert notes(planned(by_somebody_else)) == []


# -- the next boot ----------------------------------------------------------------------------------------------------

UFW_LIST = """\
*filter
:ufw-user-input - [0:0]
:ufw-user-limit - [0:0]
:ufw-user-limit-accept - [0:0]
### RULES ###

### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT

### tuple ### limit tcp 80 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 80 -m conntrack --ctstate NEW -m recent --set
-A ufw-user-input -p tcp --dport 80 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 -j ufw-user-limit
-A ufw-user-input -p tcp --dport 80 -j ufw-user-limit-accept

### END RULES ###
-A ufw-user-limit -j REJECT
-A ufw-user-limit-accept -j ACCEPT
COMMIT
"""
UFW_ON = {"/etc/ufw/ufw.conf": "# of ufw\nENABLED=yes\nLOGLEVEL=low\n", "/etc/ufw/user.rules": UFW_LIST}


def refused(plan: Plan) -> str:
    return " ".join(f"{error.what}: {error.why} {error.fix}" for _, error in plan.refusals)


def test_a_firewalld_that_starts_at_the_next_boot_is_not_passed_over() -> None:
    said = refused(planned(FirewallFacts({"iptables": ""}), starting=("firewalld.service",)))
    assert said.startswith("firewalld does not run, and starts when the host boots")
    assert "systemctl disable firewalld" in said
    running = FirewallFacts(zone=Zone("public", ("443/tcp",), ("443/tcp",)))
    assert planned(running, starting=("firewalld.service",)) == planned(FirewallFacts({"iptables": ""}))


def test_a_ufw_whose_rules_were_flushed_comes_again_at_the_next_boot() -> None:
    ufw = ("ufw.service",)
    flushed = FirewallFacts({"iptables": ""})
    assert "ufw is enabled, and its rules are not loaded" in refused(planned(flushed, UFW_ON, starting=ufw))
    assert not planned(flushed, UFW_ON, ports=(22, 80), starting=ufw).refusals, "they are in its list"
    off = {**UFW_ON, "/etc/ufw/ufw.conf": "ENABLED=no\n"}
    accepts = {**UFW_ON, "/etc/default/ufw": 'DEFAULT_INPUT_POLICY="ACCEPT"\n'}
    for files, starting in ((off, ufw), (UFW_ON, ()), (accepts, ufw)):
        assert not planned(flushed, files, starting=starting).refusals


def test_what_ufw_lets_in_and_does_not_have_in_its_list_is_added_to_that() -> None:
    """Somebody has let the port in by a rule of iptables, which is gone after a boot."""
    live = FirewallFacts({"iptables": UFW.replace("-A INPUT -j ufw-before-logging", f"{OURS}\n-A INPUT -j ufw-before-logging", 1)})
    assert words(planned(live, UFW_ON)) == ["ufw allow 443/tcp comment novaops"]
    listed = UFW_LIST.replace("--dport 22 ", "--dport 443 ")
    assert words(planned(live, {**UFW_ON, "/etc/ufw/user.rules": listed})) == []
    denied = listed.replace("--dport 443 -j ACCEPT", "--dport 443 -j DROP")
    assert "somebody has closed port 443 in ufw" in refused(planned(live, {**UFW_ON, "/etc/ufw/user.rules": denied}))


DROPS = "table inet filter {\n chain input {\n  type filter hook input priority filter; policy drop;\n  tcp dport 22 accept\n }\n}\n"
REJECTS = DROPS.replace(" policy drop;", "").replace("accept\n", "accept\n  counter reject with icmpx admin-prohibited\n")
AS_DEBIAN_HAS_IT = DROPS.replace(" policy drop;", "").replace("tcp dport 22 accept", "")


@pytest.mark.parametrize(
    ("conf", "is_said"),
    [
        (DROPS, True),
        (REJECTS, True),
        (AS_DEBIAN_HAS_IT, False),
        (DROPS.replace("22", "{ 22, 443 }"), False),
        (DROPS.replace("\n", " #\n# ").replace("table", "# table"), False),
    ],
)
def test_a_file_of_nftables_that_comes_at_the_next_boot_is_named(conf: str, *, is_said: bool) -> None:
    files, nftables = {"/etc/nftables.conf": conf}, ("nftables.service",)
    said = notes(planned(FirewallFacts(), files, starting=nftables))
    assert [note.startswith("nftables.service loads /etc/nftables.conf when the host boots") for note in said] == [True] * is_said
    assert notes(planned(FirewallFacts(), files)) == [], "nothing loads it"
    opened_by_hand = FirewallFacts(tables=(Table("inet filter", "input", ((443, 443),)),))
    assert notes(planned(opened_by_hand, files, starting=nftables)) == said


def test_a_file_that_a_removed_package_has_left_puts_no_rule_back() -> None:
    opened = ORACLE.replace(REJECT, f"{OURS}\n{REJECT}")
    (said,) = notes(planned(FirewallFacts({"iptables": opened}), {V4: opened}, starting=()))
    assert said.startswith(
        "the rule of iptables for port 443 is gone after a boot: it is in /etc/iptables/rules.v4, but netfilter-persistent.service"
    )


# -- UDP --------------------------------------------------------------------------------------------------------------

UDP = OpenPort(1194, "udp")


def for_udp(answer: FirewallFacts) -> Plan:
    return make_plan([UDP], Facts({q: answer if isinstance(q, Firewall) else Missing.ABSENT for q in UDP.questions()}, {}))


def test_a_port_of_udp_is_another_one() -> None:
    assert (OpenPort(1194).id, UDP.id) == ("port:1194", "port:1194/udp")
    ruleset = Ruleset(f"*filter\n:INPUT DROP [0:0]\n{join(accepting(1194))}\nCOMMIT\n")
    assert (ruleset.verdict(1194).accepted, ruleset.verdict(1194, "udp").accepted) == (True, False)
    rule = join(accepting(1194, protocol="udp"))
    assert rule == "-A INPUT -p udp -m udp --dport 1194 -m comment --comment novaops -j ACCEPT"
    other = Ruleset(f"*filter\n:INPUT DROP [0:0]\n{rule}\nCOMMIT\n")
    assert (other.verdict(1194).accepted, other.verdict(1194, "udp").accepted) == (False, True)


def test_iptables_lets_udp_in_before_what_turns_all_away() -> None:
    (command,) = words(for_udp(FirewallFacts({"iptables": ORACLE})))
    assert "-p udp -m udp --dport 1194" in command


def test_firewalld_and_tables_of_others_are_asked_about_udp() -> None:
    (command,) = words(for_udp(FirewallFacts(zone=Zone("public", ("1194/tcp",), ("1194/tcp",)))))
    assert "add 1194/udp" in command
    assert words(for_udp(FirewallFacts(zone=Zone("public", ("1194/udp",), ("1000-2000/udp",))))) == []
    closed = for_udp(FirewallFacts(tables=(Table("inet filter", "input", ((1194, 1194),)),)))
    assert "nft insert rule inet filter input udp dport 1194 accept" in closed.notes[0].text
    assert for_udp(FirewallFacts(tables=(Table("inet filter", "input", (), ((1194, 1194),)),))).notes == ()
