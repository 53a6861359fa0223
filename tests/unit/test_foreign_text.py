"""No text of a host's, of a provider's or of a file makes a parser fail in another way than its own. scripts/fuzz looks for longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, families, question

SHAPES = (
    b"9" * 5000,
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b"\xff\xfe\0",
    "\u2028\x85\x1c".encode(),
    b"\t" * 50,
    b"=",
    b"= x y\n",
    b"x 1\n" * 3,
    b"",
)
"""What has been the end of parsers: numbers too long for int, JSON too deep, bytes of no character, ends of lines for some."""

WORDS = st.sampled_from([b"novaops", b"now", b"yes", b"no", b"-1", b"0", b"a=b", b"{}", b"[]", b"null", b"tunnel", b"end", *SHAPES])
TEXTS = st.lists(st.one_of(st.binary(max_size=20), WORDS, st.sampled_from([b" ", b"\t", b"\n", b":", b"="])), max_size=12).map(b"".join)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", TARGETS)
def test_a_shape_that_has_been_the_end_of_parsers(name: str, shape: bytes) -> None:
    TARGETS[name](shape)


@pytest.mark.parametrize("name", TARGETS)
@given(data=TEXTS)
def test_any_text(name: str, data: bytes) -> None:
    TARGETS[name](data)


def test_every_question_is_a_target() -> None:
    assert len({question(family) for family in families()}) > 30
