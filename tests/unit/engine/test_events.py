"""The events of a run, as a host reports them: what no run writes is an error of the host's, and changes nothing."""

from __future__ import annotations

from typing import cast

import pytest

from novaops.engine.run import Outcome, Watcher, _guarded, _read, new_run
from novaops.errors import HostFailed
from novaops.model.action import Command
from novaops.model.plan import Change, Risk, Step

STEPS = tuple(Step(name, (Change("a", None, "b"),), (Command(("true",)),)) for name in ("one", "two"))


class Silent:
    def __getattr__(self, name: str) -> object:
        return lambda *_: None


def outcome(*steps: Step) -> Outcome:
    return Outcome(new_run(steps or STEPS, "", wait=False), "failed")


def read(line: str, seen: Outcome) -> bool:
    return _read(line, seen, cast("Watcher", Silent()))


@pytest.mark.parametrize(
    "line",
    [
        "step 2",
        "step -1",
        "step x",
        "step ٣",
        f"done {'9' * 5000}",
        "done -2",
        "undone 7 0 0",
        "failed 2 0 1",
        "refused 9 0 ",
    ],
)
def test_what_no_run_reports(line: str) -> None:
    seen = outcome()
    with pytest.raises(HostFailed, match="what no run reports") as error:
        read(line, seen)
    assert (seen.done, seen.undone, len(str(error.value)) < 1000) == (set(), set(), True)


@pytest.mark.parametrize("line", ["guarded", "guarded 0 30", "guarded -1 30", "guarded x 30"])
def test_a_guarded_range_that_the_run_has_not(line: str) -> None:
    with pytest.raises(HostFailed, match="what no run reports"):
        _guarded(line, outcome())


def test_what_a_run_reports() -> None:
    seen = outcome()
    assert [read(line, seen) for line in ("step 0", "action 0 0", "there 0 0", "done 0", "some day another word", "end ok")] == [
        False
    ] * 5 + [True]
    assert (seen.done, seen.end, _guarded("done 0", seen)) == ({0}, "ok", None)
    risky = Step("one", (Change("a", None, "b"),), (Command(("true",)),), risk=Risk.LOCKOUT)
    assert _guarded("guarded 0 30", outcome(risky)) == 0
