"""`tunnel up --to …` without a name: another tunnel that has the default name stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from novaops.app import run
from novaops.engine.planner import make_plan
from novaops.facts.file import FileAt, FileState
from novaops.features.tunnel.facts.ends import AuthorizedKeys, AuthorizedKeysFile
from novaops.features.tunnel.resources.reach_kept import ReachKept
from novaops.features.tunnel.resources.tunnel_kept import TunnelKept
from novaops.model.question import Facts, Missing
from tests.unit.features.tunnel.support import HOME, file_of, wishes

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


SOCKS = ["--socks", "1080", "--ask", "https://api.openai.com/v1/models"]
NARROW = "db.internal:5432"
NARROWED = {"name": "socks", "via": "gate", "socks": 1080, "check": "https://api.openai.com/", "reaches": ["api.openai.com:443"]}


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ((), False),
        (("*:80", "*:443"), False),
        (("*:*",), False),
        (("*:80", "*:443", "*:22"), False),
        ((NARROW,), True),
        (("*:443",), True),
        (("api.openai.com:*", "*:80"), True),
    ],
)
def test_a_proxy_is_not_let_reach_more_unsaid(before: tuple[str, ...], refused: bool) -> None:  # noqa: FBT001 - a column of the table
    options = ",".join(["restrict", "port-forwarding", *(f'permitopen="{one}"' for one in before)])
    line = f"{options} ssh-ed25519 AAAA novaops:box/socks\n" if before else ""
    others = 'permitopen="10.0.0.1:22" ssh-ed25519 BBBB novaops:other/socks\n#permitopen="a:1" ssh-ed25519 AAAA novaops:box/socks\n'
    there = AuthorizedKeysFile(HOME, (others + line).encode(), "0644", "root", "root", folder=True)
    plan = make_plan([ReachKept("box", "socks", "novaops:box/socks", ("*:80", "*:443"))], Facts({AuthorizedKeys(): there}, {}))
    assert not plan.steps
    refusals = [error for _, error in plan.refusals]
    assert bool(refusals) == refused
    for error in refusals:
        assert error.what.startswith(f"the tunnel socks of box may reach {', '.join(before)}, and would be let reach *:")
        assert f"--reaches {','.join(before)} leaves it as it is" in error.fix


@pytest.mark.parametrize(
    ("section", "words", "asked"),
    [
        ([], SOCKS, True),
        ([], [*SOCKS, "--name", "socks"], True),
        ([], [*SOCKS, "--reaches", f"{NARROW},*:443"], False),
        ([NARROWED], SOCKS, False),
        ([], ["--to", "api.openai.com:443", "--listen", "8443"], False),
    ],
)
def test_who_says_what_it_reaches_may_widen_it(
    section: list[object],
    words: list[str],
    asked: bool,  # noqa: FBT001 - a column of the table
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def remember(hosts: list[object], *_: object) -> list[object]:
        seen.extend(resource.id for host in hosts for resource in host.resources)  # type: ignore[attr-defined] # a DesiredHost
        raise AssertionError

    monkeypatch.setattr("novaops.cli.section_verb.converge_all", remember)
    file = tmp_path / "inventory.yaml"
    box = {"address": "192.0.2.1", **({"tunnel": section} if section else {})}
    file.write_text(json.dumps({"hosts": {"box": box, "gate": {"address": "192.0.2.2"}}}))
    run(["-i", str(file), "tunnel", "up", "box", "--via", "gate", *words])
    assert ("reach as made:box/socks" in seen) == asked
    assert seen
