"""Where the parts of a link and of a server are on their host: files, and the names of units. Pure."""

from __future__ import annotations

LINKS = "/etc/novaops/vpn"
SERVERS = "/etc/openvpn/server"
SERVERS_OWN = "/etc/novaops/vpn-server"
SOCKETS = "/run/openvpn-server"
UNITS = "/etc/systemd/system"


class LinkPaths:
    def __init__(self, name: str) -> None:
        self.unit = f"openvpn-client@{name}.service"
        self.routes_service = f"novaops-vpn-{name}-routes.service"
        self.routes_timer = f"novaops-vpn-{name}-routes.timer"
        self.hold = f"novaops-vpn-{name}-hold.service"
        self.drop_ins = f"{UNITS}/{self.unit}.d"
        self.script = f"{LINKS}/{name}.sh"
        client = f"/etc/openvpn/client/{name}"
        self.started_with = (
            f"{client}.conf",
            f"{client}.auth",
            f"{client}.pass",
            f"{client}.proxy",
            f"{self.drop_ins}/novaops.conf",
            f"{LINKS}/{name}.routes",
        )
        """The files that the link runs with, in the order in which the script adds them up."""
        self.running_with = f"/run/novaops-vpn/{name}.with"
        """Holds the sha256 of the files that the link was last started with."""
        own_units = (self.routes_service, self.routes_timer, self.hold)
        self.all = (*self.started_with, self.script, *(f"{UNITS}/{unit}" for unit in own_units))
        """Every file of the link."""


class ServerPaths:
    def __init__(self, name: str) -> None:
        self.folder = f"{SERVERS}/{name}"
        """Of the authority, its keys and its certificates."""
        self.configuration = f"{self.folder}.conf"
        self.unit = f"openvpn-server@{name}.service"
        self.drop_ins = f"{UNITS}/{self.unit}.d"
        self.forward_unit = f"novaops-vpn-{name}-forward.service"
        self.forward_script = f"{SERVERS_OWN}/{name}.sh"
        self.ip_forward_before = f"{SERVERS_OWN}/{name}.ip_forward"
        """Holds what net.ipv4.ip_forward was before there was a server."""
        self.sysctl = f"/etc/sysctl.d/60-novaops-vpn-{name}.conf"
