from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import Refused
from novaops.features.api.app.redact import SHOWN, Redactor

SECRETS = ["sk-123456", "aaaaaab", "Basic sk-123456"]
PIECES = st.sampled_from([*SECRETS, "sk-", "123", "456", "a", "aaaaaa", "b", " ", "text", "秘密", "Basic "])


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(st.integers(0, 80), max_size=12))
def test_no_split_lets_a_secret_through(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    redactor = Redactor(SECRETS)
    given_on = [redactor.feed(text[start:end]) for start, end in pairwise(places)]
    whole = "".join([*given_on, redactor.end()])
    assert not [secret for secret in SECRETS if secret in whole]
    assert whole == text or SHOWN in whole


def test_only_what_may_be_the_beginning_of_a_secret_is_held_back() -> None:
    redactor = Redactor(SECRETS)
    assert redactor.feed("Hello, ask") == "Hello, a"
    assert redactor.feed("ing") == "sking"
    assert redactor.end() == ""


def test_a_short_key_is_no_secret() -> None:
    assert Redactor(["", "no", "local"]).text("nobody is local") == "nobody is local"


def test_an_error_loses_its_secrets() -> None:
    error = Redactor(SECRETS).error(Refused("sk-123456 is wrong", why="see sk-123456", fix="not sk-12345"))
    assert (error.what, error.why, error.fix) == ("[secret] is wrong", "see [secret]", "not sk-12345")
