"""What all tests share: few but fresh examples, no time limit that a busy machine would break, and shares of the long tests."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.support.local_model import Local

settings.register_profile("novaops", max_examples=10, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("novaops")

os.umask(0o022)  # playbooks that a group can write are refused, also those that tests make


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What novaops remembers of runs stays with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """No file of tests leaves a variable in the environment: another file may run next in the same process."""
    before = dict(os.environ)
    yield
    changed = {name for name, _ in before.items() ^ os.environ.items()}
    assert changed <= {"PYTEST_CURRENT_TEST", "PYDANTIC_DISABLE_PLUGINS"}, "the first is set by pytest, the second by novaops.app"


LONGEST = 3600
"""Seconds that a long test has. A hang of the others is noticed earlier: `timeout` in pyproject.toml."""

FEW = 5
"""Up to so many shares, as many neighbours of one file go into the same one, as they mostly use the same fixtures.
Of many shares each is to be short: then neighbours are parted."""


def share_of(tests: Iterable[str], number: int, total: int) -> set[str]:
    """The tests (node ids) of share `number`, counted from 1, of `total`. The order of `tests` does not matter.

    Each test is in exactly one share. Files, and thus kinds of hosts, are spread over all shares: they take about the same time.
    """
    length = max(1, FEW * FEW // max(total, FEW))
    runs: list[list[str]] = []
    for _, group in groupby(sorted(tests), key=lambda test: test.partition("::")[0]):
        file = list(group)
        runs += [file[start : start + length] for start in range(0, len(file), length)]
    return {test for run in runs[number - 1 :: total] for test in run}


def parse_share(text: str) -> tuple[int, int]:
    """N and M of `N/M`, with N from 1 to M; raises ArgumentTypeError for anything else."""
    match = re.fullmatch(r"([0-9]{1,3})/([0-9]{1,3})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a share: 2/5 is the second of five")
    return int(match[1]), int(match[2])


def pytest_addoption(parser: pytest.Parser) -> None:
    about = "of the tests marked long, run only the N-th of M shares; other tests are not affected"
    parser.addoption("--share", type=parse_share, metavar="N/M", help=about)


def pytest_report_header(config: pytest.Config) -> str | None:
    share = config.getoption("share")
    return "long tests: share {} of {}".format(*share) if share else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(LONGEST))
    share = config.getoption("share")
    if share is None:
        return
    long = {item.nodeid for item in items if item.get_closest_marker("long")}
    others = long - share_of(long, *share)
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in others])
    items[:] = [item for item in items if item.nodeid not in others]


@pytest.fixture(scope="session")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A real model behind a real server of OpenAI's language, as `novaops api serve` runs it."""
    from tests.support.local_model import serving

    with serving(tmp_path_factory.mktemp("local-model")) as local:
        yield local
