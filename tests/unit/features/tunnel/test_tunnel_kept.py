"""`tunnel up --to …` without a name: another tunnel that has the default name stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from novaops.app import run
from novaops.engine.planner import make_plan
from novaops.facts.file import FileAt, FileState
from novaops.features.tunnel.resources.tunnel_kept import TunnelKept
from novaops.model.question import Facts, Missing
from tests.unit.features.tunnel.support import file_of, wishes

FILE = "/etc/novaops/tunnel/openai.forwards"
OPENAI = {"name": "openai", "via": "gate", "to": "api.openai.com:443", "listen": 8443}


@pytest.mark.parametrize(
    ("target", "refused"),
    [("api.openai.com:443", False), ("files.openai.com:443", True), ("api.openai.com:80", True)],
)
def test_another_target_of_the_same_name(target: str, refused: bool) -> None:  # noqa: FBT001 - a column of the table
    made = file_of(wishes(OPENAI), FILE)
    for there in (Missing.ABSENT, FileState("regular file", content=made.encode())):
        plan = make_plan([TunnelKept("openai", (target,))], Facts({FileAt(FILE): there}, {}))
        assert not plan.steps
        refusals = [error for _, error in plan.refusals]
        assert bool(refusals) == (refused and there is not Missing.ABSENT)
        assert all(error.what == f"openai leads to api.openai.com:443, and would lead to {target} instead" for error in refusals)
        assert all("--name openai turns this one" in error.fix for error in refusals)


@pytest.mark.parametrize(
    ("words", "asked"), [(["--to", "files.openai.com:443"], True), (["--name", "openai", "--to", "files.openai.com:443"], False)]
)
def test_who_names_it_may_turn_it(words: list[str], asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    seen: list[str] = []

    def remember(hosts: list[object], *_: object) -> list[object]:
        seen.extend(resource.id for host in hosts for resource in host.resources)  # type: ignore[attr-defined] # a DesiredHost
        raise AssertionError

    monkeypatch.setattr("novaops.cli.section_verb.converge_all", remember)
    file = tmp_path / "inventory.yaml"
    file.write_text(json.dumps({"hosts": {"box": {"address": "192.0.2.1"}, "gate": {"address": "192.0.2.2"}}}))
    run(["-i", str(file), "tunnel", "up", "box", "--via", "gate", "--listen", "8444", *words])
    assert ("tunnel as made:openai" in seen) == asked
    assert seen
