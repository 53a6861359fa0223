"""What an entry of `vpn:` with `serve: true` asks of its host. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from novaops.errors import UsageError
from novaops.features.vpn.facts.server import FOLDER, SOCKETS, VpnServer
from novaops.features.vpn.resources.server_authority import Authority
from novaops.features.vpn.resources.server_removed import FolderRemoved, PortClosed
from novaops.features.vpn.resources.server_running import NewUnit, ServerAnswers, ServerFits, WayOut, WayOutRemoved
from novaops.features.vpn.settings import Server
from novaops.formats.names import is_address
from novaops.model.plan import Resource
from novaops.resources.directory import Directory
from novaops.resources.file import File
from novaops.resources.open_port import OpenPort
from novaops.resources.package import Package
from novaops.resources.unit import Unit

OWN = "/etc/novaops/vpn-server"


def resources(entry: Server, host: Any) -> Iterator[Resource]:
    """Of a server that is there, or of one that is taken away, but for its authority and its clients.

    Raises UsageError where nobody says by which address clients reach it.
    """
    one = _Serving(entry, host)
    yield from one.present() if entry.state == "present" else one.absent()


def question(entry: Server) -> VpnServer:
    return VpnServer(entry.name, entry.device, entry.port, entry.protocol)


@dataclass(frozen=True)
class _Serving:
    entry: Server
    host: Any
    """As a playbook sees it."""

    def present(self) -> Iterator[Resource]:
        entry = self.entry
        remote = f"{self._address} {entry.port} {entry.protocol}\n"
        yield ServerFits(self._question, entry.network)
        yield from (Package("openvpn"), Package("openssl"), Package("nftables"))
        yield Directory(self._folder, "0700")
        yield self._file(f"{self._folder}/openssl.cnf", "openssl.cnf", folder=self._folder)
        yield Authority(self._question)
        yield File(f"{self._folder}/remote", remote)
        yield from (Directory("/etc/novaops"), Directory(OWN))
        reload = ("systemctl", "daemon-reload")
        yield self._file(self._forward_unit, "forward.service", reload, name=entry.name, script=self._script)
        yield self._file(self._script, "forward.sh", ("systemctl", "try-restart", "--", self._forward), **self._forwarding)
        yield WayOut(entry.name, self._script, self._forward)
        yield self._sysctl("net.ipv4.ip_forward = 1\n")
        yield OpenPort(entry.port, entry.protocol)
        yield Directory(self._drop_in.rpartition("/")[0])
        yield self._file(self._drop_in, "server.service", reload, name=entry.name)
        yield self._file(self._conf, "server.conf", ("systemctl", "try-restart", "--", self._unit), **self._settings)
        yield NewUnit(self._unit)
        yield ServerAnswers(self._question)

    def absent(self) -> Iterator[Resource]:
        """The packages stay: somebody else may have come to use them."""
        yield PortClosed(self._question)  # as long as the configuration tells which one it is
        yield Unit(self._unit, enabled=False, active=False)
        yield Unit(self._forward, enabled=False, active=False)
        yield WayOutRemoved(self.entry.name, self._script, self._kept)
        yield from (File(path, None) for path in (self._conf, self._script, self._sysctl("").path))
        yield from (File(path, None, then=("systemctl", "daemon-reload")) for path in (self._drop_in, self._forward_unit))
        yield FolderRemoved(*self._drop_in.rsplit("/", 1))

    @cached_property
    def _question(self) -> VpnServer:
        return question(self.entry)

    @property
    def _address(self) -> str:
        found = self.entry.address or str(self.host.address)
        if not found:
            raise UsageError(f"{self.host.name}: say by which address clients reach it: --address, or address: in its vpn: entry")
        return found

    @property
    def _folder(self) -> str:
        return f"{FOLDER}/{self.entry.name}"

    @property
    def _conf(self) -> str:
        return f"{FOLDER}/{self.entry.name}.conf"

    @property
    def _unit(self) -> str:
        return f"openvpn-server@{self.entry.name}.service"

    @property
    def _drop_in(self) -> str:
        return f"/etc/systemd/system/{self._unit}.d/novaops.conf"

    @property
    def _forward(self) -> str:
        return f"novaops-vpn-{self.entry.name}-forward.service"

    @property
    def _forward_unit(self) -> str:
        return f"/etc/systemd/system/{self._forward}"

    @property
    def _script(self) -> str:
        return f"{OWN}/{self.entry.name}.sh"

    @property
    def _kept(self) -> str:
        return f"{OWN}/{self.entry.name}.ip_forward"

    def _sysctl(self, content: str) -> File:
        return File(f"/etc/sysctl.d/60-novaops-vpn-{self.entry.name}.conf", f"# managed by novaops\n{content}")

    @property
    def _forwarding(self) -> dict[str, Any]:
        entry = self.entry
        table = f"novaops_vpn_{entry.name}"
        return {
            "name": entry.name,
            "device": entry.device,
            "network": entry.network,
            "table": table,
            "reaches": entry.reaches,
            "kept": self._kept,
        }

    @property
    def _settings(self) -> dict[str, Any]:
        """A name may lead to addresses of both kinds: then the server listens on both."""
        entry = self.entry
        network = ipaddress.IPv4Network(entry.network)
        both = not is_address(self._address) or ":" in self._address
        kinds = {"udp": ("udp", "udp6"), "tcp": ("tcp-server", "tcp6-server")}
        return {
            "port": entry.port,
            "proto": kinds[entry.protocol][both],
            "device": entry.device,
            "network": str(network.network_address),
            "mask": str(network.netmask),
            "folder": self._folder,
            "crl": f"{self._folder}.crl.pem",
            "socket": f"{SOCKETS}/{entry.name}.sock",
        }

    def _file(self, path: str, template: str, then: tuple[str, ...] = (), **values: Any) -> File:
        return File(path, self.host.templates.render(f"vpn/server/{template}.j2", **values), then=then)
