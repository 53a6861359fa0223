"""What is verified of which host, said before any host is contacted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from novaops.engine import inventory
from novaops.engine.playbooks import Playbooks
from novaops.errors import UsageError
from novaops.verify import selection

HOSTS = """\
hosts:
  data: {address: 192.0.2.1, disk: [{path: /mnt/data}, {path: /mnt/more}], motd: hello}
  greets: {address: 192.0.2.2, motd: hello}
  bare: {address: 192.0.2.3}
"""


@pytest.fixture
def chosen(tmp_path: Path) -> Callable[..., Any]:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "motd.py").write_text("Settings = str\ndef desired(host, settings, peers): return ()\n")
    playbooks = Playbooks(tmp_path)
    known = inventory.parse(HOSTS, "inventory.yaml", list(playbooks.by_name))
    return lambda *words, only=(): selection.choose(known, playbooks, words, only)


def test_choose(chosen: Callable[..., Any]) -> None:
    (one,), (left_out,) = chosen()
    assert one.host.name == "data"
    assert [(feature.name, list(entries)) for feature, entries in one.entries.items()] == [("disk", ["/mnt/data", "/mnt/more"])]
    assert one.unverified == ("motd",)
    assert (left_out.host.name, left_out.unverified) == ("greets", ("motd",))


@pytest.mark.parametrize(
    ("words", "only", "sentence"),
    [
        (["bare"], [], "bare has nothing to verify"),
        (["data", "bare"], [], "bare has nothing to verify"),
        (["greets"], [], "nothing of greets can be verified"),
        (["root@192.0.2.9"], [], "root@192.0.2.9 has nothing to verify"),
        ([], ["motd"], "nothing of data can be verified among motd"),
        (["data"], ["motd"], "nothing of data can be verified among motd"),
    ],
)
def test_nothing_to_verify(chosen: Callable[..., Any], words: list[str], only: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        chosen(*words, only=only)
    assert raised.value.what == sentence


def test_unwritable_junit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        selection.refuse_unwritable(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        selection.refuse_unwritable(tmp_path / "no" / "x.xml")
    selection.refuse_unwritable(tmp_path / "x.xml")
    assert not (tmp_path / "x.xml").exists()
