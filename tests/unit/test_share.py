"""Shares of the long tests: each test in exactly one, and shares of about the same length."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import parse_share, share_of

ROOT = Path(__file__).parents[2]
TESTS = st.lists(st.builds("tests/lab/test_{}.py::test_{}".format, st.integers(0, 9), st.integers(0, 99)), unique=True, max_size=200)


@given(TESTS, st.integers(1, 7), st.randoms())
def test_every_test_is_in_exactly_one_share_in_whatever_order_they_come(tests: list[str], total: int, random: object) -> None:
    shares = [share_of(tests, number, total) for number in range(1, total + 1)]
    assert sorted(test for share in shares for test in share) == sorted(tests)
    random.shuffle(tests)  # type: ignore[attr-defined]
    assert [share_of(tests, number, total) for number in range(1, total + 1)] == shares


def test_neighbours_stay_together_and_a_large_file_is_spread() -> None:
    large = [f"tests/lab/test_a.py::test[{number:02}]" for number in range(25)]
    small = [f"tests/lab/test_b.py::test_{number}" for number in range(4)]
    shares = [share_of(large + small, number, 5) for number in range(1, 6)]
    assert [sorted(share & set(large)) for share in shares] == [large[start : start + 5] for start in range(0, 25, 5)]
    assert [len(share & set(small)) for share in shares] == [4, 0, 0, 0, 0]


def test_of_many_shares_each_has_no_more_than_one_of_neighbours() -> None:
    tests = [f"tests/lab/test_a.py::test[{number:02}]" for number in range(25)]
    assert {len(share_of(tests, number, 40)) for number in range(1, 41)} == {0, 1}


def test_shares_are_of_about_the_same_length() -> None:
    tests = [f"tests/lab/test_{file}.py::test_{number}" for file in range(30) for number in range(1 + file * 7 % 19)]
    lengths = [len(share_of(tests, number, 5)) for number in range(1, 6)]
    assert max(lengths) < 1.2 * len(tests) / 5


@pytest.mark.parametrize(("text", "share"), [("1/1", (1, 1)), ("2/5", (2, 5)), ("5/5", (5, 5))])
def test_a_share_is_read(text: str, share: tuple[int, int]) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "2", "0/5", "6/5", "-1/5", "1/0", "a/5", "1/5/5", " 1/5", "1.0/5", "²/5", "1/5\n"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="the second of five"):
        parse_share(text)


LONG_AND_SHORT = """\
import pytest

@pytest.mark.long
@pytest.mark.parametrize("number", range(7))
def test_long(number): pass

def test_short(): pass
"""


@pytest.mark.parametrize(
    ("words", "code", "summary"),
    [
        ("", 0, "8 passed"),
        ("--share 1/2", 0, "6 passed, 2 deselected"),
        ("--share 2/2", 0, "3 passed, 5 deselected"),
        ("--share 2/2 -m long", 0, "2 passed, 6 deselected"),
        ("--share 3/2", 4, "'3/2' is not a share: 2/5 is the second of five"),
    ],
)
def test_pytest_runs_one_share_of_the_long_tests_and_all_others(tmp_path: Path, words: str, code: int, summary: str) -> None:
    (tmp_path / "test_some.py").write_text(LONG_AND_SHORT)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *words.split(), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert summary in done.stdout + done.stderr
    assert ("long tests: share" in done.stdout) == ("--share" in words and code == 0)
