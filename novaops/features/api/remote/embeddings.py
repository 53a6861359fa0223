"""Vectors from the embeddings of a provider: OpenAI's `/embeddings`, or SenseNova's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import ApiFailed
from novaops.features.api.llm.reading import count

_PATHS = {"sensenova": "/llm/embeddings"}


@dataclass(frozen=True)
class Embeddings:
    """An Embedder."""

    http: Http
    model: str

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Raises ApiFailed, Unreachable."""
        path = _PATHS.get(self.http.provider.chat.form, "/embeddings")
        document = self.http.document("POST", path, json={"model": self.model, "input": list(texts)}, model=self.model)
        found = document.get("data") or document.get("embeddings") if isinstance(document, dict) else None
        try:
            by_number = sorted(found or (), key=lambda each: count(each.get("index")))
            return [[float(number) for number in each["embedding"]] for each in by_number]
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
            raise ApiFailed(f"{self.http.name} answers with no embeddings", fix="is it a model of embeddings?") from None
