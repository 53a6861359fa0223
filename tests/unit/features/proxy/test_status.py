"""`proxy status`: what a person and a machine are shown of a host's sites."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from novaops.errors import HostFailed
from novaops.features.proxy import status as sites
from novaops.features.proxy.facts.nginx import Nginx
from novaops.features.proxy.facts.site_state import HostSites, Reached, SiteState, SiteStates
from novaops.formats.nginx_conf import NginxConf
from novaops.model.question import Facts, Section
from novaops.shell import sh_file
from tests.support.proxy_sites import nginx

NOW = 1_700_000_000
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(days: float) -> str:
    """One that has so many days left."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gate.example.com")])
    end = dt.datetime.fromtimestamp(NOW, dt.UTC) + dt.timedelta(days=days)
    names = x509.SubjectAlternativeName([x509.DNSName("gate.example.com"), x509.IPAddress(ipaddress.ip_address("192.0.2.7"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key()).serial_number(7)
    made = made.not_valid_before(end - dt.timedelta(days=90)).not_valid_after(end).add_extension(names, critical=False)
    return made.sign(KEY, SHA256()).public_bytes(Encoding.PEM).decode()


def site(name: str = "gate", **about: Any) -> SiteState:
    given = {"bases": (f"https://{name}.example.com/v1",), "certificate": "", "chain": "", "upstreams": (), "errors": (), **about}
    return SiteState(name, **given)


CONF = {
    "/etc/nginx/nginx.conf": "http { include conf.d/*; }",
    "/etc/nginx/conf.d/novaops-gate.conf": "server { listen 443 ssl; listen [::]:443 ssl; }",
    "/etc/nginx/conf.d/novaops-gate.http.conf": "server { listen 80; listen [::]:80; }",
    "/etc/nginx/conf.d/novaops-gate2.conf": "server { listen 81; }",
}


def found(*states: SiteState, running: bool = True, **about: Any) -> dict[str, Any]:
    on = nginx(**{"conf": NginxConf(CONF), **about})
    return sites.details(Facts({Nginx(): on, SiteStates(): HostSites(running, NOW, states)}, {}))


def test_what_a_machine_is_told() -> None:
    about = found(
        site(
            certificate="/c.pem",
            chain=certificate(29.5),
            upstreams=(Reached("a:443", 401, ""), Reached("b:443", 0, "Could not resolve host")),
            errors=("one", "two"),
        )
    )
    assert about["nginx"] == {"version": "1.22.1", "running": True, "complaint": ""}
    [gate] = about["sites"]
    assert gate == {
        "site": "gate",
        "serves": ["https://gate.example.com/v1"],
        "complaint": "",
        "listens": ["*:443", "*:80", "[::]:443", "[::]:80"],
        "certificate": {
            "path": "/c.pem",
            "days_left": 29,
            "days_left_on_disk": 29,
            "names": ["gate.example.com", "192.0.2.7"],
            "complaint": "",
        },
        "upstreams": [
            {"upstream": "a:443", "reachable": True, "status": 401, "complaint": ""},
            {"upstream": "b:443", "reachable": False, "status": None, "complaint": "Could not resolve host"},
        ],
        "errors": ["one", "two"],
    }


@pytest.mark.parametrize(
    ("reached", "without_key", "said", "down"),
    [
        (Reached("a:443", 401, ""), (401,), "a:443 answers 401", False),
        (Reached("a:443", 200, "", body="{}"), (401,), "a:443 answers 200", False),
        (Reached("a:443", 400, "", body='{"error": "no key"}'), (400,), "a:443 answers 400", False),
        (
            Reached("a:443", 404, "", body='{"error": "no such path"}'),
            (401,),
            "a:443 answers 404: reachable, but the API has nothing at /v1/models (404): no such path",
            True,
        ),
        (Reached("a:443", 500, "", body="{}"), (401,), "a:443 answers 500: reachable, but the API is in trouble (500)", True),
        (Reached("a:443", 200, "", body="<html>"), (401,), "a:443 answers 200: something else answers: 200 and a web page, where", True),
        (Reached("a:443", 401, "transfer closed", 18), (401,), "a:443 answers 401: transfer closed", True),
        (Reached("a:443", 401, "", 63), (401,), "a:443 answers 401", False),
        (Reached("a:443", 0, "refused", 7), (401,), "a:443: refused", True),
    ],
)
def test_an_api_must_give_its_own_answer(reached: Reached, without_key: tuple[int, ...], said: str, *, down: bool) -> None:
    about = found(site(upstreams=(reached, Reached("files:443", 404, "")), probe="/v1/models", without_key=without_key))
    assert sites.rows(about)[0][3].startswith(said)
    assert sites.rows(about)[1][3] == "files:443 answers 404", "the probe is of the first endpoint alone"
    only = found(site(upstreams=(reached,), probe="/v1/models", without_key=without_key))
    assert sites.is_down(only) is down


JSON = frozenset({"json"})
DESCRIBED = frozenset({"json", "described"})


@pytest.mark.parametrize(
    ("reached", "expects", "said"),
    [
        (Reached("a:443", 401, "", body='{"error": "no key"}'), DESCRIBED, ""),
        (Reached("a:443", 200, "", body="Please log in to Hotel WiFi"), DESCRIBED, "something else answers: 200, but no JSON as the API's"),
        (Reached("a:443", 200, "", body="Please log in to Hotel WiFi"), JSON, "something else answers: 200, but no JSON as the API's"),
        (Reached("a:443", 200, "", body="Please log in to Hotel WiFi"), frozenset(), ""),
        (Reached("a:443", 200, "", body="{}"), DESCRIBED, "something else answers, or puts a key in: 200 without a key, and"),
        (Reached("a:443", 200, "", body="{}"), JSON, ""),
        (Reached("a:443", 401, ""), DESCRIBED, "something else answers: 401, but no JSON as the API's"),
        (Reached("a:443", 401, ""), JSON, ""),
    ],
)
def test_an_api_is_judged_as_its_deployment_judged_it(reached: Reached, expects: frozenset[str], said: str) -> None:
    about = found(site(upstreams=(reached,), probe="/v1/models", expects=expects))
    [upstream] = about["sites"][0]["upstreams"]
    assert (upstream["complaint"].startswith(said), bool(upstream["complaint"])) == (True, bool(said))


def own(code: str) -> str:
    return json.dumps({"error": {"message": "…", "type": "novaops_proxy", "code": code}})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, ""),
        (Reached("", 401, "", body=own("unauthorized"), site="gate"), ""),
        (Reached("", 403, "", body=own("forbidden"), site="gate"), ""),
        (Reached("", 404, "", body="of the API's own", site="gate"), ""),
        (Reached("", 500, "", body="of the server's own", site="gate"), ""),
        (Reached("", 0, "Connection refused", 7), "does not answer: Connection refused"),
        (Reached("", 0, "", 52), "does not answer: nginx closed the connection"),
        (Reached("", 200, "", body="<html>"), "another server of this host answers in its place (200)"),
        (Reached("", 200, "", body="<html>", site="shop"), "the site shop answers in its place (200)"),
        (
            Reached("", 400, "", body="<center>No required SSL certificate was sent</center>", site="gate"),
            "asks its clients for a certificate of their own, which the site does not: nginx -T shows who sets it (ssl_verify_client)",
        ),
        (
            Reached("", 503, "", body=own("busy"), site="gate"),
            "the site turns requests away, by a limit of nginx's own (limit_conn or limit_req)",
        ),
        (Reached("", 503, "", body=own("no_key"), site="gate"), "the site has lost the key of the API"),
        (Reached("", 502, "", body=own("bad_gateway"), site="gate"), "the site cannot reach the API, or does not trust its certificate"),
        (Reached("", 504, "", body=own("timeout"), site="gate"), "the site got no answer of the API in time"),
    ],
)
def test_what_the_site_itself_answers(answer: Reached | None, said: str) -> None:
    about = found(site(answer=answer, upstreams=(Reached("a:443", 401, ""),)))
    assert about["sites"][0]["complaint"] == said
    assert [row[1] for row in sites.rows(about)] == ["https://gate.example.com/v1", *([said] if said else [])]
    assert sites.is_down(about) is bool(said)
    stopped = found(site(answer=answer), running=False)
    assert stopped["sites"][0]["complaint"] == "", "that nginx does not run is said once"


def test_what_is_down() -> None:
    dead, up = Reached("a:1", 0, "refused", 7), Reached("b:1", 500, "")
    assert not sites.is_down(found(site(upstreams=(dead, up)))), "one of them serves"
    assert sites.is_down(found(site(upstreams=(dead, dead))))
    assert sites.is_down(found(site(), running=False))
    assert sites.is_down(found(site(), broken="[emerg] x"))
    assert not sites.is_down(found())


def test_a_host_without_nginx() -> None:
    with pytest.raises(HostFailed) as error:
        found(installed=False)
    assert (error.value.what, error.value.fix) == ("there is no nginx on this host", "novaops proxy deploy sets it up")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({}, "none"),
        ({"certificate": "/c", "chain": certificate(29.5)}, "29 days left"),
        ({"certificate": "/c", "chain": (c := certificate(29.5)), "shown": c}, "29 days left"),
        (
            {"certificate": "/c", "chain": certificate(89.5), "shown": certificate(2.5)},
            "2 days left: nginx shows another certificate than its file has",
        ),
        ({"certificate": "/c", "chain": certificate(-0.1)}, "expired"),
    ],
)
def test_certificates(about: dict[str, Any], said: str) -> None:
    [row] = sites.rows(found(site(**about)))
    assert row == ("gate", "https://gate.example.com/v1", said, "", "")


def test_a_certificate_that_is_none() -> None:
    about = found(site(certificate="/c", chain="nonsense"))
    told = about["sites"][0]["certificate"]
    assert told["complaint"]
    assert (told["days_left"], told["names"]) == (None, [])
    assert sites.rows(about)[0][2] == told["complaint"]


ERRORS = {
    "2026/01/01 10:00:00 [error] 7#7: *3 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.9": (
        "2026/01/01 10:00:00 connect() failed (111: Connection refused) while connecting to upstream"
    ),
    "2026/01/01 10:00:00 [warn] 7#7: something without a connection": "2026/01/01 10:00:00 something without a connection",
}


@pytest.mark.parametrize(("line", "said"), ERRORS.items())
def test_the_last_error(line: str, said: str) -> None:
    [row] = sites.rows(found(site(errors=("2026/01/01 09:00:00 [error] 1#1: older", line))))
    assert row[4] == said


def test_rows_of_several_sites() -> None:
    about = found(
        site(
            bases=("https://a/v1", "https://b/v1"),
            upstreams=(Reached("a:443", 200, ""), Reached("b:1", 0, ""), Reached("c:1", 0, "refused")),
        ),
        site("shop"),
    )
    assert sites.rows(about) == [
        ("gate", "https://a/v1", "none", "a:443 answers 200", ""),
        ("", "https://b/v1", "", "b:1: no answer", ""),
        ("", "", "", "c:1: refused", ""),
        ("shop", "https://shop.example.com/v1", "none", "", ""),
    ]


def test_what_is_wrong_with_nginx_itself() -> None:
    assert sites.rows(found()) == [("", "novaops has set up no site here", "", "", "")]
    assert sites.rows(found(site(), running=False))[0] == ("", "nginx does not run", "", "", "")
    assert sites.rows(found(site(), broken="[emerg] x"))[0] == ("", "nginx would not start: [emerg] x", "", "", "")


@pytest.mark.parametrize(
    "sent", ["\tsite\tbank\tbase\thttps://bank", "x\r\nsite\tbank\nanswer\t200\nnow\t1", "\x1b[2K✓", "\u2028site\tbank", "' \\"]
)
def test_what_a_stranger_sends_into_the_log_is_only_text(sent: str, tmp_path: Path) -> None:
    """Nginx's error log has the user of a Basic login and the Referer as they were sent."""
    log = tmp_path / "error.log"
    log.write_text(f'2026/01/01 00:00:00 [error] 7#7: *1 user "{sent}" was not found in "x"\n', newline="")
    script = sh_file("novaops.features.proxy.facts", "site_state.sh")
    ends = script[script.index('  tail -n "$lines"') : script.rindex("done")].replace("/var/log/nginx/novaops-$site.error.log", str(log))
    said = subprocess.run(["sh", "-c", f"lines=9\n{ends}"], capture_output=True, text=True, check=True).stdout
    state = SiteStates.parse_one(Section(f"running\nnow\t{NOW}\nsite\tgate\n{said}", "", 0))
    assert isinstance(state, HostSites)
    [only] = state.sites
    assert (only.name, only.bases, only.answer) == ("gate", (), None)
    assert "\n".join(only.errors) == log.read_bytes().decode().removesuffix("\n")


def test_what_is_asked() -> None:
    assert sites.questions() == (Nginx(), SiteStates())
