"""Batches, shards, stopping, and Ctrl-C: what is begun, what is not, and that each host's part is known."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.engine import begun as ledger
from novaops.engine.begun import Begun
from novaops.engine.report import HostReport, Status, failure, lines
from novaops.engine.rollout import Interrupted, Rollout, Serial, Shard, batches, components, read, roll_out
from novaops.errors import HostFailed, NotBegun, NovaopsError, UsageError


@dataclass
class Hosts:
    """A group of hosts that does what the test says."""

    names: list[str]
    work: Callable[[], Status] = lambda: "unchanged"
    begun: Begun = field(default_factory=Begun)
    worked: bool = False

    def reports(self) -> list[HostReport]:
        self.worked = True
        try:
            status = self.work()
        except NovaopsError as error:
            return [failure(name, error) for name in self.names]
        return [HostReport(name, status) for name in self.names]

    def so_far(self, why: str) -> list[HostReport]:
        return [self.begun.left(name, why) for name in self.names]


def go(groups: Sequence[Hosts], rollout: Rollout = Rollout(), parallel: int = 4) -> dict[str, str]:  # noqa: B008 - frozen
    reports = roll_out(groups, rollout, Begun(), lambda *_: None, parallel)
    return {report.host: report.status for report in reports}


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C is heard, also where this process was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# -- sizes and shards -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hosts", "size"), [("1", 10, 1), ("3", 10, 3), ("10%", 100, 10), ("10%", 5, 1), ("100%", 7, 7), ("34%", 10, 3), ("50", 10, 50)]
)
def test_the_size_of_a_batch(text: str, hosts: int, size: int) -> None:
    assert Serial.read(text).of(hosts) == size


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-1", "ten", "1.5", "10 %", "%", "٣", "1\n"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is no size of a batch"):
        Serial.read(text)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "1", "1/3/5", "a/b", "-1/3", "1/3\n"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="is no shard"):
        Shard.read(text)


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-", min_size=1, max_size=12)


@given(st.lists(NAMES, unique=True), st.integers(1, 12))
def test_each_host_is_in_one_shard(names: list[str], total: int) -> None:
    shards = [Shard(number, total) for number in range(1, total + 1)]
    assert all(sum(shard.has([name]) for shard in shards) == 1 for name in names)


def test_a_shard_is_the_same_on_every_machine() -> None:
    """The numbers are those of the first machine it was tried on."""
    of = {name: next(n for n in range(1, 9) if Shard(n, 8).has([name])) for name in ("web1", "web2", "db", "größe")}
    assert of == {"web1": 7, "web2": 2, "db": 5, "größe": 8}
    assert read(shard="2/8").has("db", "web1") == read(shard="2/8").has("web1", "db")


def test_shards_are_of_like_size() -> None:
    sizes = [sum(Shard(number, 10).has([f"host{n}"]) for n in range(10_000)) for number in range(1, 11)]
    assert sum(sizes) == 10_000
    assert min(sizes) > 850
    assert max(sizes) < 1150


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_who_meets_stays_together(pairs: list[tuple[int, int]]) -> None:
    names = [str(n) for n in range(10)]
    found = components(names, lambda name: [str(b) for a, b in pairs if str(a) == name])
    assert sorted(name for group in found for name in group) == names
    group_of = {name: number for number, group in enumerate(found) for name in group}
    assert all(group_of[str(a)] == group_of[str(b)] for a, b in pairs)
    assert [min(group) for group in found] == sorted(min(group) for group in found)


@pytest.mark.parametrize(
    ("sizes", "serial", "expected"),
    [
        ([1, 1, 1, 1, 1], Serial(2), [[0, 1], [2, 3], [4]]),
        ([1, 3, 1, 1], Serial(2), [[0, 1], [2, 3]]),
        ([2, 2], Serial(1), [[0], [1]]),
        ([1, 1, 1], None, [[0, 1, 2]]),
        ([1] * 4, Serial(50, percent=True), [[0, 1], [2, 3]]),
        ([], Serial(3), []),
    ],
)
def test_a_group_is_never_divided(sizes: list[int], serial: Serial | None, expected: list[list[int]]) -> None:
    groups = [Hosts([f"{number}-{n}" for n in range(size)]) for number, size in enumerate(sizes)]
    assert list(batches(groups, serial)) == expected


# -- the order of work ------------------------------------------------------------------------------------------------


def test_a_batch_begins_when_the_one_before_has_ended() -> None:
    both, third = threading.Barrier(2), threading.Event()

    def meet() -> Status:
        both.wait(20)
        assert not third.is_set()
        return "unchanged"

    def last() -> Status:
        third.set()
        return "changed"

    groups = [Hosts(["a"], meet), Hosts(["b"], meet), Hosts(["c"], last)]
    assert go(groups, Rollout(Serial(2))) == {"a": "unchanged", "b": "unchanged", "c": "changed"}


def fails() -> Status:
    raise HostFailed("it went wrong")


def test_none_is_begun_once_enough_have_failed() -> None:
    groups = [Hosts(["a"]), Hosts(["b"], fails), Hosts(["c"]), Hosts(["d"], fails), Hosts(["e"]), Hosts(["f"])]
    found = go(groups, Rollout(stop_after=2), parallel=1)
    assert found == {"a": "unchanged", "b": "failed", "c": "unchanged", "d": "failed", "e": "not_begun", "f": "not_begun"}
    assert [group.worked for group in groups] == [True, True, True, True, False, False]


@pytest.mark.parametrize("status", ["would_change", "unchanged", "changed"])
def test_what_is_right_does_not_stop_the_others(status: Status) -> None:
    groups = [Hosts([name], lambda: status) for name in "abc"]
    assert set(go(groups, Rollout(stop_after=1), parallel=1).values()) == {status}


def test_who_is_not_begun_shares_a_line() -> None:
    groups = [Hosts(["a"], fails), Hosts(["b"]), Hosts(["c"])]
    reports = roll_out(groups, Rollout(stop_after=1), Begun(), lambda *_: None, 1)
    assert [text for _, text in lines(reports)] == ["✘ a  failed: it went wrong", "  not begun: b, c", "    stopped after 1 failed: a"]


def test_the_end_of_each_host_is_told_at_once_where_there_are_several() -> None:
    told: list[tuple[str, str]] = []
    slow = threading.Event()

    def late() -> Status:
        return "unchanged" if slow.wait(20) else "failed"

    def changes() -> Status:
        return "changed"

    groups = [Hosts(["a"], late), Hosts(["b"], changes)]

    def tell(host: str, doing: str) -> None:
        told.append((host, doing))
        slow.set()

    assert [report.host for report in roll_out(groups, Rollout(), Begun(), tell, 2)] == ["a", "b"]
    assert told == [("b", "changed"), ("a", "unchanged")]
    told.clear()
    roll_out(groups[1:], Rollout(), Begun(), tell, 2)
    assert told == []


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize(
    ("seen", "says"), [(True, "run r1 goes on there by itself"), (False, "whether run r1 was begun there is not known")]
)
def test_ctrl_c_leaves_no_host_half_known(seen: bool, says: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a column
    monkeypatch.setattr(ledger, "SECONDS", 0.2)
    begun, over = Begun(), threading.Event()

    def runs() -> Status:
        begun.begin("runs", "r1")
        if seen:
            begun.seen("runs")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        over.wait(20)
        return "changed"

    def changes() -> Status:
        return "changed"

    def looks() -> Status:
        over.wait(20)
        begun.begin("looks", "r2")
        return "changed"

    groups = [Hosts([name], work, begun) for name, work in (("done", changes), ("looks", looks), ("runs", runs), ("next", runs))]
    with pytest.raises(Interrupted) as stop:
        roll_out(groups, Rollout(), begun, lambda *_: None, 2)
    over.set()
    assert {report.host: report.status for report in stop.value.reports} == {
        "done": "changed",
        "looks": "not_begun",
        "runs": "going_on",
        "next": "not_begun",
    }
    report = stop.value.reports[2]
    assert report.error is not None
    assert (report.run, report.error.what) == ("r1", f"interrupted: {says}")


def test_no_run_is_begun_after_the_end() -> None:
    begun = Begun()
    begun.begin("a", "r1")
    begun.ended("a")
    begun.close()
    with pytest.raises(NotBegun):
        begun.begin("b", "r2")
    assert (begun.left("a", "why").status, begun.left("b", "why").status) == ("not_begun", "not_begun")


def test_a_run_that_is_just_being_started_is_waited_for() -> None:
    begun = Begun()
    begun.begin("a", "r1")
    heard = threading.Timer(0.05, lambda: begun.seen("a"))
    heard.start()
    begun.close()
    heard.join()
    error = begun.left("a", "why").error
    assert error is not None
    assert error.what == "interrupted: run r1 goes on there by itself"
