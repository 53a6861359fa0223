"""What others wrote, as it is shown: nothing in it moves, erases, colours or reorders."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.formats import visible

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    ("said", "one_line"),
    [
        ("\x1b[2K\x1b[1A✓ box  unchanged", r"\x1b[2K\x1b[1A✓ box  unchanged"),
        ("a\n✓ box", r"a\n✓ box"),
        ("a\r✓ box", r"a\r✓ box"),
        ("\x9b2J\x85", r"\x9b2J\x85"),
        ("evil\u202egpj.exe", r"evil\u202egpj.exe"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("a\tb", "a    b"),
        ("Größe 漢字 🙂", "Größe 漢字 🙂"),
        ("\x7f\x00", r"\x7f\x00"),
    ],
)
def test_one_line(said: str, one_line: str) -> None:
    assert visible.line(said) == one_line


@given(st.text())
def test_nothing_unseen_is_left(said: str) -> None:
    assert not {c for c in visible.line(said) if hidden(c)}
    assert {c for c in visible.lines(said) if hidden(c)} <= {"\n", "\t"}
    assert visible.line(visible.line(said)) == visible.line(said)


def test_every_control_there_is() -> None:
    assert [c for c in map(chr, range(0x110000)) if hidden(c) and c in visible.line(c)] == []


def hidden(c: str) -> bool:
    """Whether it is a control of a terminal, of lines or of the direction of text."""
    return unicodedata.category(c) in {"Cc", "Zl", "Zp"} or unicodedata.bidirectional(c) in BIDI or c in "\u061c\u200e\u200f"


def test_a_document() -> None:
    given = {"what": "a\nb\x1b[0m", "why": "a\nb\x9b", "list": ["\u202e"], "k\x1bey": {"text": ["x\r\ny"]}, "n": 1, "yes": True}
    assert visible.document(given) == {
        "what": r"a\nb\x1b[0m",
        "why": "a\nb\\x9b",
        "list": [r"\u202e"],
        r"k\x1bey": {"text": ["x\ny"]},
        "n": 1,
        "yes": True,
    }
    assert json.dumps(visible.document(given), ensure_ascii=False).isprintable()
