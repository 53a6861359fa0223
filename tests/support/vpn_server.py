"""An OpenVPN server written by hand, on a lab host: what `novaops vpn up` is tried against."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from novaops.lab.host import LabHost

_INSTALL = """\
export DEBIAN_FRONTEND=noninteractive
command -v openvpn >/dev/null && command -v nft >/dev/null || {
  install() { apt-get install -y -q --no-install-recommends openvpn nftables; }
  install || { apt-get update -q && install; }
} >/dev/null 2>&1"""

_START = """\
mkdir -p /etc/openvpn/server && cd /etc/openvpn/server && cat >hand.conf || exit
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<'END' || exit
table ip hand
delete table ip hand
table ip hand { chain post { type nat hook postrouting priority 100; ip saddr 10.99.0.0/24 oifname != "tun-hand" masquerade; }; }
END
systemctl daemon-reload; systemctl reset-failed openvpn-server@hand 2>/dev/null; systemctl restart openvpn-server@hand"""

_CHECK = (
    '#!/bin/sh\n[ "$(sed -n 1p "$1")" = {user} ] && [ "$(sed -n 2p "$1")" = \'{password}\' ] && exit 0\necho x >>/run/refused; exit 1\n'
)


@dataclass
class Certified:
    """An authority in a folder of ours, and what it has certified."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "ca.crt").exists():
            self._openssl(
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                "ca.key",
                "-out",
                "ca.crt",
                "-days",
                "30",
                "-subj",
                "/CN=lab vpn",
            )

    def make(self, name: str, use: str, days: int = 30, password: str = "") -> tuple[str, str]:
        """Certificate and key of `name`, for serverAuth or clientAuth. `days` may be negative: it has expired."""
        self._openssl(
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        (self.folder / f"{name}.ext").write_text(
            f"basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage={use}\n"
        )
        dates: tuple[str, ...] = ("-days", str(days))
        if days < 0:
            dates = ("-not_before", "20240101000000Z", "-not_after", "20240201000000Z")
        self._sign(name, dates)
        key = self.folder / f"{name}.key"
        if password:
            self._openssl("pkey", "-in", f"{name}.key", "-aes256", "-passout", f"pass:{password}", "-out", f"{name}.enc")
            key = self.folder / f"{name}.enc"
        return (self.folder / f"{name}.crt").read_text(), key.read_text()

    def _sign(self, name: str, dates: Sequence[str]) -> None:
        if dates[0] == "-days":
            self._openssl(
                *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
                *("-out", f"{name}.crt", "-extfile", f"{name}.ext", *dates),
            )
            return
        (self.folder / "index.txt").write_text("")
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
        )
        begin, end = dates[1], dates[3]
        self._openssl(
            *("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.crt"),
            *("-startdate", begin, "-enddate", end, "-extfile", f"{name}.ext", "-notext"),
        )

    @property
    def ca(self) -> str:
        return (self.folder / "ca.crt").read_text()

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)


@dataclass
class VpnServer:
    """One server on `host`: `start` (again with other options at any time), `stop`, and `profile` for a client."""

    host: LabHost
    certified: Certified
    protocol: str = "udp"
    port: int = 1194
    push: Sequence[str] = ()
    """What it pushes beside addresses: 'redirect-gateway def1', 'dhcp-option DNS 10.99.0.1'."""
    options: Sequence[str] = ("keepalive 10 60",)
    login: tuple[str, str] | None = None
    """User and password that it wants; each refusal is a line of /run/refused on the host."""
    server_days: int = 30
    _made: dict[str, tuple[str, str]] = field(default_factory=dict)

    def start(self) -> None:
        """Installed where it is not there; sixteen seconds the first time."""
        self.host.run(_INSTALL, timeout_s=300)
        certificate, key = self._pair("server", "serverAuth", self.server_days)
        lines = [
            *(f"port {self.port}", f"proto {self.protocol}", "dev tun-hand", "dev-type tun", "topology subnet"),
            *("server 10.99.0.0 255.255.255.0", "dh none", "verb 3", "persist-key", "duplicate-cn"),
            *self.options,
            *(f'push "{one}"' for one in self.push),
        ]
        if self.login:
            script = _CHECK.format(user=self.login[0], password=self.login[1])
            self.host.run("cat >/etc/openvpn/check.sh && chmod 755 /etc/openvpn/check.sh; rm -f /run/refused", stdin=script)
            lines += ["script-security 2", "auth-user-pass-verify /etc/openvpn/check.sh via-file"]
        blocks = [f"<ca>\n{self.certified.ca}</ca>", f"<cert>\n{certificate}</cert>", f"<key>\n{key}</key>"]
        self.host.run(_START, stdin="\n".join([*lines, *blocks]) + "\n")

    def stop(self, *, signal: str = "") -> None:
        """Politely; with signal KILL as a server that dies."""
        how = f"systemctl kill -s {signal} openvpn-server@hand; " if signal else ""
        self.host.run(f"{how}systemctl stop openvpn-server@hand")

    def profile(self, *more: str, name: str = "client", days: int = 30, password: str = "", host: str = "") -> str:
        """A client's .ovpn, with these lines more."""
        certificate, key = self._pair(name, "clientAuth", days, password)
        asks = ["auth-user-pass"] if self.login else []
        lines = [
            *("client", "dev tun", f"proto {self.protocol}", f"remote {host or self.host.address} {self.port}", "nobind"),
            *("remote-cert-tls server", *asks, *more),
        ]
        blocks = [f"<ca>\n{self.certified.ca}</ca>", f"<cert>\n{certificate}</cert>", f"<key>\n{key}</key>"]
        return "\n".join([*lines, *blocks]) + "\n"

    @property
    def certificate(self) -> str:
        """The server's own, as PEM."""
        return self._pair("server", "serverAuth", self.server_days)[0]

    def _pair(self, name: str, use: str, days: int, password: str = "") -> tuple[str, str]:
        key = f"{name}{days}{password}"
        if key not in self._made:
            self._made[key] = self.certified.make(name, use, days, password)
        return self._made[key]
