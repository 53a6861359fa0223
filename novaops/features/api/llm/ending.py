"""How an answer ended: whole, cut short, kept back or broken off, by the words that the providers have for it. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from novaops.features.api.llm import failure
from novaops.features.api.llm.protocol import ApiFailed, Incomplete

BROKEN = frozenset({"error", "failed", "cancelled", "insufficient_system_resource", "network_error"})
"""Of an answer that is none, in the words of OpenRouter, OpenAI's responses, DeepSeek and Zhipu."""
CALLS = frozenset({"tool_calls", "tool_use", "function_call"})
"""Of an answer that needs no words."""
_MOST = frozenset({"length", "max_tokens", "max_output_tokens"})
"""The most tokens: with --max-tokens that is what was asked for."""
_SHORT = frozenset({"model_context_window_exceeded", "model_length", "pause_turn", "incomplete"})
_KEPT_BACK = frozenset({"content_filter", "sensitive", "refusal", "safety", "recitation", "blocklist", "prohibited_content", "spii"})


def fault(name: str, reasons: Iterable[str], *, limited: bool) -> ApiFailed | None:
    """What keeps the answers that ended so from being whole. `limited`: whether the request said how long they may be."""
    by = {reason.lower(): reason for reason in reasons}
    if kept := _said(by, _KEPT_BACK):
        what = f"{name} kept the answer back, or a part of it"
        return ApiFailed(what, why=kept, fix="put the question in other words, or take another --model")
    if most := "" if limited else _said(by, _MOST):
        return Incomplete(f"the answer of {name} is cut short", why=most, fix="--max-tokens N lets it be longer")
    if short := _said(by, _SHORT):
        return Incomplete(f"the answer of {name} is cut short", why=short, fix="ask it to go on, or send less before the question")
    return None


def _said(by: Mapping[str, str], words: Container[str]) -> str:
    return next((f"It says that it ended by: {said}." for word, said in by.items() if word in words), "")


def empty(name: str, reasons: Iterable[str], *, thought: bool) -> ApiFailed:
    """What is wrong where the answer has no words: `thought`, nothing but those that the model says to itself."""
    reason = ", ".join(dict.fromkeys(reasons))
    said = ("The model thought, and then said nothing." if thought else "", f"It says that it ended by: {reason}." if reason else "")
    error = failure.no_answer(name, " ".join(filter(None, said)))
    if thought or reason:
        error.fix = "--max-tokens N leaves more room for words" if thought else "run it again, or put the question in other words"
    return error
