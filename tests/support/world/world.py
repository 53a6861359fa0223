"""The world of one test process. Its fixtures, `_world` and `world`, are in tests/lab/conftest.py: there is one for all files."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.network import network_up
from tests.support.world.acme import Acme
from tests.support.world.api import FakeApi
from tests.support.world.authority import Authority, Leaf
from tests.support.world.backend import Backend
from tests.support.world.name_server import NameServer

API_HOSTS = ("api.openai.com", "api.sensenova.cn", "file.sensenova.cn", "token.sensenova.cn", "api.lab.test")
"""The names that lead to the fake API."""

_PREPARE = """\
echo nameserver {address} >/etc/resolv.conf
cat >/usr/local/share/ca-certificates/novaops-lab.crt
update-ca-certificates >/dev/null 2>&1"""


class World:
    """What runs on the bridge's address: `names` (port 53), `api` (443) and, once it is asked for, `acme` (14000).

    `authority` certifies the API's hosts and pebble's own name. `folder` is for files.
    """

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.folder = folder
        self._ends = ExitStack()
        lab.directory.mkdir(parents=True, exist_ok=True)
        self.address = network_up(lab.directory).gateway.partition("/")[0]
        self.authority = Authority(folder / "authority")
        self.leaf: Leaf = self.authority.leaf(*API_HOSTS, self.address)
        self.names = NameServer(self.address)
        self.api = FakeApi(self.address, 443, self.leaf)
        self._acme: Acme | None = None
        self._backends: list[Backend] = []
        self._hosts: dict[str, list[str]] = {}
        try:
            self._ends.enter_context(self.names)
            self._ends.enter_context(self.api)
            self.reset()
        except BaseException:
            self.close()
            raise

    @property
    def acme(self) -> Acme:
        """Pebble; it starts with the first test that asks for it."""
        if self._acme is None:
            made = Acme(self.address, self.authority, f"{self.address}:{self.names.port}", self.folder / "acme")
            self._ends.callback(made.stop)
            self._acme = made
        self._acme.start()
        return self._acme

    def backend(self, name: str, port: int = 0, leaf: Leaf | None = None) -> Backend:
        """One that listens until the test ends."""
        made = Backend(name, self.address, port, leaf)
        self._backends.append(made)
        made.start()
        return made

    def prepare(self, host: LabHost) -> None:
        """Let a host ask our name server and trust our authority; its own name leads to it, as NAME.lab.test."""
        self._hosts[f"{host.name}.lab.test"] = [host.address]
        self.names.names.update(self._hosts)
        host.run(_PREPARE.format(address=self.address), stdin=self.authority.root.read_text())

    def reset(self) -> None:
        """As it was at first: everything up, nothing noted, no odd behaviour."""
        while self._backends:
            self._backends.pop().stop()
        self.names.reset()
        self.names.names.update({host: [self.address] for host in (*API_HOSTS, "acme.lab.test")} | self._hosts)
        self.names.start()
        if self.api.leaf is not self.leaf or self.api.tls_version is not None or not self.api.strict:
            self.api.stop()
            self.api.leaf, self.api.tls_version, self.api.strict = self.leaf, None, True
        self.api.reset()
        self.api.start()
        if self._acme is not None:
            self._acme.reset()

    def close(self) -> None:
        while self._backends:
            self._backends.pop().stop()
        self._ends.close()
