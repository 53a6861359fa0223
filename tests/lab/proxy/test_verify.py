"""`novaops verify` of sites on a real host: right after the engine's work, and wrong in every way that its checks are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Done, Novaops
from tests.support.things import write_inventory
from tests.support.world.api import KEY
from tests.support.world.backend import Backend
from tests.support.world.world import World

PASSWORD, TOKEN = "wired-Fjord$8 'kite\" é", "glass-Tundra-$1-{x};#"
ENV = {"PASSWORD": PASSWORD, "KEY": KEY, "TOKEN": TOKEN}
CONF = "/etc/nginx/conf.d"
RELOAD = "nginx -t 2>/dev/null && systemctl reload nginx"
RESTORE = """\
rm -rf /etc/nginx /var/log/nginx/* && tar -C / -xf /root/nginx.tar && systemctl reload-or-restart nginx && nginx -s reopen || exit
rm -rf /run/systemd/system/novaops-proxy@inject.service.d; systemctl daemon-reload
systemctl enable -q --now novaops-proxy@inject.timer novaops-proxy@token.timer novaops-proxy@through.timer
nft delete table inet novaops_lab 2>/dev/null || true"""

BASIC = {"basic": {"nova": "env:PASSWORD"}}
SITES: Mapping[str, Mapping[str, Any]] = {
    "inject": {"provider": "openai", "tls": "files", "auth": {**BASIC, "inject": "env:KEY"}},
    "token": {"provider": "openai", "tls": "self-signed", "auth": {"token": {"laptop": "env:TOKEN"}}, "test_key": "env:KEY"},
    "through": {"provider": "openai", "tls": "self-signed", "https_port": 8443, "auth": {"passthrough": True}},
    "app": {"tls": "self-signed", "auth": BASIC, "locations": [{"path": "/open", "auth": "off"}]},
    "inner": {"tls": "off", "listen": "127.0.0.1", "http_port": 8080, "domain": "inner.lab.test"},
}


@dataclass(frozen=True)
class Gate:
    host: LabHost
    world: World
    backends: tuple[Backend, Backend]
    folder: Path
    sites: Mapping[str, Mapping[str, Any]]
    novaops: Novaops
    snapshot: list[str] = field(default_factory=list)

    def inventory(self, *names: str, **more: Any) -> Path:
        """An inventory with these sites; `more` is another key in each."""
        return write_inventory(self.folder, self.host, proxy=[{**self.sites[name], **more} for name in names])

    def verify(self, *names: str, trusting: bool = True, words: tuple[str, ...] = ("--json",), **more: Any) -> Done:
        """`trusting` our authority on this machine."""
        trust = {"SSL_CERT_FILE": str(self.world.authority.root)} if trusting else {}
        return self.novaops("verify", *words, inventory=self.inventory(*names, **more), env={**ENV, **trust})

    def restore(self) -> None:
        """The host as it was after the deployment."""
        self.host.run(RESTORE)
        for backend in self.backends:
            backend.start()


@pytest.fixture(scope="module")
def made(lab: Lab, _container: LabHost, _world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A host with a site of each kind, deployed by one run."""
    host = lab.reset(_container.name)
    _world.reset()
    _world.prepare(host)
    with ExitStack() as stack:
        backends = (Backend("one", _world.address), Backend("two", _world.address))
        for backend in backends:
            stack.enter_context(backend)
        upstreams = {"upstreams": [f"{backend.address}:{backend.port}" for backend in backends]}
        leaf = _world.authority.leaf("inject.lab.test")
        host.run("install -m 0600 /dev/stdin /etc/ssl/inject.key", stdin=leaf.key.read_text())
        host.run("cat >/etc/ssl/inject.pem", stdin=leaf.certificate.read_text())
        more: dict[str, dict[str, Any]] = {
            "inject": {"certificate": "/etc/ssl/inject.pem", "key": "/etc/ssl/inject.key"},
            "through": {"auth": {"passthrough": True, "from": [f"{_world.address}/32"]}},
            "app": {**upstreams, "locations": [{"path": "/open", "auth": "off", "upstreams": upstreams["upstreams"][:1]}]},
            "inner": upstreams,
        }
        sites = {name: {"name": name, "domain": f"{name}.lab.test", **site, **more.get(name, {})} for name, site in SITES.items()}
        gate = Gate(host, _world, backends, tmp_path_factory.mktemp("gate"), sites, Novaops(lab))
        done = gate.novaops("proxy", "deploy", inventory=gate.inventory(*sites), env=ENV)
        assert done.code == 0, done.text
        host.run("tar -C / -cf /root/nginx.tar etc/nginx etc/ssl/inject.pem etc/ssl/inject.key")
        yield gate


@pytest.fixture
def gate(made: Gate, world: World) -> Gate:
    world.prepare(made.host)
    world.api.behaviour.interval_s = 0.1
    made.restore()
    return made


def said(done: Done, status: str) -> list[str]:
    return [step["message"] for step in done.host["steps"] if step["status"] == status]


def test_right_after_the_engines_work(gate: Gate) -> None:
    done = gate.verify(*SITES)
    assert done.code == 0, done.text
    assert {step["resource"] for step in done.host["steps"]} == {f"proxy:{name}" for name in SITES}
    untried = {(step["resource"], step["message"]) for step in done.host["steps"] if step["status"] == "skipped"}
    assert untried == {("proxy:through", "without a key no API streams: test_key: gives one for proofs")}
    assert done.host["execs"] == 3
    streamed = [request for request in gate.world.api.requests if request.method == "POST"]
    assert len(streamed) == 2, "each API that a key is known of is asked to stream, and only once"
    for secret in (PASSWORD, KEY, TOKEN):
        assert secret not in done.text


def test_an_authority_that_is_not_known_here(gate: Gate) -> None:
    """It is said, and the host's own certificate is trusted, and no other."""
    done = gate.verify("inject", trusting=False)
    assert done.code == 0, done.text
    assert said(done, "skipped") == [
        "this machine does not know Lab Intermediate 1; exactly the host's /etc/ssl/inject.pem was trusted instead"
    ]


def sed(site: str, expression: str) -> str:
    """Changes the site's file, and fails when there is nothing to change."""
    return f"cp {CONF}/{site} /root/before && sed -Ei '{expression}' {CONF}/{site} && ! cmp -s {CONF}/{site} /root/before && {RELOAD}"


def certificate(gate: Gate, place: str, *names: str, **odd: Any) -> None:
    """Another certificate in a place of the host, and the site of `inject` has it."""
    leaf = gate.world.authority.leaf(*names, **odd)
    gate.host.run(f"cat >{place}.pem", stdin=leaf.certificate.read_text())
    gate.host.run(f"install -m 0600 /dev/stdin {place}.key", stdin=leaf.key.read_text())
    gate.host.run(f"sed -i 's|/etc/ssl/inject|{place}|' {CONF}/novaops-inject.conf && {RELOAD}")


FIREWALL = """\
apt-get install -y nftables >/dev/null 2>&1 && nft add table inet novaops_lab
nft add chain inet novaops_lab in '{ type filter hook input priority 0; }' && nft add rule inet novaops_lab in tcp dport 443 reject"""


def hold_back(gate: Gate) -> None:
    gate.host.run(sed("novaops-inject.conf", "s/proxy_buffering off/proxy_buffering on/"))


def late(gate: Gate) -> None:
    gate.world.api.behaviour.interval_s = 0.3
    hold_back(gate)


def echo(gate: Gate) -> None:
    gate.world.api.behaviour.headers = [("X-Echo", f"Bearer {KEY}")]


def silent_backend(gate: Gate) -> None:
    gate.backends[1].stop()


def no_backends(gate: Gate) -> None:
    for backend in gate.backends:
        backend.stop()


SHADOW = f"""\
cat >{CONF}/00-aaa.conf <<'END' && {RELOAD}
server {{ listen 443 ssl; listen 80; server_name app.lab.test; ssl_certificate /etc/nginx/novaops/app.crt;
  ssl_certificate_key /etc/nginx/novaops/app.key; return 200 "mine"; }}
END"""
"""nginx takes the first of two servers with one name."""

WELCOME = f"""\
sed -i 's/80 default_server;/80;/' {CONF}/novaops.conf
ln -s ../sites-available/default /etc/nginx/sites-enabled/default && {RELOAD}"""
NOBODYS = f"rm {CONF}/novaops.conf && " + sed("novaops-app.http.conf", "s/listen 80;/listen 80 default_server;/")
LOG_KEYS = f"""\
sed -i 's|^log_format novaops .|&$http_authorization |' {CONF}/00-novaops.conf && {RELOAD}"""

UNFOLLOWED = """\
mkdir -p /run/systemd/system/novaops-proxy@inject.service.d
printf '[Service]\\nExecStart=\\nExecStart=/bin/true\\n' >/run/systemd/system/novaops-proxy@inject.service.d/lab.conf
systemctl daemon-reload"""
"""The timer goes on, and nothing follows the addresses."""

DRIFT: Mapping[str, tuple[str, str | Callable[[Gate], None], str]] = {
    "events held back": ("inject", hold_back, "should come in 3 arrivals or more, but 5 came in 1: something on the way holds them back"),
    "the first event held back": ("inject", late, "should come within 1 s of the API's, but it came after 1."),
    "a connection for each request": (
        "inject",
        sed("novaops-inject.conf", "/keepalive/d"),
        "those after the first should find a connection to the API, but it took them",
    ),
    "nobody looks up the name": (
        "inject",
        "systemctl disable -q --now novaops-proxy@inject.timer",
        "novaops-proxy@inject.timer should be enabled and active, but it is disabled and inactive",
    ),
    "where it was before": (
        "inject",
        f"{UNFOLLOWED}; sed -i 's/^server [^:]*/server 192.0.2.9/' /etc/nginx/novaops/inject.addresses/*",
        "nginx should ask api.openai.com:443 at",
    ),
    "nobody is asked": (
        "inject",
        sed("novaops-inject.conf", "/auth_basic /d"),
        "/v1/models should answer 401 to who shows nothing, but it answers 200",
    ),
    "another certificate": (
        "inject",
        lambda gate: certificate(gate, "/etc/ssl/other", "other.lab.test"),
        "should take the certificate that is shown for inject.lab.test, but Hostname mismatch, certificate is not valid for",
    ),
    "one backend down": ("app", silent_backend, "answered none of 4 requests"),
    "another site shadows it": ("app", SHADOW, "knows nothing of it: another site may have the name"),
    "the site is off": ("inject", f"rm {CONF}/novaops-inject.conf && {RELOAD}", "inject.lab.test, but nobody there has this name"),
    "a world-readable key": (
        "app",
        "chmod 0644 /etc/nginx/novaops/app.key",
        "app.key should be readable for fewer (0600 at the most), but it is 0644 root:root",
    ),
    "no redirect": (
        "app",
        sed("novaops-app.http.conf", "s/return 30[18] .*;/return 404;/"),
        "should lead to https://app.lab.test/novaops-verify-",
    ),
    "a redirect without the path": ("app", sed("novaops-app.http.conf", "s/[$]request_uri//"), "but it leads to https://app.lab.test"),
    "POST becomes GET": ("app", sed("novaops-app.http.conf", "s/308/301/"), "(307 or 308), but it answers 301"),
    "no Strict-Transport-Security": (
        "inject",
        sed("novaops-inject.conf", "/Strict-Transport/d"),
        "should be max-age=31536000, but the answer to the stranger has none",
    ),
    "a Strict-Transport-Security that nobody wanted": (
        "token",
        sed("novaops-token.conf", "s/server_tokens off;/& add_header Strict-Transport-Security max-age=1 always;/"),
        "there should be no Strict-Transport-Security, but the answer to the stranger has max-age=1",
    ),
    "any token": (
        "token",
        sed("novaops-token.conf", "/return 401; }/d"),
        "should answer 401 to who shows a wrong token, but it answers 200",
    ),
    "no token": (
        "token",
        sed("novaops-token.conf", "/return 401; }/d"),
        "the site itself should answer 401 to who shows nothing, but the answer is another's",
    ),
    "from everywhere": ("through", sed("novaops-through.conf", "/deny all/d"), "who comes from the host itself, and not from"),
    "the API takes another key": (
        "inject",
        lambda gate: setattr(gate.world.api, "key", "another"),
        "/v1/models should be answered by openai: it is reached, but the API does not take the key that the proxy puts in",
    ),
    "the API is down": ("inject", lambda gate: gate.world.api.stop(), "the site itself answers 502: The API gave no answer"),
    "the region": (
        "inject",
        lambda gate: setattr(gate.world.api.behaviour, "region_refused", True),
        "/v1/models should be answered by openai: it is reached, but refuses the region of the host",
    ),
    "the key comes back": ("inject", echo, "the key is in the answer to the request of known"),
    "the key in a file for all": (
        "inject",
        "cp /etc/nginx/novaops/inject.inject /etc/nginx/novaops/x && chmod 0644 /etc/nginx/novaops/x",
        "the key is in /etc/nginx/novaops/x",
    ),
    "credentials in the log": ("inject", LOG_KEYS, "the login of nova is in /var/log/nginx/novaops-inject.access.log"),
    "the secrets for all": (
        "inject",
        "chmod 0644 /etc/nginx/novaops/inject.inject",
        "inject.inject should be readable for fewer (0600 at the most)",
    ),
    "the secrets somebody's": (
        "inject",
        "chown daemon /etc/nginx/novaops/inject.inject",
        "inject.inject should be root's, but it is 0600 daemon:root",
    ),
    "no secrets": ("token", f"rm /etc/nginx/novaops/token.tokens && {RELOAD}", "there should be a file /etc/nginx/novaops/token.tokens"),
    "the hashes of a group": (
        "app",
        "chgrp users /etc/nginx/novaops/app.htpasswd",
        "app.htpasswd should be of the group root or www-data, but",
    ),
    "a hash that is quick": (
        "app",
        "printf 'nova:$apr1$x$abc\n' >/etc/nginx/novaops/app.htpasswd",
        "should have bcrypt hashes, but that of nova",
    ),
    "a user more": ("app", "echo 'eve:{PLAIN}x' >>/etc/nginx/novaops/app.htpasswd", "app.htpasswd should have nova, but it has eve, nova"),
    "another password": ("app", "sed -i 's/nova:.*/nova:x/' /etc/nginx/novaops/app.htpasswd", "should be answered by one of"),
    "a certificate of someone else's": (
        "app",
        "openssl req -x509 -newkey rsa:2048 -nodes -days 99 -subj /CN=app.lab.test -addext subjectAltName=DNS:app.lab.test"
        " -keyout /etc/ssl/x.key -out /etc/ssl/x.crt 2>/dev/null && "
        + sed("novaops-app.conf", r"s;/etc/nginx/novaops/app.(crt|key);/etc/ssl/x.\1;"),
        "another certificate is shown than the host has in its file",
    ),
    "an expired certificate": (
        "inject",
        lambda gate: certificate(gate, "/etc/ssl/old", "inject.lab.test", expired=True),
        "certificate has expired",
    ),
    "few days": (
        "inject",
        lambda gate: certificate(gate, "/etc/ssl/inject", "inject.lab.test", days=0.1),
        "should last 0.2 days more, as nobody seems to renew it, but it has 0.1 left",
    ),
    "no intermediate": (
        "inject",
        lambda gate: certificate(gate, "/etc/ssl/inject", "inject.lab.test", leaf_only=True),
        "the intermediate certificates should be shown for",
    ),
    "the welcome page": ("app", WELCOME, "should not be answered by nginx's welcome page, but it is, by http, at /"),
    "names of nobody's": ("app", NOBODYS, "a name that nobody has should not be answered by this site, but it is, by http"),
    "no websockets": (
        "app",
        sed("novaops-app.conf", r's/(proxy_set_header (Upgrade|Connection)) .*/\1 "";/'),
        "a websocket at / should be passed on, as a server behind it speaks them, but it answers 200",
    ),
    "no backend": ("inner", no_backends, "/ should be answered by one of"),
    "nginx is down": ("token", "systemctl stop nginx", "port 80 of"),
    "a firewall": (
        "token",
        FIREWALL,
        "though the host listens there: open it in the cloud's network",
    ),
}
TOGETHER = (
    "events held back",
    "a world-readable key",
    "one backend down",
    "no redirect",
    "no Strict-Transport-Security",
    "from everywhere",
    "a connection for each request",
    "nobody looks up the name",
)
"""Those that one run finds at once."""


def make(gate: Gate, change: str | Callable[[Gate], None]) -> None:
    if isinstance(change, str):
        gate.host.run(change)
    else:
        change(gate)


@pytest.mark.long
@pytest.mark.parametrize("drift", DRIFT)
def test_drift(gate: Gate, drift: str) -> None:
    site, change, sentence = DRIFT[drift]
    make(gate, change)
    done = gate.verify(site, words=("--json", "-vv"))
    assert done.code == 3, done.text
    assert any(sentence in each for each in said(done, "failed")), said(done, "failed")
    assert not [each for each in said(done, "failed") if "\n" in each]
    for secret in (PASSWORD, KEY, TOKEN):
        assert secret not in done.text


@pytest.mark.long
def test_a_welcome_page_that_somebody_uses_is_no_drift(gate: Gate) -> None:
    """A deployment leaves it too."""
    gate.host.run(WELCOME + "\ntouch /var/www/html/mine.html")
    try:
        done = gate.verify("app")
    finally:
        gate.host.run("rm /var/www/html/mine.html")
    assert done.code == 0, done.text
    assert any("another server of this nginx is the default one there" in each for each in said(done, "skipped"))


def test_drifts_together(gate: Gate) -> None:
    for drift in TOGETHER:
        make(gate, DRIFT[drift][1])
    done = gate.verify("inject", "app", "through")
    assert done.code == 3, done.text
    for drift in TOGETHER:
        site, _, sentence = DRIFT[drift]
        found = [step["message"] for step in done.host["steps"] if step["status"] == "failed" and step["resource"] == f"proxy:{site}"]
        assert any(sentence in each for each in found), (drift, found)


@pytest.mark.long
def test_after_a_reboot(gate: Gate) -> None:
    """And when nginx does not come back, that is found."""
    done = gate.verify("app", "inner", words=("--json", "--reboot"))
    assert (done.code, done.host["rebooted"]) == (0, True), done.text
    checks = [step["resource"] for step in done.host["steps"] if step["check"] == "answers after a reboot as before"]
    assert checks == ["proxy:app", "proxy:inner"]
    gate.host.run("systemctl disable nginx")
    done = gate.verify("app", words=("--json", "--reboot"))
    gate.host.run("systemctl enable --now nginx")
    assert (done.code, said(done, "failed")) == (3, ["it should answer 401 after a reboot, but connection refused"]), done.text


@pytest.mark.long
def test_a_site_that_is_gone(gate: Gate) -> None:
    done = gate.verify("app", state="absent")
    assert done.code == 3, done.text
    assert "nothing should be left of app, but there is /etc/nginx/novaops/app.htpasswd" in said(done, "failed")[0]
    assert gate.novaops("proxy", "remove", inventory=gate.inventory("app"), env=ENV).code == 0
    done = gate.verify("app", state="absent")
    assert done.code == 0, done.text
