"""The secrets of a check."""

from __future__ import annotations

from pathlib import Path

import pytest

from novaops.errors import UsageError
from novaops.features.api.check import resolver


def test_a_secret_is_looked_up_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    resolve = resolver()
    assert {resolve(f"cmd:echo x >>{count}; echo s").reveal() for _ in range(2)} == {"s"}
    for _ in range(2):
        with pytest.raises(UsageError):
            resolve(f"cmd:echo x >>{count}; false")
    assert count.read_text() == "x\n" * 2
