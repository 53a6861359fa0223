"""Certificates on real hosts: novaops' own, those that somebody put there, and those that certbot gets from a real ACME server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.converge import RunOptions
from novaops.engine.peers import DesiredHost, converge_all
from novaops.engine.report import HostReport
from novaops.engine.undo import undo
from novaops.features.proxy.resources.given_certificate import GivenCertificate
from novaops.features.proxy.resources.letsencrypt import LetsEncrypt
from novaops.features.proxy.resources.self_signed import SelfSigned
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.model.plan import Resource
from novaops.ssh.target import Target
from tests.support.things import LEFTOVERS, holds
from tests.support.world.authority import Authority, Leaf
from tests.support.world.world import World

CERTIFICATE, KEY = "/etc/nginx/novaops/a.crt", "/etc/nginx/novaops/a.key"
COUNT = ("sh", "-c", "echo >>/run/reloads")
NEW_HOST = "mkdir -p /etc/nginx/novaops; : >/run/reloads"
DEADLY = f"""\
#!/bin/sh
for last; do :; done
[ "$last" = {CERTIFICATE} ] || exec /bin/mv "$@"
kill -9 $(cat /var/lib/novaops/runs/*/pid) $PPID
"""
"""A mv that is the run's death before it puts the certificate in place."""

OWN = SelfSigned("a", ("a.lab.test", ".b.lab.test", "192.0.2.7"), CERTIFICATE, KEY, COUNT)


def target(host: LabHost) -> Target:
    return Target(host.name, host.address, host.port, host.user, str(host.identity), str(host.known_hosts))


def silent(host: str, doing: str) -> None:
    """Progress, for nobody."""


def applied(host: LabHost, *resources: Resource, check: bool = False) -> HostReport:
    return converge_all([DesiredHost(target(host), resources)], RunOptions(check=check), silent, 1)[0]


def taken_back(host: LabHost) -> HostReport:
    return undo(target(host), "", RunOptions(), silent)


def pair(host: LabHost) -> list[str]:
    """The sha256 of both files; "" where there is none."""
    return [host.run(f"sha256sum 2>/dev/null <{path} | cut -c 1-64 || true").strip() for path in (CERTIFICATE, KEY)]


def reloads(host: LabHost) -> int:
    return int(host.run("wc -l </run/reloads"))


def private(host: LabHost, key: str) -> str:
    return host.run(f"stat -L -c '%a %U %G' {key}").strip()


# -- novaops' own -----------------------------------------------------------------------------------------------------


def test_one_of_its_own_is_made_once_and_taken_back(container: LabHost) -> None:
    container.run(NEW_HOST)
    assert applied(container, OWN).status == "changed"
    said = container.run(f"openssl x509 -in {CERTIFICATE} -noout -ext subjectAltName,basicConstraints,extendedKeyUsage -subject -issuer")
    assert "DNS:a.lab.test, DNS:b.lab.test, DNS:*.b.lab.test, IP Address:192.0.2.7" in said
    assert "CA:FALSE" in said
    assert "TLS Web Server Authentication" in said
    assert holds(container, f"openssl x509 -in {CERTIFICATE} -noout -checkend {396 * 86400}")
    assert not holds(container, f"openssl x509 -in {CERTIFICATE} -noout -checkend {398 * 86400}")
    trusting = f"openssl verify -CAfile {CERTIFICATE} -verify_hostname x.b.lab.test {CERTIFICATE}"
    assert "OK" in container.run(trusting), "a client that trusts it takes it"
    assert "prime256v1" in container.run(f"openssl pkey -in {KEY} -noout -text 2>/dev/null")
    assert (private(container, KEY), private(container, CERTIFICATE)) == ("600 root root", "644 root root")
    first = pair(container)
    assert (applied(container, OWN).status, pair(container), reloads(container)) == ("unchanged", first, 1)
    more = replace(OWN, domains=("a.lab.test", "c.lab.test"))
    assert applied(container, more).status == "changed"
    assert all(new != old for new, old in zip(pair(container), first, strict=True))
    assert reloads(container) == 2
    assert taken_back(container).status == "changed"
    assert (pair(container), reloads(container)) == (first, 3)
    assert applied(container, OWN).status == "unchanged"
    assert taken_back(container).status == "changed"
    assert pair(container) == ["", ""]
    assert container.run(LEFTOVERS) == ""


@pytest.mark.long
def test_what_is_due_or_does_not_fit_is_made_anew(container: LabHost) -> None:
    container.run(NEW_HOST)
    own = replace(OWN, domains=("a.lab.test",))
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=a -addext subjectAltName=DNS:a.lab.test -keyout {KEY} -out {CERTIFICATE}"
    container.run(f"umask 077; {make} -days 29 2>/dev/null")
    soon = pair(container)
    assert applied(container, own).status == "changed"
    assert pair(container) != soon
    container.run(f"umask 077; {make} -days 31 2>/dev/null")
    enough = pair(container)
    assert (applied(container, own).status, pair(container)) == ("unchanged", enough)
    container.run(f"openssl genpkey -algorithm ED25519 -out {KEY}")
    assert applied(container, own).status == "changed"
    container.run(f"chmod 0640 {KEY}")
    readable = pair(container)
    assert applied(container, own).status == "changed"
    assert all(new != old for new, old in zip(pair(container), readable, strict=True))
    assert private(container, KEY) == "600 root root"


@pytest.mark.long
def test_when_then_fails_the_old_pair_comes_back(container: LabHost) -> None:
    container.run(NEW_HOST)
    failing = replace(OWN, then=("sh", "-c", "[ -e /run/fine ]"))
    assert applied(container, failing).status == "failed"
    assert pair(container) == ["", ""]
    container.run("touch /run/fine")
    assert applied(container, failing).status == "changed"
    first = pair(container)
    container.run("rm /run/fine")
    assert applied(container, replace(failing, domains=("c.lab.test",))).status == "failed"
    assert pair(container) == first
    assert container.run(LEFTOVERS) == ""


@pytest.mark.long
def test_a_run_that_dies_before_the_reload(container: LabHost) -> None:
    container.run(NEW_HOST)
    killing = replace(OWN, then=("sh", "-c", "kill -9 $(cat /var/lib/novaops/runs/*/pid) $PPID"))
    assert applied(container, killing).status == "failed"
    first = pair(container)
    assert "" not in first
    assert applied(container, OWN).status == "changed"
    assert (pair(container), reloads(container)) == (first, 1)
    assert applied(container, OWN).status == "unchanged"


def test_a_run_that_dies_between_the_two_files(container: LabHost) -> None:
    """Whatever pair is found then, the one from before is what undo brings back."""
    container.run(NEW_HOST)
    assert applied(container, OWN).status == "changed"
    first = pair(container)
    container.run("cat >/usr/local/sbin/mv; chmod +x /usr/local/sbin/mv", stdin=DEADLY)
    more = replace(OWN, domains=("c.lab.test",))
    assert applied(container, more).status == "failed"
    container.run("rm /usr/local/sbin/mv")
    assert [now == before for now, before in zip(pair(container), first, strict=True)] == [True, False]
    assert applied(container, more).status == "changed"
    assert taken_back(container).status == "changed"
    assert pair(container) == first


# -- somebody else's --------------------------------------------------------------------------------------------------


TRUST = "cat >/usr/local/share/ca-certificates/test.crt; update-ca-certificates >/dev/null 2>&1"


def put(host: LabHost, certificate: str, key: str) -> None:
    host.run("mkdir -p /etc/nginx/novaops; cat >/etc/nginx/novaops/a.crt", stdin=certificate)
    host.run(f"umask 077; cat >{KEY}; chmod 0600 {KEY}", stdin=key)


def refused(host: LabHost, *domains: str) -> str:
    """What is said; "" when nothing is."""
    report = applied(host, GivenCertificate(CERTIFICATE, KEY, domains or ("gw.lab.test",)))
    assert report.status in {"refused", "unchanged"}
    return report.error.what if report.error else ""


def texts(leaf: Leaf) -> tuple[str, str]:
    return leaf.certificate.read_text(), leaf.key.read_text()


def test_what_somebody_put_there_is_looked_at_and_left(container: LabHost, tmp_path: Path) -> None:
    """N11, and what else keeps a site from being taken by its clients."""
    authority = Authority(tmp_path)
    leaf = authority.leaf("gw.lab.test", "*.gw.lab.test")
    assert refused(container) == f"there is no certificate {CERTIFICATE} on the host"
    put(container, *texts(leaf))
    assert refused(container).startswith(f"{CERTIFICATE} does not lead to an authority")
    put(container, leaf.certificate.read_text() + authority.root.read_text(), leaf.key.read_text())
    assert refused(container) == "", "its authority is in the file"
    put(container, *texts(leaf))
    container.run(TRUST, stdin=authority.root.read_text())
    assert refused(container, "gw.lab.test", "*.gw.lab.test") == "", "the host trusts its authority"
    assert refused(container, "gw.lab.test", "b.lab.test") == f"{CERTIFICATE} is not for b.lab.test"
    put(container, *texts(authority.leaf("gw.lab.test", leaf_only=True)))
    assert refused(container).startswith(f"{CERTIFICATE} holds only the server's own certificate")
    container.run(f"chmod 0644 {KEY}")
    assert refused(container) == f"everybody on the host can read the key {KEY} (mode 0644)"


@pytest.mark.long
def test_what_is_wrong_with_what_somebody_put_there(container: LabHost, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    leaf = authority.leaf("gw.lab.test")
    container.run(TRUST, stdin=authority.root.read_text())
    put(container, leaf.certificate.read_text(), authority.leaf("gw.lab.test").key.read_text())
    assert refused(container) == f"{KEY} is not the key of {CERTIFICATE}"
    put(container, *texts(authority.leaf("gw.lab.test", expired=True)))
    assert refused(container).startswith(f"{CERTIFICATE} expired on ")
    put(container, *texts(authority.leaf("gw.lab.test", not_yet=True)))
    assert refused(container).startswith(f"{CERTIFICATE} is valid only from ")
    put(container, *texts(leaf))
    container.run(f"openssl pkey -in {KEY} -aes128 -passout pass:x -out /root/k; cat /root/k >{KEY}")
    assert refused(container) == f"the key {KEY} is encrypted"
    put(container, *texts(authority.leaf("gw.lab.test", days=9.5)))
    report = applied(container, GivenCertificate(CERTIFICATE, KEY, ("gw.lab.test",)))
    assert report.status == "unchanged"
    assert [note.text[: note.text.index(" days")] for note in report.notes] == [f"{CERTIFICATE} expires in 9"]


# -- certbot's --------------------------------------------------------------------------------------------------------

LIVE = "/etc/letsencrypt/live/novaops-gw"
WEBROOT = "/var/lib/novaops-acme"
SITE = f"""\
server {{
    listen 80 default_server;
    location /.well-known/acme-challenge/ {{ root {WEBROOT}; }}
    location / {{ return 301 https://$host/; }}
}}
"""
INSTALL = "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends certbot nginx"
RENEW = "certbot renew --cert-name novaops-gw --no-random-sleep-on-renew 2>&1"


@pytest.fixture(scope="module", params=[pytest.param(release, marks=pytest.mark.long) for release in ("bookworm", "trixie")])
def _gateway(request: pytest.FixtureRequest, lab: Lab, _world: World) -> Iterator[LabHost]:
    host = lab.up(f"certified-{request.param}", "container", request.param)
    _world.prepare(host)
    host.run(INSTALL, timeout_s=300)
    host.run("rm -f /etc/nginx/sites-enabled/default")
    yield host
    lab.down(host.name)


@pytest.fixture
def gateway(_gateway: LabHost, world: World) -> LabHost:
    """With nginx and certbot, which has never been called, and two names that lead to it."""
    for name in ("gw", "www"):
        world.names.names[f"{name}.lab.test"] = [_gateway.address]
    _gateway.run(f"rm -rf /etc/letsencrypt /var/log/letsencrypt /var/lib/novaops {WEBROOT}; mkdir {WEBROOT}; : >/run/reloads")
    _gateway.run("systemctl start certbot.timer; cat >/etc/nginx/conf.d/acme.conf; systemctl restart nginx", stdin=SITE)
    return _gateway


def wanted(world: World, host: LabHost, **changes: Any) -> LetsEncrypt:
    given: dict[str, Any] = {"domains": ("gw.lab.test",), "email": None, "directory": world.acme.directory, "webroot": WEBROOT}
    return LetsEncrypt("gw", **{**given, "addresses": (host.address,), "hook": COUNT, **changes})


def serial(host: LabHost) -> str:
    return host.run(f"openssl x509 -noout -serial -in {LIVE}/fullchain.pem").strip()


def numbered(host: LabHost) -> str:
    """The highest number among the lineage's files: certbot adds one with each certificate."""
    return host.run("ls /etc/letsencrypt/archive/novaops-gw | grep ^cert | sort | tail -n 1").strip()


def test_one_is_got_renewed_and_taken_back(gateway: LabHost, world: World) -> None:
    """N13: not due, nothing; due, a new serial, and the hook once; the key never readable by others."""
    site = wanted(world, gateway)
    report = applied(gateway, site)
    assert report.status == "changed", report.error
    assert report.notes == ()
    first = serial(gateway)
    assert (reloads(gateway), private(gateway, f"{LIVE}/privkey.pem"), numbered(gateway)) == (1, "600 root root", "cert1.pem")
    assert applied(gateway, site).status == "unchanged"
    gateway.run(RENEW)
    assert (serial(gateway), reloads(gateway), numbered(gateway)) == (first, 1, "cert1.pem"), "it is not due"
    gateway.run(f"{RENEW} --force-renewal")
    assert serial(gateway) != first
    assert (reloads(gateway), private(gateway, f"{LIVE}/privkey.pem"), numbered(gateway)) == (2, "600 root root", "cert2.pem")
    assert applied(gateway, site).status == "unchanged"
    assert taken_back(gateway).status == "changed"
    assert not holds(gateway, f"[ -e {LIVE} ] || [ -e /etc/letsencrypt/renewal/novaops-gw.conf ]")


@pytest.mark.long
def test_how_it_is_renewed_is_put_right(gateway: LabHost, world: World) -> None:
    site = wanted(world, gateway)
    assert applied(gateway, site).status == "changed"
    conf = "/etc/letsencrypt/renewal/novaops-gw.conf"
    before, first = gateway.run(f"cat {conf}"), serial(gateway)
    hook = ("sh", "-c", "echo >>'/run/it is', \"renewed\" # so")
    gateway.run(f"mkdir /var/lib/second; sed -i s,{WEBROOT},/var/lib/second, /etc/nginx/conf.d/acme.conf")
    other = wanted(world, gateway, hook=hook, webroot="/var/lib/second")
    report = applied(gateway, other)
    assert report.status == "refused"
    assert "returned 404" in str(report.error), "the rehearsal says why"
    assert gateway.run(f"cat {conf}") == before
    gateway.run("systemctl reload nginx")
    assert applied(gateway, other).status == "changed"
    assert (serial(gateway), applied(gateway, other).status) == (first, "unchanged")
    gateway.run(f"{RENEW} --force-renewal")
    assert (serial(gateway) != first, gateway.run("cat '/run/it is,'")) == (True, "renewed\n")
    assert (reloads(gateway), applied(gateway, other).status) == (1, "unchanged")


@pytest.mark.long
def test_its_timer_runs_and_undo_brings_the_old_way_back(gateway: LabHost, world: World) -> None:
    site = wanted(world, gateway)
    assert applied(gateway, site).status == "changed"
    before = gateway.run("cat /etc/letsencrypt/renewal/novaops-gw.conf")
    gateway.run("systemctl disable --now certbot.timer 2>&1")
    assert applied(gateway, wanted(world, gateway, hook=("true",))).status == "changed"
    assert gateway.run("systemctl is-active certbot.timer").strip() == "active"
    assert taken_back(gateway).status == "changed"
    assert gateway.run("cat /etc/letsencrypt/renewal/novaops-gw.conf") == before
    assert not holds(gateway, "systemctl is-active certbot.timer")


@pytest.mark.long
def test_other_names_or_another_key_make_another_one(gateway: LabHost, world: World) -> None:
    assert applied(gateway, wanted(world, gateway)).status == "changed"
    first = serial(gateway)
    both = wanted(world, gateway, domains=("gw.lab.test", "www.lab.test"))
    report = applied(gateway, both)
    assert report.status == "changed", report.error
    assert (serial(gateway) != first, applied(gateway, both).status) == (True, "unchanged")
    assert "DNS:gw.lab.test, DNS:www.lab.test" in gateway.run(f"openssl x509 -noout -ext subjectAltName -in {LIVE}/fullchain.pem")
    gateway.run(f"openssl genpkey -algorithm ED25519 >$(readlink -f {LIVE}/privkey.pem)")
    assert applied(gateway, both).status == "changed"
    assert applied(gateway, both).status == "unchanged"
    assert applied(gateway, wanted(world, gateway)).status == "changed"
    assert applied(gateway, wanted(world, gateway)).status == "unchanged"


@pytest.mark.long
def test_one_that_nothing_renewed_is_had_anew(gateway: LabHost, world: World) -> None:
    site = wanted(world, gateway)
    assert applied(gateway, site).status == "changed"
    gateway.run("systemctl stop certbot.timer")
    old = world.authority.leaf("gw.lab.test", days=0.1)
    gateway.run(f"cat >$(readlink -f {LIVE}/privkey.pem)", stdin=old.key.read_text())
    for name in ("fullchain", "cert"):
        gateway.run(f"cat >$(readlink -f {LIVE}/{name}.pem)", stdin=old.certificate.read_text())
    report = applied(gateway, site)
    assert report.status == "changed", report.error
    changes = [(change.field, change.before) for line in report.lines for change in line.changes if line.resource == site.id]
    assert changes == [("valid", "0 days more: nothing renewed it")]
    assert applied(gateway, site).status == "unchanged"
    assert gateway.run("systemctl is-active certbot.timer").strip() == "active"


def test_what_cannot_work_is_refused_before_any_attempt(gateway: LabHost, world: World) -> None:
    def said(**changes: Any) -> str:
        report = applied(gateway, wanted(world, gateway, **changes))
        assert report.status == "refused", report
        assert not holds(gateway, "[ -e /var/log/letsencrypt ]"), "certbot was called"
        return str(report.error)

    assert "*.lab.test: a wildcard needs validation by DNS" in said(domains=("*.lab.test",))
    assert "none.lab.test has no address" in said(domains=("none.lab.test",))
    world.names.names["gw.lab.test"] = [gateway.address, "198.51.100.7"]
    assert "gw.lab.test leads to 198.51.100.7, which is not the host" in said()
    world.names.names["gw.lab.test"] = [gateway.address, "2001:db8::7"]
    assert "leads to 2001:db8::7, which is not the host (authorities try IPv6 first)" in said(), "on a host without IPv6"
    world.names.names["gw.lab.test"] = [gateway.address]
    gateway.run("systemctl stop nginx; systemd-run -q --unit squatter python3 -m http.server 80")
    try:
        gateway.run("until ss -l -t -n -H | grep -q :80; do sleep 0.05; done")
        assert "port 80 is taken by python3: the authority asks there, and nginx has to answer" in said()
    finally:
        gateway.run("systemctl stop squatter; systemctl start nginx")


def test_a_rehearsal_that_fails_leaves_nothing(gateway: LabHost, world: World) -> None:
    gateway.run("sed -i s,/var/lib/novaops-acme,/nowhere, /etc/nginx/conf.d/acme.conf; systemctl reload nginx")
    report = applied(gateway, wanted(world, gateway))
    assert report.status == "refused"
    assert "Domain: gw.lab.test" in str(report.error)
    assert "returned 404" in str(report.error)
    assert not holds(gateway, f"[ -e {LIVE} ]")
    assert reloads(gateway) == 0
