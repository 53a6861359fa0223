"""The stand-in is understood by the providers' own libraries, unchanged: what it says is what an API says."""

from __future__ import annotations

import pytest

from tests.support.llm_api import KEY, PROMPT_TOKENS, LlmApi

PIECES = ["Hé", "llo 漢", "🌍"]


def test_openai(api: LlmApi) -> None:
    import openai

    api.pieces = PIECES
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0) as client:
        chunks = list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True))
        assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices] == [None, *PIECES, None]
        assert chunks[-1].usage
        assert chunks[-1].usage.prompt_tokens == PROMPT_TOKENS
        whole = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("".join(PIECES), "stop")
        assert [model.id for model in client.models.list()] == api.models
        api.answers = [(429, {}, b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}')]
        with pytest.raises(openai.RateLimitError, match="slow down"):
            client.models.list()


def test_anthropic(api: LlmApi) -> None:
    import anthropic

    api.pieces = PIECES
    with anthropic.Anthropic(base_url=api.url, api_key=KEY, max_retries=0) as client:
        with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream:
            assert list(stream.text_stream) == PIECES
            message = stream.get_final_message()
        assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("end_turn", PROMPT_TOKENS, len(PIECES))
        whole = client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
        assert [block.text for block in whole.content if block.type == "text"] == ["".join(PIECES)]
