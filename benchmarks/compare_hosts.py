"""The hosts of benchmarks/run: a gateway, and for each tool a host of its own, alike but for their keys; and what all of them are to be."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko

from novaops.errors import NovaopsError
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.support.fleet import fleet
from tests.support.links import inside, inside_holds
from tests.support.relay import Relay
from tests.support.vpn_server import Certified, VpnServer

HERE = Path(__file__).parent
SECRETS = {"NETLAB_PASSWORD": "wired-Fjord-Kite-88", "LAPTOP_KEY": "laptop-0123456789abcdef", "API_KEY": "sk-benchmark-0123456789"}
BEHIND_VPN = "198.18.0.10"
SETTLED_S = 60

PREPARE = """\
echo LANG=C.UTF-8 | tee /etc/default/locale >/etc/locale.conf
echo 'MaxStartups 2000' >/etc/ssh/sshd_config.d/benchmark.conf
export DEBIAN_FRONTEND=noninteractive
apt-get update -q && apt-get install -y -q --no-install-recommends python3 python3-apt curl || exit
apt-get install -y -q --no-install-recommends --download-only \
  ca-certificates nginx autossh openssh-client openvpn nftables jq tree rsync
"""
"""Peers need UTF-8: in the lab's Latin locale Mitogen hangs, and pyinfra ends with an error. Python and its apt are for Ansible.
The packages of the work itself are only fetched."""

WEB = f"""\
server {{
    listen 80 default_server;
    location / {{ return 200 "web\\n"; }}
    location /v1/ {{
        default_type application/json;
        if ($http_authorization != "Bearer {SECRETS["API_KEY"]}") {{ return 401; }}
        return 200 '{{"object": "list", "data": []}}';
    }}
}}
"""


@dataclass(frozen=True)
class Way:
    """How a tool reaches hosts: by name, address and port, with the host key of each."""

    places: Mapping[str, tuple[str, int]]
    known_hosts: Path
    identity: Path


@dataclass
class Place:
    """The gateway, and the host of each tool."""

    lab: Lab
    folder: Path
    gateway: LabHost
    subjects: Mapping[str, LabHost]

    def reset(self, name: str) -> None:
        """Put a tool's host back to where it was before anything was applied, its packages fetched."""
        host = self.subjects[name]
        host.stop()
        shutil.rmtree(host.directory / "upper")
        subprocess.run(["cp", "-a", host.directory / "prepared", host.directory / "upper"], check=True)
        host.start()
        if not wait_until(lambda: inside_holds(host, "systemctl is-active -q multi-user.target"), SETTLED_S):
            raise NovaopsError(f"{host.name} did not boot")

    def lacks(self, name: str) -> str:
        """What the host lacks of what it is to be, "" for nothing. Tunnels and links may take a while to come up."""
        host, found = self.subjects[name], ""
        script = (HERE / "peers/check.sh").read_text("utf-8")

        def right() -> bool:
            nonlocal found
            values = " ".join(f"{key}={value}" for key, value in SECRETS.items())
            found = inside(host, f"{values} BEHIND_VPN={BEHIND_VPN}\n{script}").strip()
            return not found

        wait_until(right, SETTLED_S)
        return found or _password_opens(host)

    @contextmanager
    def way(self, name: str, delay_s: float) -> Iterator[Way]:
        """To a tool's host, and to the gateway, over a link that holds each byte so long in each direction."""
        hosts = {"subject": self.subjects[name], "gateway": self.gateway}
        with ExitStack() as links:
            relays = {name: links.enter_context(Relay((host.address, host.port), delay_s)) for name, host in hosts.items()}
            known = self.folder / f"known_hosts-{name}"
            lines = [f"[127.0.0.1]:{relay.port} {' '.join(hosts[name].host_key.split()[:2])}\n" for name, relay in relays.items()]
            known.write_text("".join(lines), "utf-8")
            yield Way({name: ("127.0.0.1", relay.port) for name, relay in relays.items()}, known, self.gateway.identity)

    @contextmanager
    def many(self, name: str, count: int, delay_s: float) -> Iterator[Way]:
        """So many ssh endpoints of this machine that all lead to a tool's host."""
        host = self.subjects[name]
        folder = self.folder / f"fleet-{name}-{count}-{delay_s}"
        folder.mkdir(exist_ok=True)
        with Relay((host.address, host.port), delay_s) as relay:
            through = _Endpoint("127.0.0.1", relay.port, host.host_key, host.identity) if delay_s else host
            with fleet(folder, through, {"fine": count}, "reference: {}") as made:
                yield Way(dict(made.places), made.known_hosts, host.identity)


@dataclass(frozen=True)
class _Endpoint:
    """What a fleet has to know of the host behind it."""

    address: str
    port: int
    host_key: str
    identity: Path


@contextmanager
def laboratory(folder: Path, names: tuple[str, ...], say: Callable[[str], None]) -> Iterator[Place]:
    """The gateway, and a host for each of these tools that waits for its `reset`. All of it is gone in the end."""
    lab = Lab(folder / ".lab")
    try:
        say("gateway: a web server, an OpenVPN server, ssh")
        gateway = lab.up("gateway", "container")
        profile = gateway_up(gateway, folder)
        (folder / "office.ovpn").write_text(profile, "utf-8")
        subjects = {}
        for name in names:
            say(f"host of {name}: Python, UTF-8, packages fetched")
            host = subjects[name] = lab.up(name, "container")
            host.run(PREPARE, timeout_s=600)
            inside(host, "sync")
            host.stop()
            subprocess.run(["cp", "-a", host.directory / "upper", host.directory / "prepared"], check=True)
        yield Place(lab, folder, gateway, subjects)
    finally:
        lab.down()


def gateway_up(host: LabHost, folder: Path) -> str:
    """Give the gateway all that the tools' hosts need of it; the profile for its VPN."""
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends nginx python3"
    host.run(f"apt-get update -q && {install}", timeout_s=600)
    host.run("rm /etc/nginx/sites-enabled/default; cat >/etc/nginx/conf.d/web.conf && systemctl restart nginx", stdin=WEB)
    inside(host, f"ip address add {BEHIND_VPN}/32 dev lo")
    server = VpnServer(host, Certified(folder / "authority"))
    server.start()
    return server.profile(name="office")


def _password_opens(host: LabHost) -> str:
    """Why netlab's password does not open the host, "" where it does."""
    with paramiko.Transport((host.address, host.port)) as transport:
        try:
            transport.start_client(timeout=20)
            transport.auth_password("netlab", SECRETS["NETLAB_PASSWORD"])
        except (paramiko.SSHException, EOFError) as error:
            return f"netlab's password does not open it: {error}"
    return ""
