"""Server-sent events, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.api.llm import sse
from novaops.features.api.llm.sse import ServerEvent, events

PIECES = st.sampled_from(
    [
        "data: a",
        "data:a",
        "data",
        "data:",
        "data: é🌍漢",
        "data: [DONE]",
        "event: ping",
        ": a comment",
        "id: 1",
        "retry: 10",
        "",
        "",
        "\ufeff",
        "x: y",
    ]
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.tuples(PIECES, ENDS)), st.lists(st.integers(0, 400)))
def test_any_split_gives_the_same_events(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    data = "".join(line + end for line, end in lines).encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[start:end] for start, end in pairwise(places)]
    assert list(events(parts)) == list(events([data]))
    assert list(events([data[number : number + 1] for number in range(len(data))])) == list(events([data]))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1), min_size=1))
def test_what_was_written_is_read(texts: list[str]) -> None:
    written = "".join(f"data: {text}\n\n" for text in texts).encode()
    assert [event.data for event in events([written])] == texts


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data:a\n\n", ["a"]),
        (b"data:  a\n\n", [" a"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b": comment\n\ndata: a\n: comment\ndata: b\n\n", ["a\nb"]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"]),
        (b"data: a", ["a"]),
        (b"data: a\n", ["a"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data\n\n", [""]),
        (b"event: x\n\ndata: a\n\n", ["a"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"", []),
        (b"\n\n\n", []),
        (b"id: 1\nretry: 5\nother: x\n\n", []),
    ],
)
def test_events(written: bytes, found: list[str]) -> None:
    assert [event.data for event in events([written])] == found


def test_names() -> None:
    assert list(events([b"event: ping\ndata: 1\n\ndata: 2\n\n"])) == [ServerEvent("1", "ping"), ServerEvent("2")]


def test_a_letter_cut_in_the_middle() -> None:
    data = "data: 漢\n\n".encode()
    assert [event.data for event in events([data[:8], data[8:]])] == ["漢"]


@pytest.mark.parametrize("chunk", [b"data: " + b"a" * 1000, b"data: " + b"a" * 1000 + b"\n"])
def test_an_event_without_an_end_is_given_up(chunk: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST", 5000)
    with pytest.raises(sse.TooLong):
        list(events([chunk] * 10))
