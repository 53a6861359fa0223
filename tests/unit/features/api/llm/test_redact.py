from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import Refused
from novaops.features.api.llm.protocol import ApiFailed, Credential, Delta, Event, Finished, Passage, Usage
from novaops.features.api.llm.redact import SHOWN, Redactor, hidden, secrets_of
from novaops.features.api.llm.route import Route
from novaops.providers.loader import load
from novaops.secret import Secret

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


@pytest.mark.parametrize(
    ("credential", "headers", "scheme"),
    [
        (None, {"Authorization": "Basic YW5hOmh1bnRlcjIycHc="}, "Bearer"),
        (None, {"authorization": "basic YW5hOmh1bnRlcjIycHc="}, "Bearer"),
        (Secret("YW5hOmh1bnRlcjIycHc="), {}, "Basic"),
    ],
)
def test_a_login_is_no_secret_in_base64_alone(credential: Credential, headers: dict[str, str], scheme: str) -> None:
    provider = load("openai")
    provider = provider.model_copy(update={"key": provider.key.model_copy(update={"scheme": scheme})})
    route = Route(provider, headers={name: Secret(value) for name, value in headers.items()})
    redactor = Redactor(secrets_of(credential, route))
    assert redactor.text("user ana password hunter22pw, or YW5hOmh1bnRlcjIycHc=") == "user ana password [secret], or [secret]"


def test_a_header_that_is_no_login() -> None:
    for value in ("Basic", "Basic é", "Basic AAA", "Basic /w==", "Token x"):
        assert secrets_of(None, Route(load("openai"), headers={"Authorization": Secret(value)}))


def test_halves_of_a_character_are_put_together() -> None:
    redactor = Redactor(SECRETS)
    assert [redactor.feed(piece) for piece in ("a\ud83d", "\ude00b", "\ud83d", "c", "\ude00", "\ud83d")] == ["a", "😀b", "", "?c", "?", ""]
    assert redactor.end() == "?"


def test_an_error_loses_its_secrets() -> None:
    error = Redactor(SECRETS).error(Refused("sk-123456 is wrong", why="see sk-123456", fix="not sk-12345"))
    assert (error.what, error.why, error.fix) == ("[secret] is wrong", "see [secret]", "not sk-12345")


def test_a_document_loses_its_secrets_and_keeps_its_form() -> None:
    document = {"sk-123456": ["sk-123456", ("a sk-123456", 5, None, True)], "b": {"c": "text"}}
    assert Redactor(SECRETS).document(document) == {"sk-123456": ["[secret]", ["a [secret]", 5, None, True]], "b": {"c": "text"}}


def events(*given: Event, error: ApiFailed | None = None) -> Generator[Event]:
    yield from given
    if error:
        raise error


def test_no_event_has_a_secret() -> None:
    """Each answer, and what is thought before it, is a text of its own: their pieces come in turns."""
    found = hidden(
        events(
            Passage("see sk-123456", "sk-123456.pdf", "page sk-123456"),
            Delta("think sk-12", reasoning=True),
            Delta("say sk-12"),
            Delta("two sk-12", 1),
            Delta("3456.", reasoning=True),
            Delta("3456."),
            Delta("3456.", 1),
            Delta("sk-1"),
            Finished("stop sk-123456"),
            Delta("sk-1", 1),
            Usage(1, 2),
        ),
        lambda: Redactor(SECRETS),
    )
    assert list(found) == [
        Passage("see [secret]", "[secret].pdf", "page [secret]"),
        Delta("think ", reasoning=True), Delta("say "), Delta("two ", 1),
        Delta("[secret].", reasoning=True), Delta("[secret]."), Delta("[secret].", 1),
        Delta("sk-1"), Finished("stop [secret]"), Usage(1, 2), Delta("sk-1", 1),
    ]  # fmt: skip


def test_what_came_before_a_cut_is_there() -> None:
    found: list[Event] = []
    with pytest.raises(ApiFailed, match=r"cut after \[secret\]$"):
        found.extend(hidden(events(Delta("a sk-1"), error=ApiFailed("cut after sk-123456")), lambda: Redactor(SECRETS)))
    assert found == [Delta("a "), Delta("sk-1")]


def test_leaving_the_events_ends_the_request() -> None:
    asked = events(Delta("a"), Delta("b"))
    found = hidden(asked, lambda: Redactor(SECRETS))
    next(found)
    found.close()
    assert list(asked) == []
