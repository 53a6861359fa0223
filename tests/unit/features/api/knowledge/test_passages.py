"""Splitting, and the terms of a search: properties, and the sentences that they were made for."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.features.api.knowledge import terms
from novaops.features.api.knowledge.passages import Part, clean, split, split_text

TEXTS = st.text(st.characters() | st.sampled_from(" \n\n。.，a挂载\"*'()\0\ud800"), max_size=400)


@given(TEXTS, st.integers(1, 60))
@example("a" * 50, 7)
@example("\n \n" * 40 + "x", 5)
def test_nothing_but_blanks_is_lost_and_no_piece_is_too_long(text: str, limit: int) -> None:
    pieces = list(split_text(text, limit))
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < len(piece) <= limit and piece == piece.strip() for piece in pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One two three.\n\nFour five six.", ["One two three.", "Four five six."]),
        ("One two three. Four five.", ["One two three.", "Four five."]),
        ("One two three four five six", ["One two three four", "five six"]),
        ("磁盘没有挂载。请先检查分区表，再挂载数据盘。", ["磁盘没有挂载。请先检查分区表，", "再挂载数据盘。"]),
        ("a" * 25, ["a" * 20, "a" * 5]),
    ],
)
def test_a_text_is_broken_where_it_reads_best(text: str, pieces: list[str]) -> None:
    assert list(split_text(text, 20)) == pieces


def test_an_entry_stays_whole_where_a_page_would_be_split() -> None:
    text = "word " * 30
    assert [part.whole for part in split([Part(text, "entry 1", ("k",), whole=True)], 100)] == [True]
    assert [part.place for part in split([Part(text, "page 1")], 100)] == ["page 1", "page 1"]


def found(text: str, question: str, *, begins: bool = False) -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE VIRTUAL TABLE terms USING fts5 (text, tokenize='{terms.TOKENIZER}')")
        connection.execute("INSERT INTO terms VALUES (?)", (terms.indexed(text),))
        wanted = " OR ".join(terms.expressions(question, begins=begins))
        return bool(wanted and connection.execute("SELECT 1 FROM terms WHERE terms MATCH ?", (wanted,)).fetchone())


@given(TEXTS)
@example('" OR NEAR(a b) text: * -')
@example("NOT AND OR")
def test_any_text_is_a_valid_search(text: str) -> None:
    for begins in (False, True):
        found("something", text, begins=begins)


@given(st.text(st.sampled_from("挂载数据盘磁abc12 -."), min_size=1, max_size=12))
def test_a_text_is_found_by_itself(text: str) -> None:
    assert found(f"before {text} behind", text) == bool(terms.expressions(text))


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("请先挂载数据盘", "挂载"),
        ("请先挂载数据盘", "怎么挂载磁盘？"),
        ("请先挂载数据盘", "盘"),
        ("请先挂载数据盘", "载"),
        ("把 eth0 接口重启", "eth0接口"),
        ("The disk was mounted.", "mounting disks"),
        ("Ébène", "ebene"),
        ("VPN IP", "ip"),
    ],
)
def test_words_are_found(text: str, question: str) -> None:
    assert found(text, question)


def test_words_that_begin_so_are_found_where_none_is_equal() -> None:
    assert not found("interface GigabitEthernet0", "Gigabit")
    assert found("interface GigabitEthernet0", "Gigabit", begins=True)


@pytest.mark.parametrize(
    ("question", "key", "named"),
    [
        ("what does ALM-7003 mean?", "alm-7003", True),
        ("what does ALM-70031 mean?", "alm-7003", False),
        ("XALM-7003", "alm-7003", False),
        ("XALM-7003 or ALM-7003", "alm-7003", True),
        ("数据盘挂载失败怎么办", "挂载失败", True),
        ("7003", "7003", True),
        ("7003 hosts are down", "7003", False),
        ("x", "x", True),
        ("x y", "x", False),
        ("Fibre   Cut\nagain", "fibre cut", True),
    ],
)
def test_a_key_counts_as_a_word_of_its_own(question: str, key: str, *, named: bool) -> None:
    assert terms.names(terms.normal(question), terms.normal(key)) is named


@given(st.text())
def test_clean_text_can_be_stored(text: str) -> None:
    assert "\0" not in clean(text)
    clean(text).encode()
