"""`novaops proxy deploy` in front of servers of one's own, and beside sites that are somebody else's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.lab.conftest import Done, Novaops
from tests.support.things import write_inventory
from tests.support.world import echo
from tests.support.world.api import KEY, FakeApi
from tests.support.world.world import World

CLEAN = """\
systemctl disable -q --now 'novaops-proxy@*.timer' 2>/dev/null; rm -f /etc/systemd/system/novaops-proxy@*; systemctl daemon-reload
systemctl disable -q --now apache2 2>/dev/null; rm -rf /etc/nginx /var/lib/novaops && cp -a /root/nginx.before /etc/nginx
rm -f /var/log/nginx/*; systemctl reset-failed nginx; systemctl restart nginx"""


@pytest.fixture(scope="module")
def _gate(lab: Lab, _container: LabHost, _world: World) -> LabHost:
    """A host with nginx as Debian brings it."""
    host = lab.reset(_container.name)
    _world.prepare(host)
    host.run("apt-get update -q && apt-get install -y -q --no-install-recommends nginx curl", timeout_s=300)
    host.run("cp -a /etc/nginx /root/nginx.before")
    return host


@pytest.fixture
def gate(_gate: LabHost, world: World) -> LabHost:
    world.prepare(_gate)
    _gate.run(CLEAN)
    return _gate


Deploy = Callable[..., Done]


@pytest.fixture
def deploy(gate: LabHost, novaops: Novaops, tmp_path: Path) -> Deploy:
    """Deploy these sites, and no others."""

    def run(*sites: Mapping[str, Any], words: tuple[str, ...] = ("deploy",)) -> Done:
        inventory = write_inventory(tmp_path, gate, proxy=[{"tls": "off", **site} for site in sites])
        return novaops("proxy", *words, "--json", inventory=inventory, env=ENV)

    return run


ENV = {"PASSWORD": "wired-Fjord-88 kite", "TOKEN": "glass-Tundra-77-xyz", "KEY": KEY}


def right(done: Done, execs: int = 3) -> None:
    assert (done.code, done.host["status"], done.host["execs"]) == (0, "changed", execs), done.text


def ask(host: LabHost, name: str, path: str = "/", *words: str, port: int = 80) -> tuple[int, str, str]:
    """Status, headers in small letters, and body, as the host gets them from itself."""
    from novaops.shell import join

    url = f"http://{name}:{port}{path}" if port != 80 else f"http://{name}{path}"
    command = join(["curl", "-sS", "-i", "--max-time", "20", "--connect-to", "::127.0.0.1:", *words, url])
    said = host.run(f"{command} || echo nothing")
    head, _, body = said.replace("\r", "").partition("\n\n")
    return int(head.split(" ")[1]) if " " in head else 0, head.lower(), body


def test_names(gate: LabHost, world: World, deploy: Deploy) -> None:
    """Exact, then the longest wildcard in front, then behind, then an expression; capitals do not matter."""
    kinds = {
        "exact": "www.x.test,second.x.test",
        "wild": "*.x.test",
        "longer": "*.pref.x.test",
        "dot": ".dot.test",
        "behind": "mail.*",
        "expression": r"~^re\d+\.test$",
    }
    backends = {name: world.backend(name) for name in kinds}
    right(deploy(*({"name": n, "domain": d, "upstreams": f"{world.address}:{backends[n].port}"} for n, d in kinds.items())))
    expected = {
        "www.x.test": "exact",
        "WWW.X.test": "exact",
        "second.x.test": "exact",
        "any.x.test": "wild",
        "a.b.x.test": "wild",
        "a.pref.x.test": "longer",
        "dot.test": "dot",
        "a.dot.test": "dot",
        "mail.anywhere": "behind",
        "re12.test": "expression",
    }
    for name, site in expected.items():
        assert ask(gate, name)[2] == f"{site}\n", name
    for stranger in ("x.test.other", "re.test", "127.0.0.1"):
        assert ask(gate, stranger)[0] == 0, stranger


def test_twenty_sites_cost_what_one_does(world: World, deploy: Deploy) -> None:
    backend = world.backend("one")
    sites = [{"name": f"s{n}", "domain": f"s{n}.test", "upstreams": f"{world.address}:{backend.port}"} for n in range(20)]
    right(deploy(*sites))
    again = deploy(*sites)
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text


def test_what_passes(gate: LabHost, world: World, deploy: Deploy) -> None:
    """A backend hears where requests come from, and only from nginx; what it says of itself is put right."""
    backend = world.backend("one")
    own = f"{world.address}:{backend.port}"
    right(deploy({"name": "app", "domain": "www.app.test", "upstreams": own, "http_port": 8080, "max_body": "1M"}))
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Forwarded-Proto": "https"}
    backend.behaviour.headers = [
        ("Location", f"http://{own}/next"),
        ("Set-Cookie", "a=1; Path=/app; Domain=internal"),
        ("Set-Cookie", "b=2; Domain=.app.test"),
    ]
    backend.requests.clear()
    status, head, _ = ask(gate, "www.app.test", "/x?y=1", *(w for n, v in forged.items() for w in ("-H", f"{n}: {v}")), port=8080)
    assert status == 200
    assert "location: http://www.app.test:8080/next" in head
    assert "set-cookie: a=1; path=/app; domain=www.app.test" in head
    assert "set-cookie: b=2; domain=.app.test" in head
    (request,) = backend.requests
    told = {name: request.header(name) for name in ("Host", "X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "Forwarded")}
    assert told == {
        "Host": "www.app.test:8080",
        "X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "Forwarded": None,
    }
    backend.behaviour.headers = []
    upload = ("-X", "POST", "--data-binary", "@/tmp/upload", "-H", "Expect:")
    gate.run("head -c 1100000 /dev/urandom >/tmp/upload")
    assert ask(gate, "www.app.test", "/up", *upload, port=8080)[0] == 413
    right(deploy({"name": "app", "domain": "www.app.test", "upstreams": own, "http_port": 8080, "max_body": "2M"}))
    sha = gate.run("sha256sum </tmp/upload").split()[0]
    for chunked in ((), ("-H", "Transfer-Encoding: chunked")):
        status, _, body = ask(gate, "www.app.test", "/up", *upload, *chunked, port=8080)
        assert (status, json.loads(body)["sha256"]) == (200, sha), chunked
    assert echo((gate.address, 8080), "www.app.test", "/", "hello") == "hello"


@pytest.mark.long
def test_several_backends(gate: LabHost, world: World, deploy: Deploy) -> None:
    """In turn, by weight, without the one that is down, and the backup when no other is left."""
    one, two, spare = (world.backend(name) for name in ("one", "two", "spare"))
    at = {backend.name: f"{world.address}:{backend.port}" for backend in (one, two, spare)}
    upstreams = [{"address": at["one"], "weight": 3}, at["two"], {"address": at["spare"], "backup": True}]
    site = {"name": "app", "domain": "app.test", "upstreams": upstreams, "timeout": 1}
    right(deploy(site))

    def served(times: int = 8) -> dict[str, int]:
        bodies = [ask(gate, "app.test")[2].strip() for _ in range(times)]
        return {name: bodies.count(name) for name in set(bodies)}

    assert set(served()) == {"one", "two"}
    one.stop()
    assert set(served()) == {"two"}
    two.stop()
    assert set(served()) == {"spare"}
    spare.stop()
    assert ask(gate, "app.test")[0] == 502
    done = deploy(site)
    assert (done.code, done.host["status"]) == (1, "failed"), done.text
    assert "the site is up, but its upstream cannot be reached" in done.host["error"]["what"]
    one.start()
    assert wait_until(lambda: ask(gate, "app.test")[0] == 200, 20)
    one.behaviour.delay_s = 3
    assert ask(gate, "app.test")[0] in {502, 504}


def test_parts_of_a_site(gate: LabHost, world: World, deploy: Deploy) -> None:
    """Locations with backends of their own, and a place where no password is asked for."""
    web, api = world.backend("web"), world.backend("api")
    at = {backend.name: f"{world.address}:{backend.port}" for backend in (web, api)}
    site = {
        "name": "app",
        "domain": "app.test",
        "upstreams": at["web"],
        "auth": {"basic": {"nova": "env:PASSWORD"}},
        "locations": [
            {"path": "/api/", "upstreams": at["api"]},
            {"path": "/health", "exact": "true", "auth": "off"},
            {"path": "/public", "auth": "off"},
        ],
    }
    right(deploy(site))
    user = ("-u", f"nova:{ENV['PASSWORD']}")
    status, head, _ = ask(gate, "app.test")
    assert (status, 'www-authenticate: basic realm="app"' in head) == (401, True)
    assert ask(gate, "app.test", "/", *user)[2] == "web\n"
    assert ask(gate, "app.test", "/api/x", *user)[2] == "api\n"
    assert ask(gate, "app.test", "/api/x")[0] == 401
    assert ask(gate, "app.test", "/health")[0] == 200
    assert ask(gate, "app.test", "/health/more")[0] == 401
    for path in ("/public", "/public?x", "/public/", "/public/x", "//public/x"):
        assert ask(gate, "app.test", path)[0] == 200, path
    for path in ("/publicadmin", "/public.bak", "/public%61", "/publi", "/Public/x", "/public;x"):
        assert ask(gate, "app.test", path)[0] == 401, path
    assert all(request.header("Authorization") is None for request in (*web.requests, *api.requests))


@pytest.mark.long
def test_an_address_for_a_name(gate: LabHost, world: World, deploy: Deploy) -> None:
    """For whoever has no domain. A client that asks for an address names it only after the handshake."""
    backend = world.backend("one")
    site = {"name": "app", "domain": [gate.address, "app.test"], "tls": "self-signed", "upstreams": f"{world.address}:{backend.port}"}
    right(deploy(site))
    asked = "curl -sS --cacert /etc/nginx/novaops/app.crt"
    assert gate.run(f"{asked} https://{gate.address}/") == "one\n"
    assert gate.run(f"{asked} --resolve app.test:443:127.0.0.1 https://app.test/") == "one\n"
    assert gate.run("curl -sSk --resolve other.test:443:127.0.0.1 https://other.test/ || echo nothing") == "nothing\n"
    right(deploy({**site, "state": "absent"}, {**site, "name": "next"}))
    assert gate.run(f"curl -sS --cacert /etc/nginx/novaops/next.crt https://{gate.address}/") == "one\n"
    right(deploy({"name": "next", "state": "absent"}, words=("remove",)))
    assert gate.run("ls /etc/nginx/conf.d /etc/nginx/novaops") == "/etc/nginx/conf.d:\n\n/etc/nginx/novaops:\n"


FOREIGN = "server { listen 80; server_name theirs.test Other.test; return 200 theirs; }"


def test_a_name_that_only_the_host_knows(gate: LabHost, world: World, deploy: Deploy) -> None:
    backend = world.backend("one")
    gate.run(f"printf '%s app.inside.test\\n' {world.address} >>/etc/hosts")
    done = deploy({"name": "app", "domain": "www.app.test", "upstreams": f"app.inside.test:{backend.port}"})
    assert done.code == 1
    assert "its upstream has a name that nginx finds no address for" in done.text
    assert "does not read /etc/hosts" in done.text


def test_beside_somebody_elses_sites(gate: LabHost, world: World, deploy: Deploy) -> None:
    backend = world.backend("one")
    gate.run(f"echo '{FOREIGN}' >/etc/nginx/sites-enabled/theirs && echo '# mine now' >>/etc/nginx/sites-available/default")
    gate.run("nginx -t -q && systemctl reload nginx")
    before = gate.run("cd /etc/nginx && find . -type f | sort | xargs sha256sum; ls -l sites-enabled")
    done = deploy({"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{backend.port}"})
    right(done)
    assert ask(gate, "app.test")[2] == "one\n"
    assert ask(gate, "theirs.test")[2] == "theirs"
    assert "Welcome to nginx" in ask(gate, "unknown.test")[2], "a page that somebody changed is theirs"
    for taken in ("other.test", "OTHER.test"):
        refused = deploy({"name": "mine", "domain": taken, "upstreams": f"{world.address}:{backend.port}"})
        assert (refused.code, refused.host["status"], refused.host["execs"]) == (4, "refused", 1), refused.text
        assert "other.test is a server_name in /etc/nginx/sites-enabled/theirs:1 already" in refused.host["error"]["what"]
    right(deploy({"name": "app", "state": "absent"}, words=("remove",)))
    assert gate.run("cd /etc/nginx && find . -type f | sort | xargs sha256sum; ls -l sites-enabled") == before
    assert ask(gate, "theirs.test")[2] == "theirs"


def test_a_server_that_answers_for_all_names(gate: LabHost, world: World, deploy: Deploy) -> None:
    """It has no name, and would be heard of no more: refused. One with a name keeps that, which is said."""
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}"}
    gate.run("rm /etc/nginx/sites-enabled/default")
    theirs = "echo 'server { listen 80; %s return 200 theirs; }' >/etc/nginx/sites-enabled/theirs; nginx -s reload"
    gate.run(theirs % "")
    refused = deploy(site)
    assert (refused.code, refused.host["status"]) == (4, "refused"), refused.text
    assert "theirs:1 answers for all names at port 80" in refused.host["error"]["what"]
    assert ask(gate, "whatever.test")[2] == "theirs"
    gate.run(theirs % "server_name theirs.test;")
    done = deploy(site)
    right(done)
    assert any("get no answer from now on" in note["text"] for note in done.host["notes"]), done.text
    assert (ask(gate, "theirs.test")[2], ask(gate, "whatever.test")[0]) == ("theirs", 0)


def test_the_welcome_page_serves_somebodys_shop(gate: LabHost, world: World, deploy: Deploy) -> None:
    gate.run("echo shop >/var/www/html/index.html")
    right(deploy({"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}"}))
    assert (ask(gate, "app.test")[2], ask(gate, "shop.test")[2]) == ("one\n", "shop\n")
    gate.run("rm /var/www/html/index.html")


def test_an_address_that_somebody_listens_on(gate: LabHost, world: World, deploy: Deploy) -> None:
    """Nginx gives such an address to no server that listens on all of them: so these listen on it as well."""
    theirs = f"server {{ listen {gate.address}:80; server_name theirs.test; return 200 theirs; }}"
    gate.run(f"echo '{theirs}' >/etc/nginx/sites-enabled/theirs; nginx -s reload")
    at = f"{world.address}:{world.backend('one').port}"
    right(
        deploy(
            {"name": "app", "domain": "app.test", "upstreams": at},
            {"name": "here", "domain": "here.test", "listen": "127.0.0.1", "upstreams": at},
        )
    )
    for address in (gate.address, "127.0.0.1"):
        assert gate.run(f"curl -sS --resolve app.test:80:{address} http://app.test/") == "one\n"
    assert gate.run(f"curl -sS --resolve theirs.test:80:{gate.address} http://theirs.test/") == "theirs"


def test_large_heads(gate: LabHost, world: World, deploy: Deploy) -> None:
    """Three cookies of 1.9 kB pass. What is too large is said for what it is."""
    web = world.backend("web")
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{web.port}"}
    web.behaviour.headers = [("Set-Cookie", f"c{number}={'x' * 1900}") for number in range(3)]
    right(deploy(site))
    status, head, _ = ask(gate, "app.test")
    assert (status, head.count("set-cookie: ")) == (200, 3)
    web.behaviour.headers *= 7
    failed = deploy(site)
    assert (failed.code, failed.host["status"]) == (1, "failed"), failed.text
    assert "answers with a larger head than the site takes" in failed.host["error"]["what"]
    right(deploy({**site, "max_head": "64k"}))


def test_connections_end_before_a_server_ends_them(gate: LabHost, world: World, deploy: Deploy) -> None:
    """Node and others close one that has been idle for 5 s: a POST that goes out in that moment is lost."""
    web = world.backend("web")
    right(deploy({"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{web.port}"}))
    web.requests.clear()
    once = "-X POST -d x --connect-to ::127.0.0.1: http://app.test/"
    gate.run(f"curl -sS {once} --next -sS {once}")
    assert len({request.connection for request in web.requests}) == 1, "it was not kept at all"
    kept = f"ss -H -t -n state established dst {world.address} dport = :{web.port}"
    began = time.monotonic()
    assert gate.run(kept)
    assert wait_until(lambda: not gate.run(kept), 5), "it is kept for longer than servers keep it"
    assert time.monotonic() - began > 2, "it was hardly kept"


def test_what_a_client_cannot_claim(gate: LabHost, world: World, deploy: Deploy) -> None:
    """Neither another name, nor a way past what the site asks for."""
    web = world.backend("web")
    site = {
        "name": "app",
        "domain": "app.test",
        "upstreams": f"{world.address}:{web.port}",
        "auth": {"basic": {"nova": "env:PASSWORD"}},
        "locations": [{"path": "/public/", "auth": "off"}],
    }
    right(deploy(site))
    web.requests.clear()
    for path in ("/admin/..%2fpublic/x", "/admin/../public/x", "/public/../admin", "/public/%2e%2e/admin", "/admin/..%5cpublic/"):
        assert ask(gate, "app.test", path, "--path-as-is")[0] in {400, 401}, path
    assert not web.requests
    claims = (
        "-H",
        "Host: app.test:80@evil.test",
        "-H",
        "Upgrade: h2c",
        "-H",
        "Connection: Upgrade, HTTP2-Settings",
        "-H",
        "X-Forwarded-Prefix: /x",
    )
    assert ask(gate, "app.test", "/public/x", *claims, "-u", f"nova:{ENV['PASSWORD']}")[0] == 200
    (request,) = web.requests
    told = {name: request.header(name) for name in ("Host", "X-Forwarded-Host", "Upgrade", "X-Forwarded-Prefix", "Authorization")}
    assert told == {"Host": "app.test", "X-Forwarded-Host": "app.test", "Upgrade": None, "X-Forwarded-Prefix": None, "Authorization": None}


@pytest.mark.long
def test_from_one_setting_to_the_next(gate: LabHost, deploy: Deploy) -> None:
    """Nothing of the one before stays, whatever is said for all servers."""
    gate.run("echo 'satisfy any;' >/etc/nginx/conf.d/theirs.conf")
    api = {"name": "gate", "domain": "gate.test", "provider": "openai"}
    tls: dict[str, Any] = {"tls": "self-signed"}
    inject: dict[str, Any] = {"basic": {"nova": "env:PASSWORD"}, "inject": "env:KEY", "from": "127.0.0.1"}
    ways: list[tuple[dict[str, Any], set[str]]] = [
        ({**api, **tls, "auth": {"token": "env:TOKEN"}}, {"gate.tokens", "gate.crt", "gate.key"}),
        ({**api, **tls, "auth": inject}, {"gate.inject", "gate.htpasswd", "gate.crt", "gate.key"}),
        ({**api, "auth": {"passthrough": True, "from": "127.0.0.1"}}, set()),
        ({**api, "auth": inject, "http_port": "8080"}, {"gate.inject", "gate.htpasswd"}),
    ]
    for site, secrets in ways:
        right(deploy(site))
        others = {"no-authority.pem", "addresses.sh", "gate.addresses"}
        assert set(gate.run("ls /etc/nginx/novaops").split()) - others == secrets, site
        conf = {
            "00-novaops.conf",
            "novaops.conf",
            "novaops-gate.conf",
            "theirs.conf",
            *(["novaops-gate.http.conf"] if "tls" in site else []),
        }
        assert set(gate.run("ls /etc/nginx/conf.d").split()) == conf, site
    assert ask(gate, "gate.test", "/v1/models", port=8080)[0] == 401, "satisfy any; of somebody else opens nothing"
    assert ask(gate, "gate.test", "/v1/models", "-u", f"nova:{ENV['PASSWORD']}", port=8080)[0] == 200
    assert ask(gate, "gate.test", "/v1/models")[0] == 0


@pytest.mark.long
def test_an_nginx_that_was_stopped(gate: LabHost, world: World, deploy: Deploy, novaops: Novaops, tmp_path: Path) -> None:
    """What is taken away does not start it, and what is undone leaves it as it was."""
    gate.run("systemctl disable --now nginx")
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}"}
    right(deploy(site))
    state = "systemctl is-active nginx; systemctl is-enabled nginx; true"
    assert gate.run(state) == "active\nenabled\n"
    done = novaops("undo", gate.name, "--json", inventory=tmp_path / "inventory.yaml")
    assert done.code == 0, done.text
    assert gate.run(state) == "inactive\ndisabled\n"
    right(deploy(site))
    gate.run("systemctl stop nginx")
    right(deploy({"name": "app", "state": "absent"}, words=("remove",)))
    assert gate.run(state) == "inactive\nenabled\n"
    gate.run("systemctl start nginx")


def test_room_for_streams(gate: LabHost, world: World, deploy: Deploy) -> None:
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}", "streams": 2000}
    right(deploy(site))
    said = gate.run("nginx -T 2>/dev/null | grep -E '^[ \t]*worker_(connections|rlimit_nofile)'").split()
    assert said == ["worker_rlimit_nofile", "5024;", "worker_connections", "4512;"]
    assert "5024" in gate.run("grep 'open files' /proc/$(pgrep -P $(cat /run/nginx.pid) | head -n 1)/limits")


def test_broken_by_somebody_else(gate: LabHost, world: World, deploy: Deploy) -> None:
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}"}
    gate.run("echo 'server { listen 80; oops; }' >/etc/nginx/sites-enabled/theirs")
    refused = deploy(site)
    assert (refused.code, refused.host["status"], refused.host["execs"]) == (4, "refused", 1), refused.text
    assert 'unknown directive "oops" in /etc/nginx/sites-enabled/theirs:1' in refused.host["error"]["what"]
    assert gate.run("ls /etc/nginx/conf.d; systemctl is-active nginx") == "active\n"
    gate.run("rm /etc/nginx/sites-enabled/theirs")
    right(deploy(site))
    gate.run("echo oops >>/etc/nginx/conf.d/novaops-app.conf")
    right(deploy(site))
    assert ask(gate, "app.test")[2] == "one\n"


STOPPED = "[Service]\nExecStart=/bin/sleep 9\n[Install]\nWantedBy=multi-user.target\n"


def test_a_web_server_that_is_only_stopped(gate: LabHost, world: World, deploy: Deploy, novaops: Novaops, tmp_path: Path) -> None:
    """It wants the port when the host boots: the site is up, and that is a failure, and verify tells it too."""
    gate.run("mkdir -p /etc/apache2; echo Listen 80 >/etc/apache2/ports.conf; cat >/etc/systemd/system/apache2.service", stdin=STOPPED)
    gate.run("systemctl enable -q apache2")
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}"}
    try:
        for _ in range(2):
            done = deploy(site)
            assert (done.code, done.host["error"]["fix"]) == (1, "systemctl disable apache2.service; or take the line out there"), done.text
            assert ask(gate, "app.test")[2] == "one\n"
        seen = novaops("verify", "--json", inventory=write_inventory(tmp_path, gate, proxy=[{"tls": "off", **site}]), env=ENV)
        failed = [step["message"] for step in seen.host["steps"] if step["status"] == "failed"]
        assert failed == [
            "nobody else should want port 80 at the next boot, but apache2.service, which does not run now, is enabled and has Listen 80"
        ], seen.text
        gate.run("echo Listen 8080 >/etc/apache2/ports.conf")
        done = deploy(site)
        assert (done.code, done.host["status"], "apache2.service is enabled" in done.text) == (0, "unchanged", True), done.text
    finally:
        gate.run("systemctl disable -q apache2; rm -r /etc/apache2 /etc/systemd/system/apache2.service; systemctl daemon-reload")


@pytest.mark.long
def test_a_port_that_is_taken(gate: LabHost, world: World, deploy: Deploy) -> None:
    gate.run("systemctl stop nginx && apt-get install -y -q --no-install-recommends apache2", timeout_s=200)
    gate.run("systemctl start apache2")
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}"}
    refused = deploy(site)
    assert (refused.code, refused.host["status"]) == (4, "refused"), refused.text
    assert "port 80 is taken by apache2" in refused.host["error"]["what"]
    right(deploy({**site, "http_port": "8080"}))
    assert ask(gate, "app.test", port=8080)[2] == "one\n"


def test_what_nginx_does_not_take_is_taken_back(gate: LabHost, world: World, deploy: Deploy) -> None:
    """The old file comes back, and the nginx that runs never notices."""
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}"}
    right(deploy(site))
    before = gate.run("cat /etc/nginx/conf.d/*")
    done = deploy({**site, "domain": r"~(?a)^a\.test$"})
    assert (done.code, done.host["status"]) == (1, "failed"), done.text
    assert "emerg" in done.host["error"]["what"]
    assert gate.run("cat /etc/nginx/conf.d/*") == before
    assert ask(gate, "app.test")[2] == "one\n"


def test_undo(gate: LabHost, world: World, deploy: Deploy, novaops: Novaops, tmp_path: Path) -> None:
    site = {"name": "app", "domain": "app.test", "upstreams": f"{world.address}:{world.backend('one').port}"}
    before = gate.run("cd /etc/nginx && find . -type f | sort | xargs sha256sum; ls sites-enabled")
    right(deploy(site))
    inventory = tmp_path / "inventory.yaml"
    done = novaops("undo", gate.name, "--json", inventory=inventory)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert gate.run("cd /etc/nginx && find . -type f | sort | xargs sha256sum; ls sites-enabled") == before
    assert ask(gate, "app.test")[0] == 200
    assert ask(gate, "app.test")[2] != "one\n", "Debian's own page answers again"


def test_what_is_renewed_under_the_same_path(gate: LabHost, world: World, deploy: Deploy) -> None:
    """Nginx reads certificates, and whatever else its files name, only when it is told to: what it shows counts, not what is there."""
    gate.run(GIVEN.format(name="given", days=40))
    web = world.backend("web")
    upstreams = f"{world.address}:{web.port}"
    site = {"domain": "given.test", "upstreams": upstreams, "tls": "files", "certificate": "/root/given.crt", "key": "/root/given.key"}
    sites = ({"name": "given", **site}, {"name": "own", "domain": "own.test", "upstreams": upstreams, "tls": "self-signed"})
    right(deploy(*sites))
    assert deploy(*sites).host["status"] == "unchanged"
    old = gate.run(SHOWN.format(name="given"))

    # With the times of the file before, as cp -p and rsync leave them.
    gate.run("cp -p /root/given.crt /root/old.crt")
    gate.run(GIVEN.format(name="given", days=80))
    gate.run("touch -r /root/old.crt /root/given.crt /root/given.key")
    planned = deploy(*sites, words=("deploy", "--check"))
    assert (planned.code, planned.host["status"]) == (3, "would_change"), planned.text
    assert gate.run(SHOWN.format(name="given")) == old
    status = deploy(*sites, words=("status",)).host["sites"]
    [about] = [each["certificate"] for each in status if each["site"] == "given"]
    assert (about["days_left"], about["days_left_on_disk"]) == (39, 79)
    right(deploy(*sites))
    assert gate.run(SHOWN.format(name="given")) == gate.run("openssl x509 -in /root/given.crt -noout -fingerprint -sha256")
    assert deploy(*sites).host["status"] == "unchanged"

    # Of files that nobody is shown, the time of their last change counts.
    for changed in ("/etc/nginx/conf.d/novaops-own.conf", "/root/given.key"):
        gate.run(f"cp -p {changed} /root/same; cat /root/same >{changed}; touch -r /root/same {changed}")
        right(deploy(*sites))
        assert deploy(*sites).host["status"] == "unchanged"


GIVEN = """\
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN={name} -addext subjectAltName=DNS:{name}.test \
  -addext basicConstraints=critical,CA:FALSE -keyout /root/{name}.key -out /root/{name}.crt -days {days} 2>/dev/null
chmod 0600 /root/{name}.key"""
SHOWN = """\
openssl s_client -connect 127.0.0.1:443 -servername {name}.test </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"""


def test_an_api_without_tls(gate: LabHost, world: World, deploy: Deploy, tmp_path: Path) -> None:
    """A server of one's own with a token, which its provider's file says to ask in the clear."""
    llm = FakeApi(world.address, 0)
    llm.start()
    try:
        (tmp_path / "providers").mkdir()
        (tmp_path / "providers/llm.yaml").write_text("{endpoints: [{host: 127.0.0.1, path: /v1, tls: off}], probe: /v1/models}")
        auth = {"basic": {"nova": "env:PASSWORD"}, "inject": "env:KEY"}
        site = {"name": "llm", "domain": "llm.test", "provider": "llm", "upstream": f"http://{world.address}:{llm.port}", "auth": auth}
        right(deploy(site))
        assert ask(gate, "llm.test", "/v1/models", "-u", f"nova:{ENV['PASSWORD']}")[0] == 200
        status = deploy(site, words=("status",))
        assert status.code == 0, status.text
        assert [one["complaint"] for one in status.host["sites"][0]["upstreams"]] == [""]
    finally:
        llm.stop()


def test_a_location_of_its_own_kind(gate: LabHost, world: World, deploy: Deploy) -> None:
    """A server with TLS below a path that it does not know, and headers both ways."""
    secure = world.backend("secure", leaf=world.authority.leaf("right.lab.test"))
    world.names.names.update({"right.lab.test": [world.address], "wrong.lab.test": [world.address]})
    ca = "/etc/ssl/certs/ca-certificates.crt"
    api: dict[str, Any] = {"path": "/api/", "upstreams": f"https://right.lab.test:{secure.port}", "strip_prefix": "true", "verify": ca}
    api |= {"request_headers": {"X-Team": "$blue"}, "response_headers": {"X-Backend": "", "X-Seen": 'a "b"'}}
    right(deploy({"name": "app", "domain": "app.test", "locations": [api]}))
    status, head, body = ask(gate, "app.test", "/api/a%2Fb?c=%20")
    assert (status, body) == (200, "secure\n")
    assert 'x-seen: a "b"' in head
    assert "x-backend" not in head
    request = secure.requests[-1]
    assert (request.target, request.header("X-Team")) == ("/a%2Fb?c=%20", "$blue")

    wrong = {**api, "upstreams": f"https://wrong.lab.test:{secure.port}"}
    refused = deploy({"name": "app", "domain": "app.test", "locations": [wrong]})
    assert refused.code == 1, refused.text
    assert ask(gate, "app.test", "/api/")[0] == 502
    right(deploy({"name": "app", "domain": "app.test", "locations": [{**wrong, "verify": "off"}]}))
