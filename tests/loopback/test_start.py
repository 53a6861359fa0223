"""What is loaded: a check loads nothing that only other commands need. Modules are counted, and no time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.llm_api import KEY, LlmApi

if TYPE_CHECKING:
    from tests.loopback.conftest import Host

MOST = 550
"""Modules that a check with nothing to do may load: Fabric without its tasks and mocks, and no verb but the one that was called."""

THINGS = Path(__file__).parents[1] / "support/playbooks/things.py"

PROGRAM = """
import json, sys
searched = []
sys.addaudithook(lambda event, given: searched.append(str(given[0])) if event == "open" and "entry_points.txt" in str(given[0]) else None)
from novaops.app import run
try:
    code = run(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
print(json.dumps([code, sorted(sys.modules), searched]), file=sys.stderr)
"""


def loaded(*words: str, folder: Path) -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, cwd=folder, check=True)
    code, modules, searched = json.loads(done.stderr.splitlines()[-1])
    assert code in {0, None}, done.stdout + done.stderr
    assert searched == [], "other packages were searched for plugins"
    return set(modules)


def of(modules: set[str], packages: Sequence[str]) -> list[str]:
    return sorted(one for one in modules if one.split(".")[0] in packages or one in packages)


def test_help_loads_typer_and_little_else(tmp_path: Path) -> None:
    bare = set(json.loads(subprocess.check_output([sys.executable, "-c", "import json, sys, typer; print(json.dumps(list(sys.modules)))"])))
    modules = loaded("--help", folder=tmp_path)
    assert len(modules - bare) <= 16, sorted(modules - bare)
    assert not [name for name in modules if name.startswith(("novaops.features.", "novaops.lab"))]


def test_the_help_of_a_verb_loads_its_feature_alone(tmp_path: Path) -> None:
    modules = loaded("tunnel", "up", "--help", folder=tmp_path)
    assert {name.split(".")[2] for name in modules if name.startswith("novaops.features.")} == {"tunnel"}


@pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here")
def test_a_check_loads_what_it_needs(host: Host, tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    shutil.copyfile(THINGS, tmp_path / "playbooks/things.py")
    (tmp_path / "right").write_text("as wanted")
    (tmp_path / "right").chmod(0o644)
    keys = {"address": "127.0.0.1", "port": host.port, "user": "root", "identity": str(host.identity), "known_hosts": str(host.known_hosts)}
    wanted = {"things": [{"path": str(tmp_path / "right"), "content": "as wanted", "mode": "0644"}]}
    (tmp_path / "inventory.yaml").write_text(json.dumps({"hosts": {"box": {**keys, **wanted}}}))
    modules = loaded("apply", folder=tmp_path)
    assert of(modules, ["asyncio", "unittest", "jinja2", "pytest", "rich", "multiprocessing", "novaops.engine.run", "novaops.lab"]) == []
    assert "invoke.vendor.yaml.parser" not in modules
    assert {name.split(".")[2] for name in modules if name.startswith("novaops.features.")} <= {"proxy", "tunnel", "vpn"}
    assert len(modules) <= MOST, len(modules)


UNASKED = ("novaops.features.api.knowledge", "novaops.features.api.remote", "novaops.features.api.routes", "novaops.features.tunnel")


def test_a_question_loads_neither_ssh_nor_knowledge_bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is loaded before the request is sent."""
    monkeypatch.setenv("KEY", KEY)
    with LlmApi() as api:
        modules = loaded("api", "chat", "hi", "--provider", "local", "--upstream", f"{api.url}/v1", "--key", "env:KEY", folder=tmp_path)
    assert of(modules, ["paramiko", "fabric", "invoke", "sqlite3", "numpy", "pypdf", "rich", "starlette", "jinja2"]) == []
    assert [name for name in modules if name.startswith(UNASKED)] == []
