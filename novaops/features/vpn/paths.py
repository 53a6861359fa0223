"""Where the parts of a link and of a server are on their host: files, and the names of units. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LINKS = "/etc/novaops/vpn"
LINKS_RUNNING = "/run/novaops-vpn"
SERVERS = "/etc/openvpn/server"
SERVERS_OWN = "/etc/novaops/vpn-server"
SOCKETS = "/run/openvpn-server"
UNITS = "/etc/systemd/system"


@dataclass(frozen=True)
class LinkPaths:
    name: str

    @property
    def unit(self) -> str:
        return f"openvpn-client@{self.name}.service"

    @property
    def drop_ins(self) -> str:
        return f"{UNITS}/{self.unit}.d"

    @property
    def script(self) -> str:
        return f"{LINKS}/{self.name}.sh"

    @property
    def routes_service(self) -> str:
        return f"novaops-vpn-{self.name}-routes.service"

    @property
    def routes_timer(self) -> str:
        return f"novaops-vpn-{self.name}-routes.timer"

    @property
    def hold(self) -> str:
        return f"novaops-vpn-{self.name}-hold.service"

    @property
    def started_with(self) -> tuple[str, ...]:
        """The files that the link runs with, in the order in which the script adds them up."""
        client = f"/etc/openvpn/client/{self.name}"
        return f"{client}.conf", f"{client}.auth", f"{client}.pass", f"{self.drop_ins}/novaops.conf", f"{LINKS}/{self.name}.routes"

    @property
    def all(self) -> tuple[str, ...]:
        units = (self.routes_service, self.routes_timer, self.hold)
        return (*self.started_with, self.script, *(f"{UNITS}/{unit}" for unit in units))

    @property
    def running_with(self) -> str:
        """Where the host keeps the sha256 of the files that the link was last started with."""
        return f"{LINKS_RUNNING}/{self.name}.with"


@dataclass(frozen=True)
class ServerPaths:
    name: str

    @property
    def folder(self) -> str:
        """Of the authority, its keys and its certificates."""
        return f"{SERVERS}/{self.name}"

    @property
    def configuration(self) -> str:
        return f"{self.folder}.conf"

    @property
    def unit(self) -> str:
        return f"openvpn-server@{self.name}.service"

    @property
    def drop_ins(self) -> str:
        return f"{UNITS}/{self.unit}.d"

    @property
    def forward_unit(self) -> str:
        return f"novaops-vpn-{self.name}-forward.service"

    @property
    def forward_script(self) -> str:
        return f"{SERVERS_OWN}/{self.name}.sh"

    @property
    def ip_forward_before(self) -> str:
        """Where the host keeps what net.ipv4.ip_forward was before there was a server."""
        return f"{SERVERS_OWN}/{self.name}.ip_forward"

    @property
    def sysctl(self) -> str:
        return f"/etc/sysctl.d/60-novaops-vpn-{self.name}.conf"
