"""Hosts that need something of each other: looked at together, worked on in passes, and never half of them for nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from novaops.engine import converge as engine
from novaops.engine import inventory, peers
from novaops.engine.converge import RunOptions
from novaops.engine.desired import DesiredState
from novaops.engine.peers import DesiredHost, converge_all
from novaops.engine.planner import make_plan, peer_questions_of
from novaops.engine.playbooks import Playbooks
from novaops.engine.report import HostReport
from novaops.errors import HostFailed, NovaopsError, Refused, Unreachable, UsageError, WaitingForPeer
from novaops.facts.runs import LastRun, LastRunStill, Newest
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question, Section
from novaops.resources.after_peer import AfterPeer
from novaops.ssh.session import ConnectionLost
from novaops.ssh.target import Target

TIMEOUT = 20
"""Seconds for what takes none where nobody waits for the wrong thing."""


NOW = threading.Event()
NOW.set()


@dataclass(frozen=True)
class Has(Question[bool]):
    thing: str
    family: ClassVar[str] = "has"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        raise NotImplementedError

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, bool | Missing]:
        raise NotImplementedError


@dataclass(frozen=True)
class Thing(Resource):
    """Made of nothing, or of a thing of a peer's."""

    name: str
    peer: str = ""
    of_it: str = ""
    refused: bool = False
    works_with: str = ""
    """What the host must have for the proof."""

    @property
    def id(self) -> str:
        return f"thing:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield Has(self.name)
        if self.works_with:
            yield Has(self.works_with)

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        if self.peer:
            yield self.peer, Has(self.of_it)

    def plan(self, facts: Facts) -> Iterator[Step]:
        if self.refused:
            raise Refused(f"{self.name} is refused", fix="do not")
        if self.peer and not facts.of(self.peer)[Has(self.of_it)]:
            raise WaitingForPeer(f"{self.peer}'s {self.of_it}")
        if not facts[Has(self.name)]:
            yield Step(self.id, (Change("thing", None, self.name),), (Command(("make", self.name)),))

    def notes(self, facts: Facts) -> Iterator[str]:
        yield f"{self.name} is {'there' if facts[Has(self.name)] else 'missing'}"

    def verify_works(self, facts: Facts) -> None:
        if self.works_with and not facts[Has(self.works_with)]:
            raise HostFailed(f"{self.name} does not work")


@dataclass
class Hosts:
    """What there is on each host, and what was done there, in order."""

    there: dict[str, set[str]] = field(default_factory=dict)
    deeds: list[tuple[str, str]] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    cuts: dict[str, int] = field(default_factory=dict)
    """How often the connection to a host is lost after its run."""
    failing: set[str] = field(default_factory=set)
    gives: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """What making a thing on one host brings about on another."""
    closed: list[str] = field(default_factory=list)
    slow: dict[str, threading.Event] = field(default_factory=dict)
    """A probe of this host takes until then."""
    sets_off: dict[tuple[str, str], threading.Event] = field(default_factory=dict)
    at_work: threading.Condition = field(default_factory=threading.Condition)
    limit: int = 0
    """How many hosts may be probed at a time."""
    busy: set[str] = field(default_factory=set)
    busiest: int = 0
    """How many hosts were probed at a time, at most."""

    def looked_at(self, name: str) -> None:
        if self.deeds and self.cuts.get(name):
            self.cuts[name] -= 1
            raise ConnectionLost(f"the connection to {name} was lost")
        with self.at_work:
            self.looks.append(name)
            self.busy.add(name)
            self.busiest = max(self.busiest, len(self.busy))
            self.at_work.notify_all()
            self.at_work.wait_for(lambda: len(self.busy) > self.limit, timeout=0.05)  # time for one too many to come
        assert self.slow.get(name, NOW).wait(TIMEOUT), f"{name} was waited for"
        with self.at_work:
            self.busy.remove(name)

    def has_done(self, name: str, thing: str) -> None:
        self.deeds.append((name, thing))
        self.sets_off.get((name, thing), NOW).set()


class Run:
    def __init__(self, steps: tuple[Step, ...], *_: Any, **__: Any) -> None:
        self.id = "run"
        self.steps = steps


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts()

    class Session:
        def __init__(self, target: Target) -> None:
            self.target, self.execs = target, 0
            self.connection: object = None

        def open(self) -> None:
            if self.connection is None and self.target.name in made.away:
                raise Unreachable(f"{self.target.name} cannot be reached", why="no route", fix="wake it")
            self.connection = object()

        def close(self) -> None:
            made.closed.append(self.target.name)

        def __enter__(self) -> Self:
            self.open()
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    def ask(session: Any, questions: Sequence[Question[Any]], **_: Any) -> Facts:
        session.open()
        session.execs += 1
        name = session.target.name
        made.looked_at(name)
        there = made.there.setdefault(name, set())
        return Facts({q: q.thing in there for q in questions if isinstance(q, Has)} | {LastRun(): Newest(), LastRunStill(): Newest()}, {})

    def carry_out(session: Any, run: Run, _: Any) -> Any:
        session.execs += 1
        name = session.target.name
        failed = next((n for n, step in enumerate(run.steps) if step.resource.removeprefix("thing:") in made.failing), None)
        for step in run.steps[:failed]:
            thing = step.resource.removeprefix("thing:")
            made.has_done(name, thing)
            made.there[name].add(thing)
            if brings := made.gives.get((name, thing)):
                made.there.setdefault(brings[0], set()).add(brings[1])
        end = "ok" if failed is None else "failed"
        done = set(range(len(run.steps))) if failed is None else set(range(failed))
        undone = set() if failed is None else {failed}
        about = {"end": end, "logins": 0, "failed": failed, "done": done, "said": "", "all_undone": True, "undone": undone, "run": run}
        return type("Ended", (), about)

    for module in (engine, peers):
        monkeypatch.setattr(module, "Session", Session)
    monkeypatch.setattr(engine, "ask", ask)
    monkeypatch.setattr("novaops.engine.run.new_run", Run)
    monkeypatch.setattr("novaops.engine.run.carry_out", carry_out)
    return made


def go(wanted: Mapping[str, Sequence[Any]], *, check: bool = False, parallel: int = 4) -> dict[str, HostReport]:
    asked = [DesiredHost(Target(name, "192.0.2.1"), resources) for name, resources in wanted.items()]
    reports = converge_all(asked, RunOptions(check=check), lambda *_: None, parallel)
    assert [report.host for report in reports] == list(wanted)
    return {report.host: report for report in reports}


def tunnel() -> dict[str, Sequence[Any]]:
    """As a tunnel: a key here, the permission there, and then the way."""
    way = AfterPeer(Thing("way"), "gate", Has("permission"), "gate's permission")
    return {"client": [Thing("key"), way], "gate": [Thing("permission", "client", "key")]}


def statuses(reports: Mapping[str, HostReport]) -> dict[str, str]:
    return {name: report.status for name, report in reports.items()}


@pytest.mark.parametrize("parallel", [1, 4])
def test_three_passes(hosts: Hosts, parallel: int) -> None:
    reports = go(tunnel(), parallel=parallel)
    assert statuses(reports) == {"client": "changed", "gate": "changed"}
    assert hosts.deeds == [("client", "key"), ("gate", "permission"), ("client", "way")]
    assert {name: report.execs for name, report in reports.items()} == {"client": 5, "gate": 3}
    assert [line.resource for line in reports["client"].lines if line.status == "changed"] == ["thing:key", "thing:way"]
    assert reports["client"].run == "run"
    assert sorted(hosts.closed) == ["client", "gate"]


@pytest.mark.usefixtures("hosts")
def test_what_each_look_showed_is_told_once() -> None:
    """What was so before the first pass, and what is so in the end."""
    told = [note.text for note in go(tunnel())["client"].notes]
    assert told == ["key is missing", "key is there", "way is missing", "way is there"]
    assert [note.text for note in go(tunnel())["client"].notes] == ["key is there", "way is there"]


def test_the_second_time_nothing_is_done(hosts: Hosts) -> None:
    go(tunnel())
    hosts.deeds.clear()
    reports = go(tunnel())
    assert statuses(reports) == {"client": "unchanged", "gate": "unchanged"}
    assert {name: report.execs for name, report in reports.items()} == {"client": 1, "gate": 1}
    assert hosts.deeds == []


def test_check_changes_nothing_and_says_what_waits(hosts: Hosts) -> None:
    reports = go(tunnel(), check=True)
    assert statuses(reports) == {"client": "would_change", "gate": "would_change"}
    assert hosts.deeds == []
    assert [line.status for line in reports["client"].lines] == ["would_change", "would_change"]
    assert [note.text for note in reports["client"].notes] == ["key is missing", "waits for gate's permission"]
    [line] = reports["gate"].lines
    assert (line.status, line.changes) == ("would_change", (Change("waits for", None, "client's key"),))
    assert {name: report.execs for name, report in reports.items()} == {"client": 1, "gate": 1}


def test_nothing_is_done_where_the_other_cannot_be_reached(hosts: Hosts) -> None:
    hosts.away.add("gate")
    reports = go(tunnel())
    assert statuses(reports) == {"client": "unreachable", "gate": "unreachable"}
    assert hosts.deeds == []
    error = reports["client"].error
    assert error is not None
    assert "gate" in error.what
    assert "gate cannot be reached" in error.why
    assert sorted(hosts.closed) == ["client", "gate"]


def test_nothing_is_done_where_the_other_refuses(hosts: Hosts) -> None:
    wanted = tunnel()
    reports = go({"client": wanted["client"], "gate": [*wanted["gate"], Thing("door", refused=True)]})
    assert statuses(reports) == {"client": "refused", "gate": "refused"}
    assert hosts.deeds == []
    error = reports["client"].error
    assert isinstance(error, Refused)
    assert (error.what, error.why) == ("skipped: peer gate was refused", "door is refused")


def test_nothing_is_done_at_the_gate_where_the_client_refuses(hosts: Hosts) -> None:
    wanted = tunnel()
    reports = go({"client": [Thing("port", refused=True), *wanted["client"]], "gate": [Thing("user"), *wanted["gate"]]})
    assert statuses(reports) == {"client": "refused", "gate": "refused"}
    assert hosts.deeds == []


def test_others_are_not_held_up(hosts: Hosts) -> None:
    hosts.away.add("gate")
    reports = go({**tunnel(), "alone": [Thing("x")], "far": [Thing("y", "near", "z")], "near": [Thing("z")]})
    assert statuses(reports) == {"client": "unreachable", "gate": "unreachable", "alone": "changed", "far": "changed", "near": "changed"}


def test_what_fails_in_the_middle_is_said_on_both_sides(hosts: Hosts) -> None:
    hosts.failing.add("permission")
    reports = go(tunnel())
    assert statuses(reports) == {"client": "failed", "gate": "failed"}
    assert hosts.deeds == [("client", "key")]
    error = reports["client"].error
    assert error is not None
    assert error.what == "thing:way waits for gate's permission, which did not come"
    assert error.why.startswith("gate: thing:permission")
    assert {line.resource: line.status for line in reports["client"].lines} == {"thing:key": "changed", "thing:way": "skipped"}


def test_who_waits_in_a_circle_is_told_so(hosts: Hosts) -> None:
    reports = go({"a": [Thing("x", "b", "y")], "b": [Thing("y", "a", "x")]})
    assert statuses(reports) == {"a": "failed", "b": "failed"}
    assert hosts.deeds == []
    assert {name: report.execs for name, report in reports.items()} == {"a": 1, "b": 1}


def test_more_than_three_passes_are_not_made(hosts: Hosts) -> None:
    chain: dict[str, Sequence[Any]] = {
        "d": [Thing("4", "c", "3")],
        "c": [Thing("3", "b", "2")],
        "b": [Thing("2", "a", "1")],
        "a": [Thing("1")],
    }
    reports = go(chain)
    assert statuses(reports) == {"d": "failed", "c": "changed", "b": "changed", "a": "changed"}
    assert [thing for _, thing in hosts.deeds] == ["1", "2", "3"]


def test_what_did_not_work_may_work_when_the_other_is_right(hosts: Hosts) -> None:
    """As a tunnel whose permission somebody has taken away at the gate."""
    go(tunnel())
    hosts.there["gate"].clear()
    hosts.there["client"].discard("traffic")
    hosts.gives["gate", "permission"] = ("client", "traffic")
    wanted = tunnel()
    reports = go({"client": [*wanted["client"], Thing("key", works_with="traffic")], "gate": wanted["gate"]})
    assert statuses(reports) == {"client": "unchanged", "gate": "changed"}
    assert reports["client"].execs == 2


def test_what_was_right_is_looked_at_again_after_the_other_changed(hosts: Hosts) -> None:
    hosts.there = {"client": {"key", "way", "traffic"}, "gate": set()}
    wanted = tunnel()
    reports = go({"client": [*wanted["client"], Thing("key", works_with="traffic")], "gate": wanted["gate"]})
    assert statuses(reports) == {"client": "unchanged", "gate": "changed"}
    assert hosts.looks.count("client") == 2


def test_it_is_said_that_it_does_not_work_when_the_other_did_not_help(hosts: Hosts) -> None:
    go(tunnel())
    hosts.there["gate"].clear()
    wanted = tunnel()
    reports = go({"client": [*wanted["client"], Thing("key", works_with="traffic")], "gate": wanted["gate"]})
    assert statuses(reports) == {"client": "failed", "gate": "changed"}
    error = reports["client"].error
    assert error is not None
    assert error.what == "key does not work"


def test_a_bug_of_one_host_does_not_take_the_others_away(hosts: Hosts) -> None:
    class Wrong(Thing):
        def plan(self, facts: Facts) -> Iterator[Step]:
            raise RuntimeError(str(facts))

    reports = go({"client": [Wrong("x", "gate", "door")], "gate": [Thing("door")]})
    assert statuses(reports)["client"] == "failed"
    error = reports["client"].error
    assert error is not None
    assert "RuntimeError" in error.what
    assert hosts.deeds == []


def test_facts_of_a_peer_that_nobody_asked() -> None:
    with pytest.raises(HostFailed, match="canada, of which nothing is known"):
        Facts({}, {}).of("canada")
    reason: NovaopsError = Unreachable("canada cannot be reached", why="no route", fix="wake it")
    with pytest.raises(Unreachable) as caught:
        Facts({}, {}).beside({"canada": reason}).of("canada")
    assert (caught.value.why, caught.value.fix) == ("canada cannot be reached\nno route", "wake it")
    there = Facts({Has("x"): True}, {})
    assert Facts({}, {}).beside({"canada": there}).but(Has("y"), Missing.ABSENT).of("canada")[Has("x")] is True


def test_a_plan_that_waits_is_something() -> None:
    plan = make_plan([Thing("x", "b", "y", works_with="z")], Facts({}, {}).beside({"b": Facts({Has("y"): False}, {})}))
    assert plan
    assert [(resource, wait.what) for resource, wait in plan.waits] == [("thing:x", "b's y")]
    assert plan.unproven == ()


def test_what_is_right_stays_right_while_the_other_is_away(hosts: Hosts) -> None:
    go(tunnel())
    hosts.away.add("gate")
    wanted = tunnel()
    reports = go({"client": [Thing("key"), wanted["client"][1]], "gate": [Thing("permission")]})
    assert statuses(reports) == {"client": "unchanged", "gate": "unreachable"}


# -- what a playbook over several hosts says ------------------------------------------------------------------------------

PLAYBOOK = """
from pydantic import BaseModel, ConfigDict
from novaops.resources.file import File

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    to: str

def desired(host, settings, peers):
    yield File("/etc/near", peers[settings.to].address)

def desired_of_peers(host, settings, peers):
    yield settings.to, File("/etc/far", host.name)
"""


@pytest.fixture
def playbooks(tmp_path: Path) -> Playbooks:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "greet.py").write_text(PLAYBOOK)
    return Playbooks(tmp_path)


def wishes(playbooks: Playbooks, text: str) -> DesiredState:
    known = inventory.parse(text, "inventory.yaml", list(playbooks.by_name))
    return playbooks.desired(known, known.hosts["a"])


def test_a_section_may_want_something_of_another_host(playbooks: Playbooks) -> None:
    found = wishes(playbooks, "hosts: {a: {greet: {to: b}}, b: {address: 192.0.2.7}}")
    assert [resource.id for resource in found.own] == ["file:/etc/near"]
    assert [(host.name, resource.id) for host, resource in found.of_peers] == [("b", "file:/etc/far")]


def test_another_host_need_not_be_in_the_inventory(playbooks: Playbooks) -> None:
    found = wishes(playbooks, "hosts: {a: {greet: {to: 'root@192.0.2.8:2222'}}}")
    [(host, _)] = found.of_peers
    assert (host.address, host.port) == ("192.0.2.8", 2222)


@pytest.mark.parametrize(("to", "said"), [("c", "has no host or group c"), ("g", "g is a group")])
def test_another_host_must_be_one(playbooks: Playbooks, to: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wishes(playbooks, f"hosts: {{a: {{greet: {{to: {to}}}}}, b: {{groups: [g]}}}}")


def test_groups_never_wait_for_each_other(hosts: Hosts) -> None:
    """One group's probe lasts until the other group is done with everything."""
    done = hosts.sets_off["client", "way"] = threading.Event()
    hosts.slow["away"] = done
    apart = {"away": [Thing("key")], "beside": [Thing("permission", "away", "key")], "alone": [Thing("other")]}
    reports = go({**apart, **tunnel()}, parallel=8)
    assert set(statuses(reports).values()) == {"changed"}
    assert hosts.deeds.index(("client", "way")) < hosts.deeds.index(("away", "key"))


@pytest.mark.usefixtures("hosts")
def test_who_is_interrupted_between_two_passes_is_not_right() -> None:
    """What was done stays in its report; what waits for the peer was not begun."""
    wanted = [DesiredHost(Target(name, "192.0.2.1"), resources) for name, resources in tunnel().items()]
    options = RunOptions()
    asked = {host.target.name: peer_questions_of(host.resources) for host in wanted}
    client, gate = (peers._peer_host(host, asked, options, lambda *_: None) for host in wanted)
    for host in (client, gate):
        host.connect()
    client.plan = client.convergence.plan({"gate": gate.convergence.facts})
    client.apply({"gate": gate.convergence.facts})
    first, second = client.so_far("interrupted"), gate.so_far("interrupted")
    assert (first.status, second.status) == ("failed", "not_begun")
    assert str(first.error).startswith("interrupted: what waits for its peers was not begun")
    assert [line.status for line in first.lines if line.resource == "thing:key"] == ["changed"]


def test_hosts_that_ask_in_a_row_are_one_group() -> None:
    wanted = {"a": [Thing("x", "b", "y")], "c": [Thing("z")], "b": [Thing("y", "d", "w")], "d": [Thing("w")]}
    assert peers.together(wanted) == [["a", "b", "d"], ["c"]]


@pytest.mark.parametrize("parallel", [1, 3])
def test_groups_share_the_limit(hosts: Hosts, parallel: int) -> None:
    hosts.limit = parallel
    pairs = {f"{one}{n}": its for n in range(4) for one, its in (("c", [Thing("x", f"g{n}", "y")]), ("g", [Thing("y")]))}
    assert set(statuses(go(pairs, parallel=parallel)).values()) == {"changed"}
    assert 1 <= hosts.busiest <= parallel


@pytest.mark.parametrize("cuts", [1, 2])
def test_a_connection_that_is_lost_after_the_run_does_not_hide_its_end(hosts: Hosts, cuts: int) -> None:
    """Once: the proof goes over a new one. Again: the report says that the run was done."""
    hosts.cuts["a"] = cuts
    report = go({"a": [Thing("x")]})["a"]
    assert hosts.deeds == [("a", "x")]
    if cuts == 1:
        assert (report.status, report.error) == ("changed", None)
    else:
        assert report.error is not None
        assert (report.status, "Run run had ended: ok" in report.error.why) == ("unreachable", True)
