"""Attacks on the page: what other pages and other programs of the machine can send to it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from novaops.features.api.app.backend import ProviderBase, ProviderFile
from novaops.features.api.app.security import HEADERS
from tests.support.page_backend import CHOSEN, KEY, PageBackend
from tests.support.page_server import Client, Served, served

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
FORM = "application/x-www-form-urlencoded"
QUESTION = json.dumps({"provider": "local", "via": "direct", "messages": [{"role": "user", "text": "hello"}]})


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Served, PageBackend]]:
    backend = PageBackend()
    with served(backend, CHOSEN) as page:
        yield page, backend


@pytest.fixture
def backend(server: tuple[Served, PageBackend]) -> PageBackend:
    """As at its beginning."""
    found = server[1]
    found.known = {"manuals": {"router.pdf": 12}}
    found.there = [ProviderBase("local/vs_1", "alarms")]
    found.kept = {"file-1": ProviderFile("file-1", "alarms.json", "ready")}
    found.inside = {"local/vs_1": ["file-1"]}
    found.questions.clear()
    return found


def untouched(backend: PageBackend) -> bool:
    here = backend.known == {"manuals": {"router.pdf": 12}}
    there = ([each.id for each in backend.there], list(backend.kept), backend.inside)
    return here and there == (["local/vs_1"], ["file-1"], {"local/vs_1": ["file-1"]}) and not backend.questions


@pytest.fixture
def stranger(server: tuple[Served, PageBackend]) -> Client:
    """Somebody without the cookie."""
    return Client(server[0])


@pytest.fixture
def user(server: tuple[Served, PageBackend], backend: PageBackend) -> Client:
    del backend
    return server[0].user()


@pytest.fixture
def newcomer() -> Iterator[Client]:
    """Somebody without the cookie, at an app whose token nobody has used."""
    with served(PageBackend(), CHOSEN) as page:
        yield Client(page)


THERE = '{"provider": "local", "via": "direct", "base": "local/vs_1"}'
ROUTES = [
    ("GET", "/", None),
    ("GET", "/app.js", None),
    ("GET", "/texts.json", None),
    ("GET", "/api/state", None),
    ("POST", "/api/answer", QUESTION),
    ("POST", "/api/check", '{"provider": "local", "via": "direct"}'),
    ("POST", "/api/bases", '{"name": "mine"}'),
    ("POST", "/api/provider-bases", '{"provider": "local", "via": "direct"}'),
    ("POST", "/api/search", '{"provider": "local", "via": "direct", "base": "manuals", "text": "button"}'),
    ("POST", "/api/provider-bases/new", '{"provider": "local", "via": "direct", "name": "mine"}'),
    ("POST", "/api/provider-bases/delete", THERE),
    ("POST", "/api/provider-files", THERE),
    ("POST", "/api/provider-files/remove", f'{THERE[:-1]}, "id": "file-1"}}'),
    ("PUT", "/api/provider-files/a.txt?provider=local&via=direct&base=local/vs_1", "text"),
    ("GET", "/api/bases/manuals/documents", None),
    ("PUT", "/api/bases/manuals/documents/a.txt", "text"),
    ("DELETE", "/api/bases/manuals", None),
    ("GET", "/nothing", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_nothing_is_served_without_the_cookie(stranger: Client, backend: PageBackend, method: str, path: str, body: str | None) -> None:
    answer = stranger(method, path, body)
    assert answer.status == 403
    assert "this browser is not known here" in answer.body
    assert untouched(backend)


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_every_answer_has_the_headers(user: Client, method: str, path: str, body: str | None) -> None:
    answer = user(method, path, body)
    assert answer.headers["content-security-policy"] == CSP
    assert {name: answer.headers[name.lower()] for name in HEADERS} == HEADERS
    assert "server" not in answer.headers


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(newcomer: Client) -> None:
    token = newcomer.page.session.token
    answer = newcomer("GET", f"/?token={token}")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {part.strip() for part in cookie.split(";")[1:]} == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert token not in cookie
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_token_is_good_once(newcomer: Client) -> None:
    link = f"/?token={newcomer.page.session.token}"
    user = Client(newcomer.page, newcomer("GET", link).headers["set-cookie"].partition(";")[0])
    assert newcomer("GET", link).status == 403
    assert user("GET", link).status == 303, "the browser that has the cookie may open the link again"
    assert user("GET", "/").status == 200


def test_a_link_on_another_site_goes_on_without_a_redirection(newcomer: Client) -> None:
    """A redirection would be sent without the new cookie, as it is SameSite=Strict."""
    answer = newcomer("GET", f"/?token={newcomer.page.session.token}", Sec_Fetch_Site="cross-site")
    assert (answer.status, answer.headers["refresh"], answer.body) == (200, "0; url=/", "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Purpose": "prefetch"},
        {"Sec_Purpose": "prefetch"},
        {"Sec_Purpose": "prefetch;prerender"},
        {"X_Moz": "prefetch"},
        {"X_Purpose": "preview"},
    ],
)
@pytest.mark.parametrize("site", ["none", "cross-site"])
def test_a_preview_does_not_spend_the_token(newcomer: Client, site: str, headers: dict[str, str]) -> None:
    link = f"/?token={newcomer.page.session.token}"
    answer = newcomer("GET", link, Sec_Fetch_Site=site, **headers)
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)
    assert newcomer("GET", link).status == 303


@pytest.mark.parametrize("token", ["", "x", "%00", "%C3%A9", "%FF", "token"])
def test_a_wrong_token_gets_nothing_and_spoils_nothing(newcomer: Client, token: str) -> None:
    answer = newcomer("GET", f"/?token={token}")
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)
    assert newcomer("GET", f"/?token={newcomer.page.session.token}").status == 303


@pytest.mark.parametrize("name", ["novaops", "novaops-1"])
def test_a_cookie_of_another_app_opens_nothing(user: Client, name: str) -> None:
    value = user.cookie.partition("=")[2]
    assert user("GET", "/api/state", Cookie=f"{name}={value}").status == 403
    assert user("GET", "/api/state", Cookie=user.cookie[:-1]).status == 403
    assert user("GET", "/api/state", Cookie=f"{user.cookie}; {user.cookie}x").status == 200


ODD = ["a=b", 'pref={"x":1}', 'q="un;quoted', "name=\xe6\x97\xa5", "sess=a b", "x@y=1", "flag", "=v", "", ";", "a=b,c=d"]


@pytest.mark.parametrize("odd", ODD)
def test_odd_cookies_of_other_programs_keep_nobody_out(user: Client, odd: str) -> None:
    """All programs on 127.0.0.1 share their cookies, whatever their port."""
    for cookies in (f"{odd}; {user.cookie}", f"{user.cookie}; {odd}"):
        assert user("GET", "/api/state", Cookie=cookies).status == 200
    assert user("GET", "/api/state", Cookie=odd).status == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "localhost.evil.example:80", "10.0.0.1", "[::1", "127.0.0.1:"],
)
def test_a_name_that_was_led_to_loopback_is_refused(user: Client, host: str) -> None:
    """DNS rebinding: the browser believes to be at evil.example, and it is there."""
    answer = user("GET", "/api/state", Host=host)
    assert (answer.status, "providers" in answer.body) == (421, False)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:8080"])
def test_loopback_names_are_served_at_any_port(user: Client, host: str) -> None:
    """Such as that of `ssh -L`."""
    assert user("GET", "/api/state", Host=host).status == 200
    assert user("POST", "/api/check", '{"provider": "local", "via": "direct"}', Host=host, Origin=f"http://{host}").status == 200


def test_two_names_of_a_host_are_refused(user: Client) -> None:
    with socket.create_connection(("127.0.0.1", user.page.port), timeout=20) as connection:
        connection.sendall(f"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\nCookie: {user.cookie}\r\n\r\n".encode())
        assert connection.recv(65536).split(b" ")[1] in {b"400", b"421"}


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://{host}"},
    {"Origin": "http://{host}.evil.example"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "none"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(("method", "path", "body"), [route for route in ROUTES if route[0] != "GET"])
def test_another_page_changes_nothing(
    user: Client, backend: PageBackend, method: str, path: str, body: str | None, headers: dict[str, str]
) -> None:
    """Even where the browser sends the cookie, as for a page on another port of this machine."""
    host = user.page.origin.removeprefix("http://")
    answer = user(method, path, body, **{name: value.format(host=host) for name, value in headers.items()})
    assert answer.status == 403
    assert "another origin" in answer.body
    assert untouched(backend)


@pytest.mark.parametrize("headers", [{"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "http://evil.example"}])
@pytest.mark.parametrize("path", ["/app.js", "/api/state", "/api/bases/manuals/documents"])
def test_another_page_reads_nothing(user: Client, path: str, headers: dict[str, str]) -> None:
    answer = user("GET", path, **headers)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("kind", [FORM, "text/plain", "multipart/form-data; boundary=x", ""])
def test_a_form_is_no_request(user: Client, backend: PageBackend, kind: str) -> None:
    """The three kinds that a form can send, and none."""
    answer = user("POST", "/api/answer", QUESTION, Content_Type=kind)
    assert (answer.status, "not JSON" in answer.body) == (400, True)
    assert not backend.questions


def test_a_preflight_is_not_granted(user: Client) -> None:
    answer = user("OPTIONS", "/api/answer", Origin="http://evil.example", Access_Control_Request_Method="POST")
    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


PATHS = [
    "/../server.py",
    "/..%2fserver.py",
    "/%2e%2e/server.py",
    "//etc/passwd",
    "/page/app.js",
    "/app.js/",
    "/app.js%00",
    "/server.py",
    "/.%2fapp.js",
    "/static/../../etc/passwd",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_another_file(user: Client, path: str) -> None:
    answer = user("GET", path)
    assert answer.status in {404, 307}
    assert "root:" not in answer.body
    assert "import" not in answer.body


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2f..%2fa.txt", "%2fetc%2fpasswd.txt", "a%00.txt", "a%0a.txt", "..%5ca.txt", "a" * 201]
)
def test_no_name_of_a_file_leads_out_of_its_folder(user: Client, backend: PageBackend, name: str) -> None:
    answer = user("PUT", f"/api/bases/manuals/documents/{name}", "text", Content_Type="application/octet-stream")
    assert answer.status in {400, 404, 405}
    assert backend.known == {"manuals": {"router.pdf": 12}}


def test_a_file_that_is_too_large_is_not_taken_in(user: Client, backend: PageBackend) -> None:
    answer = user("PUT", "/api/bases/manuals/documents/big.txt", "x" * (backend.largest() + 1))
    assert answer.status == 400
    assert "big.txt is larger than 1 MiB" in answer.body
    assert backend.known == {"manuals": {"router.pdf": 12}}


def test_no_name_of_a_file_for_a_provider_leads_out_of_its_folder(user: Client, backend: PageBackend) -> None:
    for name in ("..%2f..%2fa.txt", "..%5ca.txt", "a%0a.txt"):
        answer = user("PUT", f"/api/provider-files/{name}?provider=local&via=direct&base=local/vs_1", "text")
        assert answer.status in {400, 404, 405}
    assert untouched(backend)


@pytest.mark.parametrize("query", ["provider=local&via=direct", "via=direct&base=", "provider=local&via=direct&base=&key=x", ""])
def test_a_file_goes_nowhere_without_its_place(user: Client, backend: PageBackend, query: str) -> None:
    answer = user("PUT", f"/api/provider-files/a.txt?{query}", "text")
    assert (answer.status, "the request is wrong" in answer.body) == (400, True)
    assert untouched(backend)


def test_a_file_is_deleted_at_a_provider_only_where_its_list_was_named(user: Client, backend: PageBackend) -> None:
    """Without `base` it is not known whether the file is to leave a base, or to be deleted."""
    answer = user("POST", "/api/provider-files/remove", '{"provider": "local", "via": "direct", "id": "file-1"}')
    assert (answer.status, "the request is wrong: base" in answer.body) == (400, True)
    assert untouched(backend)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        '{"provider": 1}',
        QUESTION[:-1] + ', "key": "x"}',
        QUESTION.replace('"user"', '"tool"'),
        '{"provider": "local", "via": "direct", "messages": []}',
    ],
)
def test_a_wrong_body_is_a_sentence(user: Client, backend: PageBackend, body: str) -> None:
    answer = user("POST", "/api/answer", body)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["what"].startswith("the request is wrong")
    assert not backend.questions


def test_a_body_without_end_is_refused(user: Client) -> None:
    answer = user("POST", "/api/answer", json.dumps({"x": "y" * (5 << 20)}))
    assert (answer.status, "too long" in answer.body) == (400, True)


def test_a_bug_says_no_more_than_its_kind(user: Client, backend: PageBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> float:
        raise ValueError(KEY)

    monkeypatch.setattr(backend, "check", broken)
    answer = user("POST", "/api/check", '{"provider": "local", "via": "direct"}')
    assert (answer.status, KEY in answer.body, "ValueError" in answer.body) == (500, False, True)
    assert answer.headers["content-security-policy"] == CSP


def test_an_upgrade_is_not_served(user: Client) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Key": "eA==", "Sec_WebSocket_Version": "13"}
    assert user("GET", "/api/nothing", **headers).status == 404
