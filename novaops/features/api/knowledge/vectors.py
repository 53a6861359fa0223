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
        matrix = np.asarray(found, dtype=np.float32)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        packed += [row.tobytes() for row in matrix / np.where(lengths == 0, 1, lengths)]
    return packed


def nearest(packed: Sequence[tuple[int, bytes]], wanted: bytes, count: int) -> list[int]:
    """Ids of the passages whose vectors are nearest to the wanted one, nearest first. One of another size is left out."""
    np = _numpy()
    same = [(number, vector) for number, vector in packed if len(vector) == len(wanted)]
    if not same:
        return []
    matrix = np.frombuffer(b"".join(vector for _, vector in same), dtype=np.float32).reshape(len(same), -1)
    scores = matrix @ np.frombuffer(wanted, dtype=np.float32)
    return [same[index][0] for index in np.argsort(-scores, kind="stable")[:count]]
