"""Vectors of texts from any server that has `/v1/embeddings`, compared by numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from novaops.errors import UsageError

BATCH = 64
"""Texts of one request."""


class Embedder(Protocol):
    """A model of embeddings."""

    @property
    def model(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each text. Raises NovaopsError where the server fails."""


def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError:
        raise UsageError("vectors need numpy", fix="pip install 'novaops[vectors]'") from None
    return np


def pack(embedder: Embedder, texts: Sequence[str]) -> list[bytes]:
    """The vectors of the texts, of length 1, as they are stored. Raises UsageError where the server gave something else."""
    np = _numpy()
    packed: list[bytes] = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        found = embedder.embed(batch)
        if len(found) != len(batch) or len({len(each) for each in found}) != 1:
            raise UsageError(f"the model {embedder.model} gave {len(found)} vectors for {len(batch)} texts")
        matrix = np.asarray(found, dtype=np.float64)
        with np.errstate(over="ignore"):  # it is inf then
            lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            why = "They are empty, nothing but zeros, or have what is no number: nothing would be near to them."
            raise UsageError(f"the model {embedder.model} gave vectors that say nothing", why=why, fix="is it a model of embeddings?")
        packed += [row.tobytes() for row in (matrix / lengths).astype(np.float32)]
    return packed


def nearest(packed: Sequence[tuple[int, bytes]], wanted: bytes, count: int) -> list[int]:
    """Ids of the passages whose vectors are nearest to the wanted one, nearest first. Raises UsageError where one has another size."""
    np = _numpy()
    if others := sum(len(vector) != len(wanted) for _, vector in packed):
        what = f"{others} of {len(packed)} vectors have another size than those that the model gives now"
        fix = "take the documents out of the knowledge base and add them again, or create it anew"
        raise UsageError(what, why="Their passages would not be found by meaning.", fix=fix)
    matrix = np.frombuffer(b"".join(vector for _, vector in packed), dtype=np.float32).reshape(len(packed), -1)
    scores = matrix @ np.frombuffer(wanted, dtype=np.float32)
    return [packed[index][0] for index in np.argsort(-scores, kind="stable")[:count]]
