"""In which pieces a file goes to a provider."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from novaops.features.api.remote.uploads import Counted

ASKED = 65536
"""Bytes that httpx asks for at a time."""


@pytest.mark.parametrize(("size", "piece"), [(0, 0), (100, 100), (200_000, ASKED), (20 << 20, 20 * (1 << 20) // 200), (220 << 20, 1 << 20)])
def test_pieces_grow_with_the_file(tmp_path: Path, size: int, piece: int) -> None:
    """Few for a large file, as each is work; and never so large that a progress bar would stand still."""
    path = tmp_path / "file.txt"
    content = random.Random(size).randbytes(size)  # noqa: S311 - no secret
    path.write_bytes(content)
    seen: list[tuple[int, int]] = []
    with Counted(path, size, lambda *sent: seen.append(sent)) as file:
        pieces = list(iter(lambda: file.read(ASKED), b""))
    assert b"".join(pieces) == content
    assert max(map(len, pieces), default=0) == piece
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
