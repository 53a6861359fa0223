"""docs/adding-a-feature.md on a real host: its files, its commands with what they print, and its own test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import yaml

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.support.page import commands, comparable, files, load, write_files

PAGE = "adding-a-feature.md"


def test_its_commands(container: LabHost, novaops: Novaops, inventory: Callable[[str, str], Path], tmp_path: Path) -> None:
    write_files(PAGE, tmp_path)
    motd = yaml.safe_load(files(PAGE)["inventory.yaml"])["hosts"]["box"]["motd"]
    sections = f"motd: {json.dumps(motd)}\ntimezone: Europe/Berlin"
    for shown in commands(PAGE):
        only = ["--only", "motd"] if shown.words[1] in {"plan", "apply", "verify"} and "--only" not in shown.words else []
        done = novaops(*shown.words[1:], *only, inventory=inventory(container.name, sections))
        assert done.code == shown.code, done.text
        assert comparable(done.out) == comparable(shown.output), " ".join(shown.words)


def test_its_test(container: LabHost, tmp_path: Path) -> None:
    write_files(PAGE, tmp_path)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    load(tmp_path / "tests/test_motd_on_a_host.py").test_everybody_reads_who_answers(container, folder)
