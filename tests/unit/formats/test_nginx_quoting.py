"""Values in nginx's configuration: each is read as itself, or not taken.

What nginx reads is said by its own rules (proxy_sites) here, and by nginx itself in tests/lab/proxy/test_nginx_syntax.py.
"""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.formats.nginx_quoting import DOLLAR, exactly, literal, quoted, variable
from tests.support.proxy_sites import HOSTILE, NAMES, nginx_words

TEXTS = st.one_of(HOSTILE, st.text(max_size=20))
EXAMPLES = (
    "",
    "\\",
    "\\\\",
    '\\"',
    "\\'",
    "\\n",
    "\\\\n",
    "\\t\\r\\x",
    '"',
    "'",
    '";}',
    "${x}",
    "$",
    "a\\",
    "{",
    "}",
    "#",
    " ",
    "é\u2028汉",
)


def has_controls(text: str) -> bool:
    return any(unicodedata.category(c) == "Cc" for c in text)


@given(TEXTS)
def test_a_quoted_text_is_one_word_and_itself(text: str) -> None:
    if has_controls(text):
        with pytest.raises(ValueError, match="control characters"):
            quoted(text)
    else:
        assert nginx_words(f"a {quoted(text)};b") == ["a", text, ";", "b"]


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_means_something_to_nginx(text: str) -> None:
    assert nginx_words(f"a {quoted(text)};b") == ["a", text, ";", "b"]
    assert nginx_words(f"a {literal(text)} b") == ["a", text.replace("$", f"${{{DOLLAR}}}"), "b"]


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\t", "\0", "\x7f", "\x85", "\x1b[0m"])
def test_no_control_characters(text: str) -> None:
    for write in (quoted, literal):
        with pytest.raises(ValueError, match="control characters cannot stand in nginx's configuration"):
            write(text)


@given(TEXTS.filter(lambda text: not has_controls(text)))
def test_a_literal_has_no_variable_in_it_but_the_one_that_is_a_dollar(text: str) -> None:
    [word] = nginx_words(literal(text))
    assert re.sub(r"\$\{novaops_dollar\}", "$", word) == text
    assert re.findall(r"\$[^{]|\$\{(?!novaops_dollar\})|\$$", word) == []


@given(TEXTS, TEXTS)
@example("token", "TOKEN")
@example("token", "token\n")
@example("token", "tokens")
@example("token", "atoken")
@example("a.b", "axb")
@example("", "")
@example("é", "É")
def test_a_key_matches_exactly(text: str, other: str) -> None:
    """As the regular expression that nginx makes of it, without regard to case in what follows ~* only."""
    [word] = nginx_words(exactly(text))
    assert word.startswith("~^")
    assert word.endswith(r"\z")
    pattern = re.compile(word[1:].removesuffix(r"\z").encode() + rb"\Z")
    assert pattern.match(text.encode())
    assert bool(pattern.match(other.encode())) is (text == other)


@given(st.lists(NAMES, min_size=2, max_size=6, unique=True))
@example(["API", "api"])
@example(["a-b", "a_b", "a.b", "a_2d_b", "A-b"])
@example(["a" * 62 + "b", "a" * 63])
@example(["openai-gateway-for-the-customers", "openai-gateway-for-the-customer", "x" + "-" * 40])
def test_names_of_variables_differ_and_fit(names: list[str]) -> None:
    """Case does not count in them, and nginx's table takes 46 characters."""
    found = [variable(name) for name in names]
    assert len({name.lower() for name in found}) == len(names)
    for name in found:
        assert re.fullmatch("[a-z0-9_]+", name)
        assert len(f"novaops_{name}_user") <= 46
