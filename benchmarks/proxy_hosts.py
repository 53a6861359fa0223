"""The hosts of benchmarks/proxy.py, with each site twice: as somebody would write it by hand who knows nginx, and by novaops."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.far import far
from benchmarks.proxy_streams import EVENTS_PORT, streaming
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.support.world.authority import Leaf
from tests.support.world.world import World

KINDS = ("hand", "ours")
EACH_WAY_S = 0.05
"""How long a packet to or from the API that is far away is on its way."""

MANY = [f"many-{number}" for number in range(50)]
"""Sites that are deployed to see what that takes."""

CERTIFICATE = "/etc/ssl/benchmark.pem"
MODELS = json.dumps({"object": "list", "data": [{"id": f"model-{n}", "object": "model", "owned_by": "lab"} for n in range(10)]})


@dataclass(frozen=True)
class Place:
    """Three hosts: `gateway` has the sites, `upstream` an API that answers at once, `client` asks. This machine streams."""

    world: World
    gateway: LabHost
    upstream: LabHost
    client: LabHost
    leaf: Leaf

    def context(self) -> ssl.SSLContext:
        return self.world.authority.context()


@contextmanager
def laboratory(folder: Path, release: str, capacity: int) -> Iterator[Place]:
    lab = Lab(folder / ".lab")
    world = None
    try:
        world = World(lab, folder / "world")
        hosts = {name: lab.up(name, "container", release) for name in ("gateway", "upstream", "client")}
        names = [f"{kind}-{what}.lab.test" for kind in KINDS for what in PORTS]
        names += [f"{name}.lab.test" for name in MANY]
        leaf = world.authority.leaf(*(f"{what}.lab.test" for what in PORTS), *names)
        world.names.names["models.lab.test"] = [hosts["upstream"].address]
        world.names.names["events.lab.test"] = [world.address]
        world.names.names.update({name: [hosts["gateway"].address] for name in names})
        for host, package in zip(hosts.values(), ("nginx", "nginx", "wrk"), strict=True):
            world.prepare(host)
            host.run(f"apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends {package}")
            host.run(f"cat >{CERTIFICATE}", stdin=leaf.certificate.read_text())
            host.run(f"umask 077; cat >{CERTIFICATE}.key", stdin=leaf.key.read_text())
        place = Place(world, leaf=leaf, **hosts)
        with streaming(world.address, leaf.certificate, leaf.key), far(hosts["upstream"].address, EACH_WAY_S) as address:
            world.names.names["far.lab.test"] = [address]
            write_upstream(place)
            write_sites(place, folder, capacity)
            yield place
    finally:
        if world is not None:
            world.close()
        lab.down()


def write_upstream(place: Place) -> None:
    """It answers from memory: it must not be what is measured."""
    place.upstream.run("cat >/etc/nginx/conf.d/models.conf && systemctl restart nginx", stdin=UPSTREAM)


def write_sites(place: Place, folder: Path, capacity: int) -> None:
    """By hand, and by novaops; both in the same nginx."""
    gateway = place.gateway
    values = {"SUBNET": subnet(place)}
    gateway.run("cat >/etc/nginx/conf.d/hand.conf && nginx -t -q && systemctl restart nginx", stdin=by_hand(values))
    (folder / "providers").mkdir(exist_ok=True)
    entries = []
    for name, port in PORTS.items():
        provider = {"endpoints": [{"host": f"{name}.lab.test", "port": port, "path": "/v1"}], "probe": "/v1/models", "idle": 60}
        (folder / "providers" / f"{name}.yaml").write_text(json.dumps(provider), "utf-8")
        entries.append({**site(place, name, f"ours-{name}"), "streams": capacity if name == "events" else 0})
    proxy(place, folder, "deploy", entries)


def site(place: Place, provider: str, name: str) -> dict[str, Any]:
    auth = {"passthrough": True, "from": [subnet(place)]}
    tls = {"tls": "files", "certificate": CERTIFICATE, "key": f"{CERTIFICATE}.key"}
    return {"name": name, "provider": provider, "domain": f"{name}.lab.test", "auth": auth, **tls}


def proxy(place: Place, folder: Path, verb: str, entries: list[dict[str, Any]]) -> float:
    """Deploy or remove these sites; how many seconds it took."""
    gateway = place.gateway
    way = {"address": gateway.address, "port": gateway.port, "identity": str(gateway.identity), "known_hosts": str(gateway.known_hosts)}
    inventory = folder / "inventory.yaml"
    inventory.write_text(json.dumps({"hosts": {"gateway": {**way, "user": "root", "proxy": entries}}}), "utf-8")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "novaops", "-i", str(inventory), "proxy", verb], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"novaops proxy {verb} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def subnet(place: Place) -> str:
    return place.world.address.rpartition(".")[0] + ".0/24"


PORTS = {"models": 443, "far": 443, "events": EVENTS_PORT}

UPSTREAM = f"""\
server {{
    listen 443 ssl;
    server_name models.lab.test far.lab.test;
    ssl_certificate {CERTIFICATE};
    ssl_certificate_key {CERTIFICATE}.key;
    access_log off;
    location / {{
        default_type application/json;
        if ($http_authorization = "") {{ return 401 '{{"error": {{"message": "a key is missing"}}}}'; }}
        return 200 '{MODELS}';
    }}
}}
"""

SHARED = """\
map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
log_format hand '$remote_addr - $remote_user [$time_local] "$request_method $uri $server_protocol" $status $body_bytes_sent '
                'upstream=$upstream_addr upstream_status=$upstream_status first=$upstream_header_time total=$request_time';
"""

POOL = """\
upstream hand_NAME {
    server NAME.lab.test:PORT;
    keepalive 16;
}
"""
"""Its name is looked up when nginx starts, which does not start without an answer, and never again."""

SITE = f"""\
server {{
    listen 443 ssl http2;
    server_name hand-NAME.lab.test;
    server_tokens off;
    access_log /var/log/nginx/hand-NAME.log hand;
    ssl_certificate {CERTIFICATE};
    ssl_certificate_key {CERTIFICATE}.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:hand:10m;
    ssl_session_timeout 1d;
    ssl_session_tickets off;
    add_header Strict-Transport-Security "max-age=31536000" always;
    client_max_body_size 512M;
    location /v1/ {{
        allow SUBNET;
        deny all;
        proxy_pass https://hand_NAME;
        proxy_ssl_server_name on;
        proxy_ssl_name NAME.lab.test;
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 3;
        proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_request_buffering off;
        gzip off;
        proxy_read_timeout 600s;
        proxy_send_timeout 600s;
        proxy_set_header Host HOST;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        WITHHELD
        proxy_hide_header Set-Cookie;
    }}
}}
"""
"""What facts about nginx and APIs that stream ask for, line by line, as somebody who knows them would write it."""

WITHHELD = (
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-IP", "Forwarded", "Via"),
    *("CF-Connecting-IP", "CF-IPCountry", "CF-Ray", "CF-Visitor", "CF-IPCity", "True-Client-IP", "X-Client-IP", "X-Original-Forwarded-For"),
    *("Cookie", "Referer", "Origin", "Proxy", "Proxy-Authorization"),
)


def by_hand(values: dict[str, str]) -> str:
    withheld = "\n        ".join(f'proxy_set_header {header} "";' for header in WITHHELD)
    text = SHARED
    for name, port in PORTS.items():
        host = f"{name}.lab.test" + ("" if port == PORTS["models"] else f":{port}")
        own = POOL + SITE
        for key, value in {**values, "WITHHELD": withheld, "HOST": host, "NAME": name, "PORT": str(port)}.items():
            own = own.replace(key, value)
        text += own
    return text
