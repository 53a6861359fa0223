"""Real hosts for the tests: one lab for each test process, pristine hosts for each test, all gone at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.disk import Disk
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.support.world.world import World

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test below this folder needs the lab."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.lab)


@dataclass(frozen=True)
class Done:
    """A finished call of novaops."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def host(self) -> Any:
        """The only host of the JSON document."""
        (host,) = self.json["hosts"]
        return host

    @property
    def text(self) -> str:
        return self.out + self.err


class Novaops:
    """The command line as a person calls it, with the lab's inventory."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def __call__(self, *words: str, inventory: Path | None = None, timeout: float = 900, env: dict[str, str] | None = None) -> Done:
        with self.start(*words, inventory=inventory, env=env) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Done(process.returncode, out, err)

    def start(self, *words: str, inventory: Path | None = None, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """The same, still running."""
        command = [sys.executable, "-m", "novaops", "-i", str(inventory or self.lab.inventory), *words]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, text=True, env={**os.environ, **(env or {})}, **pipes)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab") / ".lab")
    yield made
    made.down()


@pytest.fixture(scope="session")
def novaops(lab: Lab) -> Novaops:
    return Novaops(lab)


@pytest.fixture(scope="session")
def _container(lab: Lab) -> LabHost:
    return lab.up("box", "container")


@pytest.fixture
def container(lab: Lab, _container: LabHost) -> LabHost:
    """A pristine container, named box: for everything but disks."""
    return lab.reset(_container.name)


@pytest.fixture(scope="session")
def _newer(lab: Lab) -> LabHost:
    """Only here: `lab.up` of a host that another file's test left without an sshd would wait for it in vain."""
    return lab.up("newer", "container", "trixie")


@pytest.fixture
def newer(lab: Lab, _newer: LabHost) -> LabHost:
    """The same with Debian 13, named newer."""
    return lab.reset(_newer.name)


@pytest.fixture(scope="session")
def _third(lab: Lab) -> LabHost:
    return lab.up("third", "container")


@pytest.fixture
def third(lab: Lab, _third: LabHost) -> LabHost:
    """A pristine container, named third: the API as a host of its own, or a second client."""
    return lab.reset(_third.name)


@pytest.fixture(scope="session")
def _vm(lab: Lab) -> LabHost:
    return lab.up("machine", "vm", disks=(Disk("20G", serial="data"),))


@pytest.fixture
def vm(lab: Lab, _vm: LabHost) -> LabHost:
    """A pristine VM, named machine, whose /dev/vdb is a blank 20 GiB disk with the serial "data"."""
    return lab.reset(_vm.name)


@pytest.fixture
def inventory(lab: Lab, tmp_path: Path) -> Callable[[str, str], Path]:
    """Write an inventory with one lab host and the sections given."""

    def write(host: str, sections: str) -> Path:
        found = lab.host(host)
        indented = "".join(f"    {line}\n" for line in sections.strip("\n").splitlines())
        file = tmp_path / "inventory.yaml"
        file.write_text(
            f"defaults: {{user: root, identity: '{found.identity}', known_hosts: '{found.known_hosts}'}}\n"
            f"hosts:\n  {host}:\n    address: {found.address}\n    port: {found.port}\n{indented}",
            "utf-8",
        )
        return file

    return write


@pytest.fixture(scope="session")
def _world(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(lab, tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    """The world as it is at first, for each test."""
    _world.reset()
    yield _world
    _world.reset()
