"""Which bare words ssh's own configuration makes a host of."""

from __future__ import annotations

from pathlib import Path

import pytest

from novaops.ssh.known_names import ssh_knows


@pytest.mark.parametrize(
    ("config", "word", "known"),
    [
        ("", "box", False),
        ("", "root", False),
        ("", "no", False),
        ("Host *\n  User jane\n  Port 2222\n", "box", False),
        ("Host *\n  User jane\n", "jane", False),
        ("Host box\n  HostName 192.0.2.1\n", "box", True),
        ("Host box\n  HostName 192.0.2.1\n", "bxo", False),
        ("Host box\n  User jane\n", "box", True),
        ("Host web-*\n  ProxyJump gate\n", "web-1", True),
        ("Match originalhost box\n  Port 2222\n", "box", True),
        ("Host *\n  HostName %h.example.com\n", "box", True),
        ("Include {folder}/more\n", "included", True),
        ("this is no configuration\n", "box", False),
        ("Host *\n  User jane\n", "two words", False),
        ("Host *\n  User jane\n", "-oProxyCommand=id", False),
    ],
)
def test_a_word(config: str, word: str, known: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column of the table
    (tmp_path / "more").write_text("Host included\n  User jane\n")
    file = tmp_path / "config"
    file.write_text(config.format(folder=tmp_path) if "{folder}" in config else config)
    assert ssh_knows(word, file) is known


def test_without_an_ssh_program_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not ssh_knows("box")


def test_the_configuration_is_the_one_in_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By itself ssh takes the account's, whatever HOME says."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host box\n  User jane\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ssh_knows("box")
    assert not ssh_knows("other")
