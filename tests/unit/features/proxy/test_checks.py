"""`novaops verify` of sites without a host: every claim is seen red, what is right is green, and what hosts say is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.errors import HostFailed, UsageError
from novaops.features.proxy import checks as proxy
from novaops.features.proxy.observe import site_files
from novaops.features.proxy.observe.certificate import Shown, Trust
from novaops.features.proxy.observe.events import bursts
from novaops.features.proxy.observe.site import ExpectedSite, ObservedSite, Pool, Rebooted
from novaops.features.proxy.observe.site_files import Logged, ObservedApi, ObservedFile
from novaops.features.proxy.settings import Site
from novaops.features.proxy.upstreams import Location, Upstream
from novaops.verify.claims import Claim, Feature
from novaops.verify.http import HttpConnection
from novaops.verify.http_answer import HttpAnswer, Request

HERE, AWAY = "198.51.100.1", "192.0.2.77"
ONE, TWO = "192.0.2.1:8001", "192.0.2.1:8002"
URL = "https://a.example.com/x?y=1"
YEAR = "max-age=31536000"

# -- what is right ------------------------------------------------------------------------------------------------------------


def wanted(**settings: Any) -> ExpectedSite:
    """Of the site `a`."""
    site = Site.model_validate({"name": "a", "domain": "a.example.com", **settings})
    return dict(proxy.entries([site], Path()))["a"]


def answer(status: int, body: str = "", *headers: tuple[str, str], arrivals: tuple[tuple[float, bytes], ...] = ()) -> HttpAnswer:
    return HttpAnswer(status, headers, body.encode(), arrivals=arrivals)


def edge(status: int, *headers: tuple[str, str]) -> HttpAnswer:
    return answer(status, json.dumps({"error": {"message": "Not you.", "type": "novaops_proxy", "code": "x"}}), *headers)


def streamed(*events: tuple[float, int]) -> HttpAnswer:
    """So many events at each of these times."""
    return answer(200, arrivals=tuple((at, b"data: {}\n\n" * count) for at, count in events))


HSTS = ("Strict-Transport-Security", YEAR)
ASKS = ("WWW-Authenticate", 'Basic realm="a"')
LEADS = (answer(301, "", ("Location", URL)), answer(308, "", ("Location", URL)))
SHOWN = Shown("a.example.com", known_here=True, issuer="An Authority", days_left=60, lifetime=90, chain=("leaf", "intermediate"))
ROOTS = ObservedFile(0o600, "root", "root")

INJECT = wanted(provider="openai", tls="files", certificate="/a.pem", key="/a.key", auth={"basic": {"nova": "env:PW"}, "inject": "env:KEY"})
API = ObservedSite(
    INJECT,
    HERE,
    "a.example.com",
    ports={80: "", 443: ""},
    listening=frozenset({80, 443}),
    shown=(SHOWN,),
    tried={
        "stranger": edge(401, HSTS, ASKS),
        "wrong": edge(401, HSTS, ASKS),
        "known": answer(200, "{}", HSTS),
        "stream": streamed((0.5, 1), (0.6, 1), (0.7, 3)),
    },
    http={URL: LEADS},
    unknown={
        "http": HttpAnswer(trouble="the connection is closed without an answer"),
        "https": HttpAnswer(trouble="nobody there has this name"),
    },
    api=Logged("", "/v1/chat/completions", (), 0.4, 0.8),
    version=(1, 22, 1),
    timer=("enabled", "active"),
    apis={"api.openai.com:443": ObservedApi(frozenset({"192.0.2.8", "192.0.2.9"}), frozenset({"192.0.2.8"}), keeps=True)},
    connects=(0.21, 0.0, 0.0, 0.0),
    files={INJECT.password_file: ObservedFile(0o640, "root", "www-data"), INJECT.secrets_file: ROOTS, "/a.key": ROOTS},
    hashes=(("nova", "$2y$"),),
    workers=frozenset({"www-data"}),
)
TOKEN = replace(
    API,
    wanted=wanted(provider="openai", tls="self-signed", redirect=False, auth={"token": "env:TOKEN", "from": "198.51.100.0/24"}),
    tried={"stranger": edge(401), "wrong": edge(401), "known": answer(401, "{}"), "outsider": edge(403)},
    http={URL: (answer(404), answer(404))},
    shown=(replace(SHOWN, known_here=False),),
    files={"/etc/nginx/novaops/a.tokens": ROOTS, "/etc/nginx/novaops/a.key": ROOTS},
)
FAR = replace(
    TOKEN,
    wanted=wanted(provider="openai", tls="off", auth={"passthrough": True, "from": "203.0.113.0/24"}),
    tried={"stranger": edge(403), "known": edge(403)},
    shown=(),
    files={},
)
POOL = Pool(
    Location(path="/", upstreams=(Upstream(address=ONE), Upstream(address=TWO)), balance="round_robin"),
    4,
    answer(200, "one"),
    (Logged("", "/x", ((ONE, "502"), (TWO, "200"))), Logged("", "/x", ((ONE, "404"),))),
    {ONE: frozenset({ONE}), TWO: frozenset({TWO})},
    answer(101),
)
SEEN = ("X-Seen", "yes")
APP = ObservedSite(
    wanted(upstreams=[ONE, TWO]),
    HERE,
    "a.example.com",
    ports={80: ""},
    tried={"stranger": answer(200, "one")},
    unknown={"http": HttpAnswer(trouble="closed")},
    pools=(POOL,),
)
OPEN = replace(
    API, wanted=wanted(upstreams=[ONE, TWO], tls="files", certificate="/a.pem", key="/a.key"), tried={"stranger": answer(200, "", HSTS)}
)
OPEN = replace(OPEN, pools=(POOL,), files={"/a.key": ROOTS})
BASE = replace(
    TOKEN, wanted=wanted(upstream="https://api.example.com/v1", tls="self-signed", auth={"token": "env:TOKEN"}), http={URL: LEADS}
)
BASE = replace(BASE, tried={**TOKEN.tried, "known": answer(401)})
UNLOGGED = replace(API, api=None)
RENEWED = replace(
    OPEN, wanted=wanted(upstreams=[ONE, TWO], tls="letsencrypt"), renewals={"certbot.timer": "disabled", "/etc/crontab": "cron"}
)
BESIDE = replace(APP, rivals={"apache2.service": ("8080", "127.0.0.1:8443")})
RENEWED = replace(RENEWED, files={"/etc/letsencrypt/live/novaops-a/privkey.pem": ROOTS})
NAMED, MAY_SEND = ("Access-Control-Allow-Origin", "https://app.example.com"), ("Access-Control-Allow-Headers", "authorization")


def told(found: HttpAnswer) -> ObservedSite:
    headers = {"X-Seen": "yes", "X-Gone": ""}
    site = wanted(upstreams=[ONE, TWO], locations=[{"path": "/", "response_headers": headers}])
    return replace(APP, wanted=site, pools=(replace(POOL, location=site.pools[0], answer=found),))


def cors(preflight: HttpAnswer, other: HttpAnswer) -> ObservedSite:
    site = wanted(provider="openai", tls="off", auth={"token": "env:TOKEN"}, cors=["https://app.example.com"])
    return replace(TOKEN, wanted=site, tried={**TOKEN.tried, "preflight": preflight, "other page": other})


GONE = ObservedSite(wanted(state="absent", tls="self-signed", auth={"basic": {"nova": "env:PW"}}), HERE)
RIGHT = [API, TOKEN, FAR, APP, OPEN, BASE, UNLOGGED, RENEWED, BESIDE, GONE]


def claims() -> Iterator[Callable[..., None]]:
    return (found for name, found in vars(proxy).items() if name.startswith("test_"))


@pytest.mark.parametrize("seen", RIGHT)
def test_right_is_green(seen: ObservedSite) -> None:
    made = [claim for claim in claims() if Claim(claim).about(seen.wanted) and not Claim(claim).after_reboot]
    assert made
    for claim in made:
        try:
            claim(seen)
        except pytest.skip.Exception as skipped:
            assert claim.__name__ in {"test_first_event", "test_events_apart"} or seen is FAR, skipped  # noqa: PT017 - and goes on


# -- and what is not ----------------------------------------------------------------------------------------------------------


def moved(**about: str) -> ObservedSite:
    """The site in front of an API with other addresses, of one each."""
    known = {"asked": "192.0.2.8", "answered": "192.0.2.8", **about}
    sets = {key: frozenset({value} if value else ()) for key, value in known.items()}
    return replace(API, apis={"api.openai.com:443": ObservedApi(**sets, keeps=True)})


def tried(seen: ObservedSite, **answers: HttpAnswer) -> ObservedSite:
    return replace(seen, tried={**seen.tried, **answers})


def shown(seen: ObservedSite, **what: Any) -> ObservedSite:
    return replace(seen, shown=(replace(SHOWN, **what),))


def pool(**what: Any) -> ObservedSite:
    return replace(APP, pools=(replace(POOL, **what),))


def file(path: str, mode: int, owner: str = "root", group: str = "root") -> ObservedSite:
    return replace(API, files={**API.files, path: ObservedFile(mode, owner, group)})


RED: list[tuple[Callable[..., None], ObservedSite, str]] = [
    (
        proxy.test_open,
        replace(API, ports={80: "", 443: "nothing is heard"}),
        "though the host listens there: open it in the cloud's network",
    ),
    (proxy.test_open, replace(APP, ports={80: "connection refused"}), "from here, but connection refused, and nothing on the host listens"),
    (proxy.test_alone_at_boot, replace(API, rivals={"apache2.service": ("80", "8080")}), "but apache2.service, which does not run now, is"),
    (proxy.test_alone_at_boot, replace(API, rivals={"httpd.service": ("[::1]:443",)}), "is enabled and has Listen [::1]:443"),
    (proxy.test_redirect, replace(API, http={URL: (answer(200), LEADS[1])}), "(301 or 308), but it answers 200"),
    (proxy.test_redirect, replace(API, http={URL: (LEADS[0], LEADS[0])}), "POST http://a.example.com/x?y=1 should lead to"),
    (proxy.test_redirect, replace(API, http={URL: (answer(301, "", ("Location", "https://b/")), LEADS[1])}), "but it leads to https://b/"),
    (proxy.test_redirect, replace(API, http={URL: (answer(301), LEADS[1])}), "but it leads to nowhere"),
    (proxy.test_nothing_in_the_clear, replace(TOKEN, http={URL: (answer(200), answer(404))}), "should not be served, but it answers 200"),
    (proxy.test_nobody_elses_name, replace(API, taken=("http", "https")), "by this site, but it is, by http and https"),
    (proxy.test_certificate, shown(API, error="certificate has expired"), "is shown for a.example.com, but certificate has expired"),
    (
        proxy.test_certificate,
        shown(API, error="another certificate is shown", unknown="self-signed certificate"),
        "but another certificate is shown (and this machine says: self-signed certificate)",
    ),
    (
        proxy.test_chain,
        replace(shown(API, known_here=False, chain=("leaf",)), verified={"a.example.com": "error 20"}),
        "but there are none, and nobody here knows An Authority, who issued it",
    ),
    (proxy.test_days, shown(API, days_left=13), "should last 14 days more, as nobody seems to renew it, but it has 13 left"),
    (proxy.test_days, shown(API, days_left=0.5, lifetime=6), "should last 1.0 days more, as nobody seems to renew it, but it has 0.5 left"),
    (proxy.test_renewed, replace(RENEWED, renewals={}), "should run certbot on the host, but nothing there does"),
    (proxy.test_renewed, replace(RENEWED, renewals={"certbot.timer": "disabled"}), "but certbot.timer is disabled"),
    (proxy.test_renewed, replace(RENEWED, left_out=True), "but /etc/letsencrypt/renewal/novaops-a.conf says that it should not"),
    (proxy.test_strict_transport, tried(API, known=answer(200)), f"should be {YEAR}, but the answer to the known has none"),
    (proxy.test_strict_transport, tried(API, known=answer(200, "", HSTS, HSTS)), f"but the answer to the known has {YEAR} and {YEAR}"),
    (proxy.test_strict_transport, tried(TOKEN, stranger=edge(401, HSTS)), "there should be no Strict-Transport-Security, but"),
    (proxy.test_stranger, tried(API, stranger=answer(200)), "/v1/models should answer 401 to who shows nothing, but it answers 200"),
    (proxy.test_stranger, tried(API, stranger=HttpAnswer(trouble="nothing is heard")), "who shows nothing, but nothing is heard"),
    (proxy.test_stranger, tried(API, stranger=edge(401)), "should ask who shows nothing for a password, but it has passed the request on"),
    (
        proxy.test_stranger,
        tried(API, stranger=answer(401, '{"error": {"type": "x"}}', ASKS)),
        "401 to who shows nothing, but the answer is another's",
    ),
    (proxy.test_wrong, tried(API, wrong=answer(200)), "should answer 401 to who shows a wrong password, but it answers 200"),
    (proxy.test_wrong, tried(TOKEN, wrong=answer(401, "no JSON")), "401 to who shows a wrong token, but the answer is another's: no JSON"),
    (
        proxy.test_only_from,
        tried(TOKEN, outsider=answer(200)),
        "who comes from the host itself, and not from 198.51.100.0/24, should get 403, but",
    ),
    (proxy.test_only_from, tried(FAR, known=answer(401)), f"who comes from {HERE}, and not from 203.0.113.0/24, should get 403, but it"),
    (proxy.test_api, tried(API, known=HttpAnswer(trouble="nothing is heard")), "should be answered by openai, but nothing is heard"),
    (proxy.test_followed, replace(API, timer=("enabled", "inactive")), "should be enabled and active, but it is enabled and inactive"),
    (proxy.test_followed, replace(API, timer=("", "inactive")), "but it is inactive"),
    (proxy.test_followed, moved(answered="192.0.2.7"), "should ask api.openai.com:443 at 192.0.2.7, but it knows 192.0.2.8"),
    (proxy.test_followed, moved(asked=""), "at 192.0.2.8, but it knows none"),
    (proxy.test_followed, moved(asked="", answered=""), "at an address that it had, but it knows none"),
    (proxy.test_kept, replace(API, connects=(0.21, 0.2, 0.19, 0.2)), "but it took them 0.210, 0.200, 0.190, 0.200 s"),
    (proxy.test_api, tried(API, known=edge(502)), "but the site itself answers 502: Not you."),
    (
        proxy.test_api,
        tried(API, known=answer(403, "unsupported_country_region_territory")),
        "by openai: it is reached, but refuses the region of the host",
    ),
    (proxy.test_api, tried(API, known=answer(401, '{"error": "bad key"}')), "does not take the key that the proxy puts in: bad key"),
    (proxy.test_api, tried(API, known=answer(404)), "but the API has nothing at /v1/models (404)"),
    (proxy.test_api, tried(API, known=answer(200, "<html>")), "something else answers: 200 and a web page"),
    (proxy.test_api, tried(TOKEN, known=answer(200, "{}")), "something else answers, or puts a key in: 200 without a key"),
    (
        proxy.test_api,
        tried(TOKEN, known=answer(400, '{"error": "version"}')),
        "refuses the request before it looks at a key (400): version",
    ),
    (
        proxy.test_api,
        tried(BASE, known=answer(500)),
        "/v1/models should be answered by https://api.example.com/v1: it is reached, but the",
    ),
    (proxy.test_api, tried(BASE, known=answer(404)), "but the API has nothing at /v1/models (404)"),
    (proxy.test_first_event, tried(UNLOGGED, stream=streamed((1.2, 1), (1.3, 1))), "but it came after 1.2 s, and 1 at once"),
    (proxy.test_first_event, tried(API, stream=answer(200)), "/v1/chat/completions should stream, but no event came"),
    (proxy.test_first_event, tried(API, stream=edge(504)), "should stream, but the site itself answers 504: Not you."),
    (proxy.test_first_event, tried(API, stream=HttpAnswer(trouble="nothing is heard")), "should stream, but nothing is heard"),
    (proxy.test_first_event, tried(API, stream=streamed((1.5, 5))), "within 1 s of the API's, but it came after 1.1 s, and 5 at once"),
    (proxy.test_first_event, tried(API, stream=streamed((1.5, 5), (2, 5), (3, 5))), "and 5 at once"),
    (
        proxy.test_events_apart,
        tried(API, stream=streamed((0.5, 1), (0.6, 2), (0.601, 1))),
        "3 arrivals or more, but 4 came in 2: something",
    ),
    (
        proxy.test_no_secret_lies_open,
        replace(API, leaks=(("/x", "key"), ("/y", "token of a"))),
        "the key is in /x; the token of a is in /y",
    ),
    (proxy.test_secret_files, replace(API, files={}), f"there should be a file {INJECT.password_file}, but there is none"),
    (proxy.test_secret_files, file(INJECT.password_file, 0o644, group="www-data"), "(0640 at the most), but it is 0644 root:www-data"),
    (proxy.test_secret_files, file(INJECT.password_file, 0o640, group="users"), "of the group root or www-data, but it is 0640 root:users"),
    (proxy.test_secret_files, file(INJECT.secrets_file, 0o640), "(0600 at the most), but it is 0640"),
    (proxy.test_secret_files, file(INJECT.secrets_file, 0o600, owner="nova"), "should be root's, but it is 0600 nova:root"),
    (proxy.test_secret_files, file("/a.key", 0o644), "/a.key should be readable for fewer (0770 at the most), but it is 0644"),
    (
        proxy.test_secret_files,
        replace(TOKEN, files={**TOKEN.files, "/etc/nginx/novaops/a.key": ObservedFile(0o640, "root", "root")}),
        "(0600 at the most)",
    ),
    (proxy.test_bcrypt, replace(API, hashes=(("nova", "$apr"),)), "should have bcrypt hashes, but that of nova is another kind"),
    (proxy.test_bcrypt, replace(API, hashes=()), "should have nova, but it has nobody"),
    (proxy.test_bcrypt, replace(API, hashes=(("nova", "$2y$"), ("eve", "$2y$"))), "should have nova, but it has eve, nova"),
    (proxy.test_served, pool(logged=()), "knows nothing of it: another site may have the name"),
    (
        proxy.test_served,
        pool(logged=(Logged("", "/x", ((ONE, "502"),)),), answer=answer(502)),
        f"one of {ONE} and {TWO}, but it answers 502",
    ),
    (proxy.test_all_serve, pool(logged=(Logged("", "/x", ((ONE, "502"), (TWO, "200"))),)), f"but {ONE} answered none of 4 requests"),
    (proxy.test_all_serve, pool(logged=()), f"but {ONE} and {TWO} answered none of 4 requests"),
    (proxy.test_response_headers, told(answer(200)), "X-Seen at / should be yes, but the answer has none"),
    (proxy.test_response_headers, told(answer(200, "", SEEN, SEEN)), "but the answer has yes and yes"),
    (proxy.test_response_headers, told(answer(200, "", SEEN, ("X-Gone", "x"))), "should have no X-Gone"),
    (proxy.test_websockets, pool(upgrade=answer(400), direct=answer(101)), "a server behind it speaks them, but it answers 400"),
    (
        proxy.test_cors,
        cors(answer(401), answer(204)),
        "a script of https://app.example.com should be told that it may use the site, but it",
    ),
    (proxy.test_cors, cors(answer(204), answer(204)), "but the answer does not name it"),
    (proxy.test_cors, cors(answer(204, "", NAMED), answer(204)), "with its key, but it may not send that"),
    (proxy.test_cors, cors(answer(204, "", NAMED, MAY_SEND), answer(204, "", NAMED)), "scripts of other pages should not be let in, but"),
    (proxy.test_gone, replace(GONE, files={"/a": ROOTS}), "nothing should be left of a, but there is /a"),
]


def judge(claim: Callable[..., None], seen: ObservedSite) -> None:
    """A claim that is skipped is not red."""
    try:
        claim(seen)
    except pytest.skip.Exception as skipped:
        pytest.fail(f"it is skipped: {skipped}")


@pytest.mark.parametrize(("claim", "seen", "sentence"), RED)
def test_claim_is_red(claim: Callable[..., None], seen: ObservedSite, sentence: str) -> None:
    assert Claim(claim).about(seen.wanted)
    with pytest.raises(AssertionError) as raised:
        judge(claim, seen)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_claim_is_seen_red() -> None:
    green_only = {"test_trusted_here", "test_after_reboot"}
    assert {claim.__name__ for claim in claims()} == {claim.__name__ for claim, _, _ in RED} | green_only


def test_after_a_reboot() -> None:
    proxy.test_after_reboot(API, Rebooted(edge(401)))
    with pytest.raises(AssertionError, match="should answer 401 after a reboot, but nothing is heard"):
        proxy.test_after_reboot(API, Rebooted(HttpAnswer(trouble="nothing is heard")))


UNTRIED: list[tuple[Callable[..., None], ObservedSite, str]] = [
    (proxy.test_alone_at_boot, replace(API, rivals={"caddy.service": ()}), "caddy.service will run after the next boot, and does not now"),
    (proxy.test_redirect, replace(API, ports={443: "closed"}), "port 443 of a.example.com takes no connections: closed"),
    (proxy.test_redirect, replace(API, http={}), "port 80 takes no connections"),
    (proxy.test_nobody_elses_name, replace(APP, wanted=wanted(domain="~^a", upstreams=[ONE])), "^a is a pattern, and names nothing"),
    (proxy.test_stranger, replace(API, tried={}), "its certificate is turned down, so nothing else was asked"),
    (proxy.test_trusted_here, shown(API, known_here=False), "does not know An Authority; exactly the host's /a.pem was trusted instead"),
    (proxy.test_chain, replace(shown(API, known_here=False), verified={"a.example.com": "error 20"}), "knows who is above An Authority"),
    (
        proxy.test_only_from,
        replace(TOKEN, tried={"stranger": edge(401)}),
        "this machine and the host itself both come from 198.51.100.0/24",
    ),
    (proxy.test_api, FAR, f"this machine comes from {HERE}, and not from 203.0.113.0/24"),
    (proxy.test_first_event, TOKEN, "without a key no API streams: test_key: gives one for proofs"),
    (proxy.test_first_event, tried(API, stream=answer(429, "slow down")), "the API answers 429 to the request that streams: slow down"),
    (proxy.test_first_event, tried(API, stream=streamed((5, 1), (5.1, 1), (5.2, 1))), "the API itself took 5.0 s to its first event"),
    (proxy.test_events_apart, tried(API, stream=streamed((0.5, 2))), "the API sent 2 events: too few to tell"),
    (
        proxy.test_events_apart,
        replace(tried(API, stream=streamed((0.5, 9))), api=Logged("", "", (), 0.4, 0.41)),
        "all of its events at once",
    ),
    (proxy.test_all_serve, pool(location=POOL.location.model_copy(update={"balance": "ip_hash"}), logged=()), "goes to one server"),
    (proxy.test_websockets, pool(upgrade=answer(400), direct=answer(404)), "no server behind / speaks websockets there (it answers 404)"),
]


@pytest.mark.parametrize(("claim", "seen", "why"), UNTRIED)
def test_what_cannot_be_seen_is_said(claim: Callable[..., None], seen: ObservedSite, why: str) -> None:
    with pytest.raises(pytest.skip.Exception) as raised:
        claim(seen)
    assert why in str(raised.value)


def test_what_is_an_event() -> None:
    parts = (
        (0.1, b": a sign of life\n\n"),
        (0.2, b"event: x\r\nda"),
        (0.3, b"ta: 1\r\n\r\n"),
        (0.302, b"data: 2\n\n"),
        (0.4, b"data: 3\n\ndata: [DONE]\n\n"),
    )
    assert bursts(answer(200, arrivals=parts)) == [(0.3, 2), (0.4, 1)]


def test_too_few_requests_for_a_small_weight() -> None:
    upstreams = (Upstream(address=ONE, weight=999), Upstream(address=TWO))
    seen = pool(location=POOL.location.model_copy(update={"upstreams": upstreams}), requests=60, logged=(Logged("", "", ((ONE, "200"),)),))
    with pytest.raises(pytest.skip.Exception, match=f"60 requests are too few to see {TWO}"):
        proxy.test_all_serve(seen)


def test_a_host_that_forwards_nothing_is_no_drift() -> None:
    seen = replace(APP, on_host="it listens on 127.0.0.1", ports={80: "Administratively prohibited"})
    with pytest.raises(HostFailed, match="could not be asked on the host itself"):
        proxy.test_open(seen)


# -- what is wanted -----------------------------------------------------------------------------------------------------------


def test_a_provider_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers/mine.yaml").write_text(
        "endpoints:\n  - {host: a.example.com, path: /v1}\n  - {host: b.example.com, path: /v1/files, at: /files}\nprobe: /v1/files/x\n"
    )
    site = Site.model_validate({"name": "a", "domain": "a", "provider": "mine", "tls": "off", "auth": {"token": "env:X"}})
    feature = Feature("proxy", Path(proxy.__file__))
    found = feature.entries([site], tmp_path)
    assert (found["a"].probe, found["a"].stream) == ("/files/x", "")
    with pytest.raises(UsageError, match="there is no provider mine"):
        feature.entries([site], tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("settings", "probe", "stream"),
    [
        ({"provider": "openai"}, "/v1/models", "/v1/chat/completions"),
        ({"provider": "openai", "path": "/openai"}, "/openai/models", "/openai/chat/completions"),
        ({"provider": "sensenova"}, "/v1/llm/models", "/v1/llm/chat-completions"),
        ({"upstream": "https://api.example.com/base"}, "/base/models", ""),
        ({"upstream": "https://api.example.com"}, "/models", ""),
        ({"upstream": "https://api.example.com/base", "probe": "/base/health?x=1"}, "/base/health?x=1", ""),
        ({"upstream": "https://api.example.com/base", "probe": "/base/health", "path": "/llm"}, "/llm/health", ""),
        ({"provider": "openai", "upstream": "https://llm.example.com/openai/v1"}, "/openai/v1/models", "/openai/v1/chat/completions"),
        ({"provider": "openai", "upstream": "https://llm.example.com:8443"}, "/v1/models", "/v1/chat/completions"),
    ],
)
def test_paths_as_clients_know_them(settings: dict[str, Any], probe: str, stream: str) -> None:
    found = wanted(**settings, tls="off", auth={"token": "env:X"})
    assert (found.probe, found.stream) == (probe, stream)


def test_names_to_ask_for() -> None:
    found = wanted(domain=["a.example.com", "*.b.example.com", ".c.example.com", "www.*", "~^d"], upstreams=[ONE])
    assert found.names == ("a.example.com", "novaops-verify.b.example.com", "novaops-verify.c.example.com")
    assert wanted(upstreams=[ONE], http_port=8080).host == "a.example.com:8080"
    assert wanted(domain="2001:db8::1", upstreams=[ONE]).host == "[2001:db8::1]"


def test_pools() -> None:
    found = wanted(upstreams=[ONE], locations=[{"path": "/x", "upstreams": [TWO], "auth": "off"}, {"path": "/y"}], balance="least_conn")
    assert [(each.path, each.upstreams[0].address, each.balance) for each in found.pools] == [
        ("/", ONE, "least_conn"),
        ("/x", TWO, "least_conn"),
        ("/y", ONE, "least_conn"),
    ]
    assert [each.path for each in wanted(upstreams=[ONE], locations=[{"path": "/", "exact": True}]).pools] == ["/", "/"]
    assert [each.path for each in wanted(upstreams=[ONE], locations=[{"path": "/"}]).pools] == ["/"]
    assert wanted(upstreams=[ONE], locations=[{"path": "/"}, {"path": "/x"}], auth={"basic": {"a": "env:A"}}).probe == "/"


def test_a_site_that_is_gone_needs_no_secret_and_no_provider() -> None:
    found = wanted(state="absent", provider="nobodys", auth={"basic": {"a": "env:NOT_SET"}})
    assert (found.provider, found.pools, found.certificate) == (None, (), ("", ""))
    assert "/etc/nginx/conf.d/novaops-a.conf" in found.paths


def test_a_welcome_page_of_somebody_else_s_is_no_fault_of_the_site() -> None:
    """A deployment leaves it to a server that comes first, and says so."""
    welcome = {"http": answer(200, "<h1>Welcome to nginx!</h1>")}
    with pytest.raises(pytest.skip.Exception, match="a welcome page does, by http: another server"):
        proxy.test_nobody_elses_name(replace(APP, unknown=welcome))
    with pytest.raises(AssertionError, match="by this site"):
        proxy.test_nobody_elses_name(replace(APP, unknown=welcome, taken=("http",)))
    own = "/etc/nginx/sites-enabled/default"
    with pytest.raises(AssertionError, match=f"by nginx's welcome page, but it is, by http: {own} is enabled"):
        proxy.test_nobody_elses_name(replace(APP, unknown=welcome, own_page=own))


# -- what hosts say -----------------------------------------------------------------------------------------------------------


def test_a_line_of_the_log() -> None:
    line = (
        '192.0.2.9 - nova [t] "GET /a b/1 HTTP/1.1" 200 4 upstream=10.0.0.1:80, unix:/x upstream_status=502, 200 first=0.1, 0.250 total=1.5'
    )
    found = site_files.read_line(line)
    assert (found.path, found.upstreams) == ("/a b/1", (("10.0.0.1:80", "502"), ("unix:/x", "200")))
    assert (found.first, found.total) == (0.25, 1.5)
    nobody = site_files.read_line('x - - [t] "GET / HTTP/1.1" 401 0 upstream=- upstream_status=- first=- total=0.000')
    assert (nobody.upstreams, nobody.first, nobody.total) == ((), None, 0.0)
    again = site_files.read_line(
        'x - - [t] "GET / HTTP/1.1" 200 0 upstream=a:1, b:1 upstream_status=502, 200 first=-, 0.1 total=0.2 connect=-, 0.000'
    )
    assert (again.total, again.connect) == (0.2, 0.0)


def test_before_and_after() -> None:
    said = """\
file 640 root www-data /etc/x y
text /a.pem
-----BEGIN
x

end text
hash $2y$ nova /etc/x y
size 12 /var/log/a
address 192.0.2.1 one
address 192.0.2.2 one
worker www-data
timer enabled active gate
timer  inactive a.b
asks 192.0.2.8 gate api.test:443
asks 2001:db8::8 gate api.test:443
answer 192.0.2.8 gate api.test:443
keeps 10 gate api.test:443
keeps 00 a.b api.test:443
renews enabled certbot.timer
renews cron /etc/cron.d/mine
rival apache2.service 80 127.0.0.1:8080
rival caddy.service
own_page /etc/nginx/sites-enabled/default
leaves /etc/letsencrypt/renewal/novaops-a.conf
version 1.22.1
port 00000000:01BB
port 0100007F:0050
port 0000000000000000FFFF00000100007F:0051
port 00000000000000000000000001000000:0052
port 00000000000000000000000000000000:1F90
"""
    found = site_files.read_before(said)
    assert found.files == {"/etc/x y": ObservedFile(0o640, "root", "www-data")}
    assert found.texts == {"/a.pem": "-----BEGIN\nx\n\n"}
    assert (found.hashes, found.sizes) == ({"/etc/x y": (("nova", "$2y$"),)}, {"/var/log/a": 12})
    assert found.workers == {"www-data"}
    assert found.ports == {443, 8080}
    assert found.addresses == {"one": {"192.0.2.1", "192.0.2.2"}}
    assert (found.version, found.timers) == ((1, 22, 1), {"gate": ("enabled", "active"), "a.b": ("", "inactive")})
    assert found.renewals == {"certbot.timer": "enabled", "/etc/cron.d/mine": "cron"}
    assert found.rivals == {"apache2.service": ("80", "127.0.0.1:8080"), "caddy.service": ()}
    assert found.own_page == "/etc/nginx/sites-enabled/default"
    assert found.leaves == {"/etc/letsencrypt/renewal/novaops-a.conf"}
    known = ObservedApi(frozenset({"192.0.2.8", "2001:db8::8"}), frozenset({"192.0.2.8"}), keeps=True)
    assert found.apis == {"gate": {"api.test:443": known}, "a.b": {"api.test:443": ObservedApi()}}
    after = site_files.read_after(
        "= log /var/log/a\nx\n= open a: login of nova in /var/log/a in b\n= chain a a.example\n= chain a b\nerror 20\n"
    )
    assert len(after.logged["/var/log/a"]) == 1
    assert after.open == (("/var/log/a in b", "a: login of nova"),)
    assert after.verified == {"a a.example": "", "a b": "error 20"}


# -- asking -------------------------------------------------------------------------------------------------------------------


class Wire:
    """A connection whose other end has its words ready."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)
        self.sent = b""
        self.closed = False

    def recv(self, size: int, /) -> bytes:
        del size
        return self.parts.pop(0) if self.parts else b""

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


def test_an_answer_in_parts() -> None:
    wire = Wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-A: 2\r\n\r\n", b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n")
    with HttpConnection(wire) as line:
        found = line.ask(Request("/x?y", "a.example.com", "POST", {"X-B": "1"}, b"{}"))
    assert wire.sent.startswith(b"POST /x?y HTTP/1.1\r\nHost: a.example.com\r\n")
    assert wire.sent.endswith(b"Content-Length: 2\r\nX-B: 1\r\n\r\n{}")
    assert (found.status, found.text, found.all("x-a")) == (200, "abcde", ("1", "2"))
    assert [part for _, part in found.arrivals] == [b"abc", b"de"]
    assert wire.closed


def test_the_leaf_alone_is_trusted() -> None:
    one, two = (f"-----BEGIN CERTIFICATE-----\n{n}\n-----END CERTIFICATE-----\n" for n in (1, 2))
    assert Trust(one + two).leaf == one
    assert Trust().pinned() is None


def test_secrets_are_never_in_what_is_printed() -> None:
    said = repr([API, Request("/", "a", headers={"Authorization": "s3cret"}, body=b"s3cret"), answer(200, "s3cret"), Logged("s3cret")])
    assert "s3cret" not in said
