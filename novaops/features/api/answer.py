"""What has come of an answer so far, and how it is shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from novaops.features.api.llm.protocol import Delta, Event, Finished, Passage, Usage


@dataclass
class Answer:
    """The events of one request, put together."""

    texts: dict[int, str] = field(default_factory=dict)
    """By the number of each of the `n` answers."""
    reasoning: str = ""
    reasons: dict[int, str] = field(default_factory=dict)
    """Why each is finished."""
    passages: list[Passage] = field(default_factory=list)
    usage: Usage | None = None

    def add(self, event: Event) -> None:
        if isinstance(event, Delta) and event.reasoning:
            self.reasoning += event.text
        elif isinstance(event, Delta):
            self.texts[event.choice] = self.texts.get(event.choice, "") + event.text
        elif isinstance(event, Finished):
            self.reasons[event.choice] = event.reason
        elif isinstance(event, Passage):
            self.passages.append(event)
        else:
            before = self.usage or event
            self.usage = Usage(max(before.prompt_tokens, event.prompt_tokens), max(before.answer_tokens, event.answer_tokens))

    @property
    def text(self) -> str:
        """The first of the answers."""
        return self.texts.get(0, "")

    def document(self) -> dict[str, Any]:
        numbers = sorted({*self.texts, *self.reasons})
        return {
            "answers": [{"text": self.texts.get(one, ""), "finish_reason": self.reasons.get(one)} for one in numbers],
            "reasoning": self.reasoning,
            "passages": [{"text": one.text, "source": one.source} for one in self.passages],
            "usage": self.usage and {"prompt_tokens": self.usage.prompt_tokens, "answer_tokens": self.usage.answer_tokens},
        }

    def several(self) -> str:
        """All answers of a request for more than one, each below its number."""
        return "\n\n".join(f"[{number + 1}]\n{self.texts[number].strip()}" for number in sorted(self.texts))


@dataclass(frozen=True)
class Timing:
    """Seconds after the request was sent."""

    first: float | None
    """When the first piece of the answer came; None if none did."""
    end: float

    def document(self) -> dict[str, Any]:
        return {"first_token_ms": None if self.first is None else round(self.first * 1000), "seconds": round(self.end, 3)}


def account(answer: Answer, timing: Timing, of: str) -> str:
    """One line about the answer: `of` says of which model by which route."""
    parts = [f"first token after {timing.first * 1000:.0f} ms" if timing.first is not None else "no token", f"{timing.end:.1f} s in all"]
    if answer.usage:
        parts.append(f"{answer.usage.prompt_tokens} tokens asked, {answer.usage.answer_tokens} answered")
    cut = [reason for reason in answer.reasons.values() if reason not in {"stop", "end_turn"}]
    if cut:
        parts.append(f"ended by {', '.join(dict.fromkeys(cut))}")
    return f"{of}: {'; '.join(parts)}"
