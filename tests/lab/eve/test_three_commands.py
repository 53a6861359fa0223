"""From a bare host to nodes that answer, with three commands. What they find is the stand-in's, from its packages to its nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Novaops
from tests.lab.eve.box import OS, PW, Box, served
from tests.support.eve_standin import guest
from tests.support.things import holds

SECTION: dict[str, Any] = {"kernel": "as-is", "ntp": ["ntp.example.org"]}
LAB = """\
nodes: {r1: {template: vyos}, r2: {template: vyos}}
links: [r1-r2]
validate: [{from: r1, ping: 10.0.0.2}]
"""


ON_A_VM = pytest.mark.skipif("EVE_VM" not in os.environ, reason="takes half an hour on an emulated VM: EVE_VM=1 runs it")


@pytest.fixture(params=["container", pytest.param("vm", marks=[pytest.mark.minutes, ON_A_VM])])
def bare(request: pytest.FixtureRequest, lab: Lab) -> Iterator[LabHost]:
    made = lab.up("three", request.param)
    try:
        yield made
    finally:
        lab.down(made.name)


@pytest.mark.long
def test_three_commands_each_of_them_twice(bare: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    bare.run(OS.format("22.04"))
    image, lab = tmp_path / "vyos-1.4.qcow2", tmp_path / "pair.yml"
    image.write_bytes(guest.disk() + os.urandom(8 << 20))
    lab.write_text(LAB)
    for repository, port in served(tmp_path, api=True):
        inventory = Box(bare, repository, port, tmp_path, novaops).inventory(**SECTION)
        for status in ("changed", "unchanged"):
            for words in (
                ("install", bare.name),
                ("image", "add", str(image), bare.name),
                ("lab", "up", str(lab), "--host", bare.name, "--wait", "120"),
            ):
                done = novaops("eve", *words, "--json", inventory=inventory, env=PW, timeout=1500)
                assert (done.code, done.host["status"]) == (0, status), (words, done.text)
        valid = novaops("eve", "lab", "validate", str(lab), "--host", bare.name, inventory=inventory, env=PW, timeout=300)
        assert valid.code == 0, valid.text
        assert holds(bare, "[ $(pgrep -c qemu-system) = 2 ]")
        verified = novaops("verify", "--only", "eve", inventory=inventory, env=PW, timeout=600)
        assert verified.code == 0, verified.text
