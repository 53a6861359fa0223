"""The pytest plugin: one item for each claim about each entry of each host, named as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from novaops.errors import NovaopsError
from novaops.formats import visible
from novaops.verify.claims import Claim
from novaops.verify.observed_host import ObservedHost


@dataclass(frozen=True, eq=False)
class Case:
    """A claim about an entry of a host."""

    observed: ObservedHost
    feature: str
    entry: str
    claim: Claim

    @property
    def resource(self) -> str:
        return f"{self.feature}:{self.entry}"

    @property
    def name(self) -> str:
        return f"{self.entry} {self.claim.sentence} [{self.observed.name}]"


@dataclass(frozen=True)
class Check:
    """How a case ended."""

    case: Case
    status: Literal["unchanged", "failed", "skipped", "broken"]
    """failed: not as wanted. broken: it could not be seen."""
    message: str = ""
    dump: str = ""
    """pytest's own report."""
    error: BaseException | None = None


_CASE = pytest.StashKey[Case]()


class Plugin:
    """What pytest is given instead of a conftest.py. `checks` holds the results."""

    def __init__(self, hosts: Sequence[ObservedHost], reboot_all: Callable[[Sequence[ObservedHost]], object] | None) -> None:
        """`reboot_all` reboots hosts in parallel; None leaves out every claim about a reboot."""
        self.checks: list[Check] = []
        self.internal_error = ""
        self._hosts = hosts
        self._reboot_all = reboot_all
        self._rebooted = False
        self._unjudged: set[Case] | None = None
        """The cases that have not ended; None before they are known."""

    @property
    def judged(self) -> set[ObservedHost]:
        """The hosts of which every claim was looked at."""
        return set() if self._unjudged is None else set(self._hosts) - {case.observed for case in self._unjudged}

    # -- what is collected ------------------------------------------------------------------------------------------------

    def pytest_collection(self, session: pytest.Session) -> bool:
        """The modules as they are loaded already. No folder is searched: a user's folder may hold any other test."""
        features = {feature for observed in self._hosts for feature in observed.entries}
        for feature in sorted(features, key=lambda feature: feature.file):
            module: pytest.Module = pytest.Module.from_parent(session, path=feature.file)
            module.obj = feature.module
            session.items += module.collect()  # type: ignore[arg-type]  # of a module only what makeitem gives
        session.config.hook.pytest_collection_modifyitems(session=session, config=session.config, items=session.items)
        session.testscollected = len(session.items)
        self._unjudged = {item.stash[_CASE] for item in session.items}
        return True

    def pytest_pycollect_makeitem(self, collector: pytest.Module | pytest.Class, name: str, obj: Any) -> list[pytest.Item]:
        if not name.startswith("test_") or not callable(obj):
            return []
        claim = Claim(obj)
        if claim.after_reboot and self._reboot_all is None:
            return []
        return [
            self._item(collector, obj, Case(observed, feature.name, entry_name, claim))
            for observed in self._hosts
            for feature, entries in observed.entries.items()
            if feature.module.__name__ == obj.__module__
            for entry_name, entry in entries.items()
            if claim.about(entry)
        ]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """By host, then by entry. Claims about a reboot come last, when it is known which hosts may be rebooted."""
        order = {observed.name: number for number, observed in enumerate(self._hosts)}

        def place(item: pytest.Item) -> tuple[bool, int, str]:
            case = item.stash[_CASE]
            return case.claim.after_reboot, order[case.observed.name], case.resource

        items.sort(key=place)

    @staticmethod
    def _item(collector: pytest.Module | pytest.Class, function: Callable[..., None], case: Case) -> pytest.Item:
        item: pytest.Item = pytest.Function.from_parent(collector, name=case.name, callobj=function)
        item.stash[_CASE] = case
        return item

    # -- what tests may ask for -------------------------------------------------------------------------------------------

    @pytest.fixture
    def host(self, request: pytest.FixtureRequest) -> Any:
        return request.node.stash[_CASE].observed.host

    @pytest.fixture
    def seen(self, request: pytest.FixtureRequest) -> Any:
        case = request.node.stash[_CASE]
        return case.observed.seen((case.feature, case.entry))

    @pytest.fixture
    def rebooted(self, request: pytest.FixtureRequest) -> Any:
        """The first test that asks reboots all hosts on which everything is right.

        Others might not come back: a broken fstab can stop a boot.
        """
        wrong = {check.case.observed.name for check in self.checks if check.status in {"failed", "broken"}}
        if not self._rebooted and self._reboot_all is not None:
            self._rebooted = True
            self._reboot_all([observed for observed in self._hosts if observed.name not in wrong])
        case = request.node.stash[_CASE]
        if not case.observed.reboots and case.observed.error is None:
            pytest.skip("not rebooted: a host on which something is wrong might not come back")
        return case.observed.rebooted((case.feature, case.entry))

    # -- what came of it --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report: pytest.TestReport = yield
        case = item.stash[_CASE]
        report.nodeid = visible.line(f"{case.feature}.py::{case.name}")  # JUnit's class is the section, wherever its checks are kept
        if self._unjudged is not None and report.when == "teardown":
            self._unjudged.discard(case)
        if report.when == "call" or not report.passed:
            self.checks.append(_check(case, report, call))
        return report

    def pytest_internalerror(self, excrepr: Any) -> None:
        self.internal_error = str(excrepr)


def _check(case: Case, report: pytest.TestReport, call: pytest.CallInfo[None]) -> Check:
    """What the report says, as a check. Its texts are made fit for JUnit's file here: a host wrote part of them."""
    if report.passed:
        return Check(case, "unchanged")
    assert call.excinfo is not None
    error = call.excinfo.value
    if report.skipped:
        if isinstance(report.longrepr, tuple):
            file, number, reason = report.longrepr
            report.longrepr = (file, number, visible.line(reason))
        return Check(case, "skipped", str(error))
    if isinstance(error, NovaopsError):
        report.longrepr = visible.lines(str(error))
        return Check(case, "broken", error.what, error=error)
    dump = report.longreprtext
    if not isinstance(error, AssertionError):
        report.longrepr = visible.lines(dump)
        return Check(case, "broken", f"{type(error).__name__}: {error}", dump, error)
    message = str(error) or f"this is not so: {case.name}"
    report.longrepr = visible.lines(message)
    return Check(case, "failed", message, dump, error)
