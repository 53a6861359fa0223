"""Packages that a host lacks, by its real package manager: one call for all that stand in a row, and undo leaves those that were there."""

from __future__ import annotations

from pathlib import Path

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.support.things import write_inventory

PLAYBOOK = """\
from pydantic import RootModel

from novaops.playbook import Package

Settings = RootModel[list[str]]


def desired(host, settings, peers):
    return [Package(name) for name in settings.root]
"""
CALLS = "grep -ac '^Commandline: apt-get' /var/log/apt/history.log"
INSTALLED = "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' jq tree ed 2>/dev/null | sed -n 's/^installed //p'"


def wanting(folder: Path, host: LabHost, *packages: str) -> Path:
    file = write_inventory(folder, host, tools=list(packages))
    (folder / "playbooks/tools.py").write_text(PLAYBOOK, "utf-8")
    return file


def test_one_call_for_all_and_one_to_undo_them(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("apt-get update -q && apt-get install -y -q ed && rm /var/log/apt/history.log", timeout_s=300)
    file = wanting(tmp_path, container, "jq", "ed", "tree")
    first = novaops("apply", "--json", inventory=file)
    changed = [line["resource"] for line in first.host["steps"] if line["status"] == "changed"]
    assert (first.code, changed) == (0, ["package:jq", "package:tree"]), first.text
    assert container.run(CALLS) == "1\n"
    assert novaops("apply", "--json", inventory=file).host["status"] == "unchanged"
    back = novaops("undo", "box", "--json", inventory=file)
    assert (back.code, container.run(INSTALLED)) == (0, "ed\n"), back.text
    assert container.run(CALLS) == "2\n"


def test_the_one_that_cannot_be_had_is_named(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("apt-get update -q", timeout_s=300)
    done = novaops("apply", "--json", inventory=wanting(tmp_path, container, "jq", "no-such-package", "tree"))
    status = {line["resource"]: line["status"] for line in done.host["steps"] if line["resource"].startswith("package:")}
    assert (done.code, status) == (1, {"package:jq": "changed", "package:no-such-package": "failed", "package:tree": "skipped"}), done.text
    assert "no-such-package" in done.text
    assert container.run(INSTALLED) == "jq\n"
