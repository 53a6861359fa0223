"""What has come of an answer, and how it is shown."""

from __future__ import annotations

from novaops.features.api.answer import Answer, Timing, account
from novaops.features.api.llm.protocol import Delta, Event, Finished, Passage, Usage


def answer(*events: Event) -> Answer:
    made = Answer()
    for event in events:
        made.add(event)
    return made


def test_several_answers_are_told_apart() -> None:
    made = answer(Delta("a", 0), Delta("x", 1), Delta("b", 0), Finished("stop", 0), Finished("length", 1), Delta("hm", 0, reasoning=True))
    assert made.document()["answers"] == [{"text": "ab", "finish_reason": "stop"}, {"text": "x", "finish_reason": "length"}]
    assert (made.text, made.reasoning, made.several()) == ("ab", "hm", "[1]\nab\n\n[2]\nx")


def test_passages_and_usage() -> None:
    made = answer(Passage("p", "f.pdf"), Usage(7, 0), Usage(0, 3))
    assert made.document()["passages"] == [{"text": "p", "source": "f.pdf"}]
    assert made.document()["usage"] == {"prompt_tokens": 7, "answer_tokens": 3}
    assert answer().document()["usage"] is None


def test_account() -> None:
    made = answer(Delta("a"), Usage(7, 3), Finished("length"))
    assert account(made, Timing(0.1234, 2), "x by direct") == (
        "x by direct: first token after 123 ms; 2.0 s in all; 7 tokens asked, 3 answered; ended by length"
    )
    assert account(answer(Finished("stop")), Timing(None, 2), "x") == "x: no token; 2.0 s in all"
