"""No text of a host's, of a provider's or of a file makes a parser fail in another way than its own. scripts/fuzz looks for longer."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target, families, question

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
    *(b"[]", b"{}", b"null", b"3", b'"a"', b"[1]", b'{"1":1}', b'{"1":{"a":1}}', b'{"a":{}}', b'{"id":"x"}', b'{"id":1e999}'),
    *(b'{"ethernet":3}', b'{"ethernet":[1]}', b'{"id":{}}', b"null}junk"),
)
"""What has been the end of parsers: numbers too long for int, JSON too deep or of another form, bytes of no character, ends of
lines for some."""

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


UNITS = (
    *(b"x ", b"a\n", b"\t", b"{", b'"', b"\\", b",", b"\r", b"A", b"a=b\n", b"a b\n", b"a {\n", b"a {\nb c;\n}\n", b"[0,", b"\x1b"),
    *(b"<a>\n</a>\n", b"remote a 1\n", b"-A INPUT -p tcp -j ACCEPT\n", b"Match User *a*a*a*a\n", b"UUID=a /a ext4 defaults 0 0\n"),
    *(b"server { listen 80; server_name a; }\n", b'",pid=1,fd=1),("', b"event\taction 0 0\n", b"a = 0\n", b"0\r\n"),
    b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
)
LONG = 6_000
"""Bytes. What is quadratic has taken long by twice as many, or its constant is so small that it does not matter."""
BETWEEN = 20
"""Between linear and quadratic work: far enough from both for a busy machine."""
FLOOR_S = 0.1
"""Of the processor: less is not measured well."""


def _seconds(target: Target, data: bytes) -> float:
    began = time.process_time()
    target(data)
    return time.process_time() - began


def grows(target: Target, unit: bytes, size: int = LONG) -> float:
    """How many times longer eight times the text takes: 8 for linear work, 64 for quadratic. 0 for what is too short to tell."""
    text = unit * (size // 4 // len(unit))
    if (large := _seconds(target, text * 8)) < FLOOR_S:
        return 0
    return min(large, _seconds(target, text * 8)) / max(_seconds(target, text) for _ in range(3))


@pytest.mark.parametrize("name", TARGETS)
def test_the_work_is_linear_in_the_text(name: str) -> None:
    assert {unit: by for unit in UNITS if (by := grows(TARGETS[name], unit)) > BETWEEN} == {}


@pytest.mark.parametrize("unit", [b"remote a 1\n", b"<connection>\nremote a 1\n</connection>\n"])
def test_a_profile_may_have_any_number_of_servers(unit: bytes) -> None:
    assert grows(TARGETS["OpenVPN profile"], unit, 50_000) <= BETWEEN


def test_what_is_quadratic_is_found() -> None:
    assert grows(lambda data: sum(1 for _ in range(len(data) ** 2 // 10)), b"x") > BETWEEN


def test_every_question_is_a_target() -> None:
    assert len({question(family) for family in families()}) > 30
