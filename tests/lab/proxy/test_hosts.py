"""`novaops proxy deploy` on an nginx as somebody had it: the site answers from outside, or is refused with the place of the reason."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from novaops.features.proxy.resources.nginx_reload import TAKE_UP
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.shell import join
from tests.lab.conftest import Done, Novaops
from tests.support.proxy_sites import CASES
from tests.support.things import write_inventory
from tests.support.world.world import World

ROWS = yaml.safe_load((CASES / "hosts.yaml").read_text("utf-8"))
MAIN = """\
user www-data;
pid /run/nginx.pid;
include /etc/nginx/modules-enabled/*.conf;
events { worker_connections 768; }
%(main)shttp {
  include /etc/nginx/mime.types; default_type application/octet-stream;
  error_log /var/log/nginx/error.log;
  include %(include)s;
  %(http)s
}
"""


@pytest.fixture(scope="module")
def _host(lab: Lab, _container: LabHost, _world: World) -> LabHost:
    host = lab.reset(_container.name)
    _world.prepare(host)
    host.run(
        "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends nginx curl openssl"
        " libnginx-mod-stream libnginx-mod-http-lua",
        timeout_s=300,
    )
    host.run(
        "mkdir /etc/nginx/certs && cd /etc/nginx/certs && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        " -subj /CN=theirs.test -days 300 -keyout x.key -out x.crt 2>/dev/null"
        " && echo 'x:{PLAIN}nobody' >/etc/nginx/.htpasswd && rm /etc/nginx/sites-enabled/default && cp -a /etc/nginx /root/nginx.before"
    )
    return host


@pytest.fixture
def host(_host: LabHost, world: World) -> LabHost:
    world.prepare(_host)
    _host.run("systemctl stop nginx; rm -rf /etc/nginx /var/lib/novaops && cp -a /root/nginx.before /etc/nginx; rm -f /var/log/nginx/*")
    return _host


def configure(host: LabHost, case: Mapping[str, Any]) -> None:
    said = {"main": "", "http": "", "include": "/etc/nginx/conf.d/*.conf; include /etc/nginx/sites-enabled/*", **case}
    host.run("cat >/etc/nginx/nginx.conf", stdin=MAIN % said)
    host.run("cat >/etc/nginx/sites-enabled/theirs", stdin=str(case.get("sites", "")).replace("ADDRESS", host.address))
    host.run("nginx -t -q && systemctl reset-failed nginx && systemctl restart nginx")


def outside(host: LabHost, tls: str, path: str = "/") -> str:
    """What this machine gets: the headers and the body."""
    origin, port = ("https://app.test", 443) if tls == "self-signed" else ("http://app.test", 80)
    words = ("curl", "-sSk", "-i", "-m", "10", "--noproxy", "*", "-H", "X-Long: " + "x" * 1000, "--connect-to", f"::{host.address}:{port}")
    return subprocess.run([*words, origin + path], check=False, capture_output=True, text=True).stdout


def deployed(novaops: Novaops, folder: Path, host: LabHost, site: Mapping[str, Any], *words: str) -> Done:
    inventory = write_inventory(folder, host, proxy=[{"name": "app", "domain": "app.test", "tls": "off", **site}])
    return novaops("proxy", "deploy", "--json", *words, inventory=inventory, env={})


FIRST = 5
"""So many are tried each time, the others with the long tests."""


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["name"], marks=[pytest.mark.long] * (number >= FIRST)) for number, case in enumerate(ROWS)]
)
def test_somebodys_nginx(host: LabHost, world: World, novaops: Novaops, tmp_path: Path, case: Mapping[str, Any]) -> None:
    configure(host, case)
    tls = case.get("tls", "off")
    more = {key: str(value).replace("ADDRESS", host.address) for key, value in case.get("site", {}).items()}
    site = {"upstreams": f"{world.address}:{world.backend('one').port}", "tls": tls, **more}
    if "refused" in case:
        before = host.run("cd /etc/nginx && find . | sort")
        refused = deployed(novaops, tmp_path, host, site, "--check")
        assert (refused.code, refused.host["status"], refused.host["execs"]) == (4, "refused", 1), refused.text
        assert case["refused"].replace("ADDRESS", host.address) in refused.host["error"]["what"] + refused.host["error"]["why"]
        assert host.run("cd /etc/nginx && find . | sort") == before
        return
    done = deployed(novaops, tmp_path, host, site)
    assert (done.code, done.host["status"]) == (0, "changed"), done.host["error"]
    for _ in range(20):
        head, _, body = outside(host, tls).partition("\n\n")
        assert head.split(" ")[1] == "200", head
        assert body == "one\n"
    assert "strict-transport" not in head.lower()
    again = deployed(novaops, tmp_path, host, site)
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text


def test_a_unit_that_starts_nginx_with_another_file(host: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    configure(host, {})
    drop_in, words = (
        "/etc/systemd/system/nginx.service.d/x.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/nginx -c /etc/nginx/own.conf\n",
    )
    host.run(f"cp /etc/nginx/nginx.conf /etc/nginx/own.conf; mkdir -p {drop_in.rpartition('/')[0]}; cat >{drop_in}", stdin=words)
    try:
        for start in ("systemctl daemon-reload", "systemctl restart nginx"):
            host.run(start)
            refused = deployed(novaops, tmp_path, host, {"upstreams": "127.0.0.1:9"}, "--check")
            assert (refused.code, refused.host["status"]) == (4, "refused"), refused.text
            assert (
                "nginx.service starts nginx with /etc/nginx/own.conf, and not with /etc/nginx/nginx.conf" in refused.host["error"]["what"]
            )
    finally:
        host.run(f"rm {drop_in}; systemctl daemon-reload; systemctl restart nginx")


def taken_up(host: LabHost, site: str) -> str:
    """What the script that makes nginx use its files says of this one, and its exit code."""
    host.run("mkdir -p /etc/nginx/conf.d && cat >/etc/nginx/conf.d/novaops-x.conf", stdin=site)
    return host.run(f"{join(TAKE_UP)} 2>&1; echo exit $?")


def test_what_nginx_only_warns_of(host: LabHost) -> None:
    """Where two servers have a name, one of them never gets a request: a failure where it is a name of ours."""
    configure(host, {"sites": "server { listen 80; server_name theirs.test a.test; } server { listen 80; server_name theirs.test; }"})
    said = taken_up(host, 'server { listen 80; server_name "A.test"; return 204; }')
    assert 'conflicting server name "a.test" on 0.0.0.0:80' in said
    assert said.endswith("exit 1\n")
    assert taken_up(host, 'server { listen 80; server_name "b.test"; return 204; }') == "exit 0\n", "the other conflict is theirs"


def test_what_nginx_does_not_read(host: LabHost) -> None:
    configure(host, ROWS[0])
    said = taken_up(host, "server { listen 80; server_name x.test; }")
    assert said == "nginx does not read /etc/nginx/conf.d/novaops-x.conf: its http needs an include for it\nexit 1\n"


def test_a_port_that_nginx_does_not_get(host: LabHost) -> None:
    """Its own words, wherever it writes them, and as soon as it has given up."""
    configure(host, {"sites": "server { listen 80; server_name theirs.test; }"})
    host.run("cat >/tmp/other.conf", stdin="pid /tmp/other.pid; error_log /dev/null; events {} http { server { listen 8099; } }")
    host.run("nginx -c /tmp/other.conf")
    for errors in ("error_log /var/log/nginx/error.log;", ""):
        host.run(f"sed -i 's|error_log .*;$|{errors}|' /etc/nginx/nginx.conf && nginx -t -q && systemctl restart nginx")
        began = time.monotonic()
        said = taken_up(host, "server { listen 8099; server_name x.test; }")
        assert "bind() to 0.0.0.0:8099 failed (98" in said, said
        assert said.endswith("exit 1\n")
        assert time.monotonic() - began < 9, "nginx gives up after 2.5 s"
        host.run("rm /etc/nginx/conf.d/novaops-x.conf")
    host.run("kill $(cat /tmp/other.pid)")
