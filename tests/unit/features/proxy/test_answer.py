"""What a host says of nginx, of a site that was asked, and of its sites: recorded answers, and curl itself where it is here."""

from __future__ import annotations

import base64
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.features.proxy.facts import answer
from novaops.features.proxy.facts.answer import OUTSIDE, Answered, SiteAnswer
from novaops.features.proxy.facts.nginx import Nginx, NginxFacts
from novaops.features.proxy.facts.site_state import Reached, SiteState, SiteStates
from novaops.model.question import Missing, Section
from novaops.secret import Secret

# -- nginx ------------------------------------------------------------------------------------------------------------

DEBIAN = """\
os_VERSION_ID=12
os_ID=debian
ipv6=yes
bundle=/etc/ssl/certs/ca-certificates.crt
trust_folder=/etc/ssl/certs
resolver=192.0.2.53
resolver=2001:db8::53
resolver=fe80::1%eth0
resolver=nonsense
debian=yes
"""
DUMP = """\
version=1.22.1
default_page=yes
conf=
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
nginx: configuration file /etc/nginx/nginx.conf test is successful
# configuration file /etc/nginx/nginx.conf:
user web staff;
http { server { listen 80; server_name a=b; } }
"""


def read(text: str, status: int = 0) -> NginxFacts:
    found = Nginx.parse([Nginx()], Section(text, "", status))[Nginx()]
    assert isinstance(found, NginxFacts)
    return found


def test_nginx_that_is_there() -> None:
    found = read(DEBIAN + DUMP)
    assert (found.installed, found.version, found.broken, found.debian) == (True, (1, 22, 1), "", True)
    assert found.resolvers == ("192.0.2.53", "[2001:db8::53]")
    assert (found.ipv6, found.ipv6_route, found.default_page_is_debians) == (True, False, True)
    assert found.worker_group == "staff"
    assert [server.names for server in found.conf.servers()] == [("a=b",)]


BUILT = "--with-cc-opt='-g -O2' --prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf --http-log-path=/var/log/nginx/access.log"


@pytest.mark.parametrize(
    ("started", "built", "found"),
    [
        ((), BUILT, ("/etc/nginx/nginx.conf", "")),
        (("-g daemon on; master_process on;",), BUILT, ("/etc/nginx/nginx.conf", "")),
        (("-c /etc/nginx/nginx.conf", "-c /etc/nginx/nginx.conf"), BUILT, ("/etc/nginx/nginx.conf", "")),
        (("-c ${CONFFILE}", "-c /etc/nginx/nginx.conf"), BUILT, ("/etc/nginx/nginx.conf", "")),
        (("-c ${CONFFILE}", "-c /srv/nginx.conf"), BUILT, ("/etc/nginx/nginx.conf", "/srv/nginx.conf")),
        (("-g daemon on; -c /srv/nginx.conf", "-g daemon on;"), BUILT, ("/etc/nginx/nginx.conf", "/srv/nginx.conf")),
        (("-c conf/own.conf",), BUILT, ("/etc/nginx/nginx.conf", "/usr/share/nginx/conf/own.conf")),
        (("-p /srv/web/",), BUILT, ("/etc/nginx/nginx.conf", "")),
        (("-p /srv/web/",), "--prefix=/opt/nginx", ("/opt/nginx/conf/nginx.conf", "/srv/web/conf/nginx.conf")),
        ((), "", ("/usr/local/nginx/conf/nginx.conf", "")),
    ],
)
def test_which_main_file(started: tuple[str, ...], built: str, found: tuple[str, str]) -> None:
    said = read(DEBIAN + f"version=1.22.1\nbuilt={built}\n" + "".join(f"started={words}\n" for words in started))
    assert (said.main_file, said.started_with) == found


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_the_unit_starts_nginx_with(shell: str, tmp_path: Path) -> None:
    """The script itself, by a shell, with what systemd and nginx say, and the title of nginx's main process."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cmdline").write_text("nginx: master process /usr/sbin/nginx -c /srv/a.conf\0")
    argv = "{ path=/usr/sbin/nginx ; argv[]=/usr/sbin/nginx -g daemon on; -c /srv/b.conf ; ignore_errors=no ; pid=0 }"
    doubles = f"systemctl() {{ case $* in *ExecStart*) echo '{argv}' ;; *MainPID*) echo 7 ;; esac; }}\n"
    doubles += "nginx() { case $1 in -V) echo 'configure arguments: --prefix=/p' ;; -v) echo nginx version: nginx/1.22.1 ;; esac; }\n"
    done = subprocess.run(
        [shell, "-c", doubles + Nginx.script_one().replace("/proc/$main", f"{tmp_path}/$main")], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith(("built=", "started="))] == [
        *("built=--prefix=/p", "started=-g daemon on; -c /srv/b.conf", "started=-c /srv/a.conf "),
    ]


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("version=1.18.0 (Ubuntu)", (1, 18, 0)),
        ("version=1.26.3", (1, 26, 3)),
        ("version=1.29.1", (1, 29, 1)),
        ("candidate=1.22.1-9+deb12u1", (1, 22, 1)),
        ("candidate=2:1.24.0-1", (1, 24, 0)),
        ("candidate=(none)", (1, 22, 1)),
        ("", (1, 22, 1)),
        ("version=nginx version: openresty/1.21.4.1", (1, 22, 1)),
    ],
)
def test_which_nginx(said: str, version: tuple[int, ...]) -> None:
    found = read(f"{DEBIAN}{said}\n")
    assert (found.version, found.installed) == (version, said.startswith("version"))


@pytest.mark.parametrize(
    ("system", "version"),
    [
        ("os_ID=debian\nos_VERSION_ID=11\n", (1, 18)),
        ("os_ID=debian\nos_VERSION_ID=13\n", (1, 26, 3)),
        ("os_ID=ubuntu\nos_VERSION_ID=24.04\n", (1, 24)),
        ("os_ID=rocky\nos_VERSION_ID=9.5\n", (1, 18)),
        ("os_ID=debian\n", (1, 18)),
    ],
)
def test_which_nginx_it_will_be(system: str, version: tuple[int, ...]) -> None:
    assert read(system).version == version


@pytest.mark.parametrize(
    ("said", "folder"),
    [
        ("os_ID=debian\ndebian=yes\nversion=1.22.1\nbundle=/b\ntrust_folder=/etc/ssl/certs\n", "/etc/ssl/certs"),
        ("os_ID=debian\ndebian=yes\nversion=1.18.0\nbundle=/b\ntrust_folder=/etc/ssl/certs\n", ""),
        ("os_ID=debian\ndebian=yes\nversion=1.22.1\nbundle=/b\n", ""),
        ("os_ID=debian\ndebian=yes\nversion=1.22.1\n", "/etc/ssl/certs"),  # it comes with the authorities
        ("os_ID=rocky\nversion=1.20.1\n", ""),
    ],
)
def test_where_the_authorities_are(said: str, folder: str) -> None:
    assert read(said).trust_folder == folder


def test_red_hat() -> None:
    found = read("os_ID=rocky\nversion=1.20.1\nconf=\n# configuration file /etc/nginx/nginx.conf:\n")
    assert (found.bundle, found.worker_group, found.ipv6) == ("/etc/pki/tls/certs/ca-bundle.crt", "nginx", False)


@pytest.mark.parametrize(
    ("said", "broken"),
    [
        ('broken=nginx: [emerg] unknown directive "x=y" in /etc/nginx/a.conf:3', '[emerg] unknown directive "x=y" in /etc/nginx/a.conf:3'),
        ("broken=", "it says nothing more"),
    ],
)
def test_nginx_that_is_broken(said: str, broken: str) -> None:
    found = read(f"{DEBIAN}version=1.22.1\n{said}\n")
    assert (found.broken, list(found.conf.servers())) == (broken, [])


def test_a_host_that_says_nothing_is_not_known() -> None:
    assert Nginx.parse([Nginx()], Section("", "", 0)) == {}


# -- a request --------------------------------------------------------------------------------------------------------


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


QUESTIONS = [SiteAnswer(f"https://a.com/{number}", "127.0.0.1:443", "/x") for number in range(3)]


def line(ended: int, measured: str, body: str = "", logged: str = "", site: str = "") -> str:
    return f"{ended}\t{encoded(chr(0).join((measured, site, logged, body)))}"


def test_answers_in_their_order() -> None:
    lines = [
        line(0, "200\ttext/plain\t\t", "hello", site="shop passed\r\n"),
        "absent",
        line(6, "000\t\t\tCould not resolve host: a.com", "", "connect() failed"),
    ]
    found = SiteAnswer.parse(QUESTIONS, Section("\n".join([*lines, ""]), "", 0))
    assert list(found.values()) == [
        Answered(200, "hello", "", "", 0, "text/plain", site="shop", passed=True),
        Missing.ABSENT,
        Answered(0, "", "Could not resolve host: a.com", "connect() failed", 6),
    ]


def test_an_answer_of_the_site_s_own_has_passed_nothing_on() -> None:
    [found] = SiteAnswer.parse(QUESTIONS[:1], Section(line(0, "403\ttext/html\t\t", site="shop\r\n"), "", 0)).values()
    assert isinstance(found, Answered)
    assert (found.site, found.passed) == ("shop", False)


@pytest.mark.parametrize(("ended", "status", "whole"), [(0, 200, True), (63, 200, True), (92, 200, False), (18, 200, False), (0, 0, False)])
def test_an_answer_that_breaks_off_is_none(ended: int, status: int, whole: bool) -> None:  # noqa: FBT001 - what is expected
    assert Answered(status, "", "", "", ended).whole is whole


def test_no_curl_and_no_answer() -> None:
    assert SiteAnswer.parse(QUESTIONS, Section("absent\n" * 3, "", 7)) == dict.fromkeys(QUESTIONS, Missing.ABSENT)
    assert SiteAnswer.parse(QUESTIONS, Section("", "mktemp: no space", 1)) == {}
    assert list(SiteAnswer.parse(QUESTIONS, Section("absent\n", "", 0))) == QUESTIONS[:1], "what was cut off is not known"
    with pytest.raises(ValueError, match=r"."):  # which the probe makes UNKNOWN
        SiteAnswer.parse(QUESTIONS, Section("\t\n", "", 0))


def test_bytes_that_are_no_text() -> None:
    said = base64.b64encode(b"200\t\t\t\0\0\0\xff\xfe\0x").decode()
    [found] = SiteAnswer.parse(QUESTIONS[:1], Section(f"0\t{said}\n", "", 0)).values()
    assert isinstance(found, Answered)
    assert found.body == "\ufffd\ufffd\0x"


# -- curl -------------------------------------------------------------------------------------------------------------

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="asks with the machine's own curl")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    seen: list[http.server.BaseHTTPRequestHandler]
    log: Path | None = None


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append(self)
        if self.path == "/no" and self.server.log:
            with self.server.log.open("a") as log:
                log.write("first\nlast \t line\n")
        status, body = (204, b"") if self.path == "/nothing" else (403, b"no\r\n\0" * 1000) if self.path == "/no" else (200, b"hello\n")
        self.send_response(status)
        if self.headers["X-Novaops-Asks"] and self.path == "/mine":
            self.send_header("x-novaops-Site", "shop")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    found.seen = []
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


ELSEWHERE = {"http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"}
"""A proxy of the host's own is for others."""


def asked(questions: Sequence[SiteAnswer]) -> list[Answered | Missing]:
    done = subprocess.run(
        ["dash" if shutil.which("dash") else "sh"],
        input=SiteAnswer.script(questions),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ELSEWHERE},
    )
    assert done.stderr == ""
    return list(SiteAnswer.parse(questions, Section(done.stdout, done.stderr, done.returncode)).values())


@needs_curl
def test_requests_all_at_once(server: Server, tmp_path: Any) -> None:
    to = f"127.0.0.1:{server.server_port}"
    log = tmp_path / "it's a log"
    old = tmp_path / "old"
    for file in (log, old):
        file.write_text("of another request\n")
    server.log = log
    found = asked(
        [
            SiteAnswer("http://a.com/first", to, str(tmp_path / "not there")),
            SiteAnswer("http://a.com/", to, "/"),
            SiteAnswer("http://a.com/no", to, "/", log=str(log)),
            SiteAnswer("http://a.com/nothing", to, "/", log=str(tmp_path / "none")),
            SiteAnswer("http://a.com/", "127.0.0.1:1", "/", log=str(old)),
            SiteAnswer("http://a.com/", to, str(tmp_path / "not there")),
        ]
    )
    assert found[:2] == [Missing.ABSENT, Answered(200, "hello", "", "")]
    refused, nothing, dead, absent = found[2:]
    assert isinstance(refused, Answered)
    assert (refused.status, refused.logged, len(refused.body) <= 2000, refused.body[:3]) == (403, "last \t line", True, "no\r")
    assert nothing == Answered(204, "", "", "")
    assert isinstance(dead, Answered)
    assert (dead.status, dead.body, dead.logged) == (0, "", "")
    assert "127.0.0.1" in dead.error
    assert absent is Missing.ABSENT


@needs_curl
def test_who_answers(server: Server) -> None:
    """A site says which one it is. From outside it is asked at the host's own address, which does not lead to 127.0.0.1."""
    port = server.server_port
    ways = [("/mine", "127.0.0.1"), ("/other", "127.0.0.1"), ("/mine", OUTSIDE)]
    found = asked([SiteAnswer(f"http://a.com{path}", f"{to}:{port}", "/") for path, to in ways])
    assert [answer.site for answer in found if isinstance(answer, Answered)][:2] == ["shop", ""]
    [outside] = [request.client_address[0] for request in server.seen if request.path == "/mine"][1:] or [""]
    assert outside != "127.0.0.1"


@needs_curl
def test_who_is_no_site_is_not_asked_for_its_name(server: Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}/mine"
    [found] = asked([SiteAnswer(url, "", "/")])
    assert isinstance(found, Answered)
    assert (found.status, found.site) == (200, "")


@needs_curl
def test_an_api_behind_several_sites_is_asked_once(server: Server, tmp_path: Path) -> None:
    """Whether a site is set up is each one's own; another key is another question."""
    url, there, key = f"http://127.0.0.1:{server.server_port}/once", str(tmp_path), (("Authorization", Secret("Bearer a")),)
    missing = str(tmp_path / "missing")
    files = (missing, there, "/", "/etc")
    others = (SiteAnswer(url, "", "/", headers=key), SiteAnswer(f"{url}/", "", missing))
    found = asked([*(SiteAnswer(url, "", file) for file in files), *others])
    hello = Answered(200, "hello", "", "")
    assert found == [Missing.ABSENT, hello, hello, hello, hello, Missing.ABSENT]
    requests = [request for request in server.seen if request.path == "/once"]
    assert sorted(request.headers["Authorization"] or "" for request in requests) == ["", "Bearer a"]


@pytest.mark.parametrize(
    ("url", "certificate", "hashed", "ends", "asked_with"),
    [
        ("https://a.com/", "", True, "0", ["--cacert NONE --capath FOLDER"]),
        ("https://a.com/", "", True, "60 0", ["--cacert NONE --capath FOLDER", ""]),
        ("https://a.com/", "", True, "7", ["--cacert NONE --capath FOLDER"]),
        ("https://a.com/", "", False, "0", [""]),
        ("https://a.com/", "/c.pem", True, "0", [""]),
        ("http://a.com/", "", True, "0", [""]),
    ],
)
def test_whom_a_request_trusts(
    url: str,
    certificate: str,
    hashed: bool,  # noqa: FBT001 - a column of the table
    ends: str,
    asked_with: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The folder of hashes first, where there is one. What cannot be proven by it is asked again, by all that the host trusts."""
    folder, none, calls = tmp_path / "certs", tmp_path / "none.pem", tmp_path / "calls"
    folder.mkdir()
    none.touch()
    if hashed:
        (folder / "0a1b2c3d.0").touch()
    monkeypatch.setattr(answer, "TRUST_FOLDERS", (str(tmp_path / "other"), str(folder)))
    monkeypatch.setattr(answer, "NO_AUTHORITY", str(none))
    double = f"""\
curl() {{
  cat >/dev/null; shift 8; echo "$*" >>{calls}
  set -- {ends}; shift $(($(grep -c '' {calls}) - 1)); printf '200\t\t\t'; return "$1"
}}
"""
    script = double + SiteAnswer.script([SiteAnswer(url, "127.0.0.1:443", "/", certificate)])
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    [found] = SiteAnswer.parse(QUESTIONS[:1], Section(done.stdout, done.stderr, 0)).values()
    assert isinstance(found, Answered)
    assert found.exit_code == int(ends.rsplit(maxsplit=1)[-1])
    shown = [line.replace(str(none), "NONE").replace(str(folder), "FOLDER") for line in calls.read_text().splitlines()]
    assert shown == asked_with


PASSWORDS = st.text(st.sampled_from("ab \"'\\$`%#@:;{}[]()&|<>!?*é汉~-=\t"), min_size=1, max_size=12)


@needs_curl
@given(
    st.lists(
        st.tuples(PASSWORDS, st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)), min_size=1, max_size=4
    )
)
@example(
    [('"\nurl = "file:///etc/passwd', "novaops-curl"), ("@/etc/passwd", "@/etc/passwd"), ("novaops-curl\\", '"$(id)`id`\\'), ("\\", "\\n")]
)
def test_secrets_arrive_as_they_are(server: Server, pairs: list[tuple[str, str]]) -> None:
    to = f"127.0.0.1:{server.server_port}"
    server.seen.clear()
    headers = [(("X-Token", Secret(token)), ("X-Number", str(number))) for number, (_, token) in enumerate(pairs)]
    questions = [
        SiteAnswer(f"http://a.com/{number}", to, "/", "", headers[number], Secret(f"nova:{password}"))
        for number, (password, _) in enumerate(pairs)
    ]
    assert [found.status for found in asked(questions) if isinstance(found, Answered)] == [200] * len(pairs)
    told = {request.headers["X-Number"]: request.headers for request in server.seen}
    for number, (password, token) in enumerate(pairs):
        there = told[str(number)]
        assert there["X-Token"] == token
        assert base64.b64decode(there["Authorization"].removeprefix("Basic ")).decode() == f"nova:{password}"
        assert there["Host"] == "a.com"


def test_secrets_are_in_no_words() -> None:
    """Each curl reads its words from standard input."""
    script = SiteAnswer.script([SiteAnswer("http://a.com", "x:1", "/", "", (("X", Secret("hunter2")),), Secret("nova:hunter3"))])
    for line in script.splitlines():
        assert "curl -q" not in line or "hunter" not in line
    assert 'header = "X: hunter2"' in script.splitlines()
    assert 'user = "nova:hunter3"' in script.splitlines()


# -- the sites of a host ----------------------------------------------------------------------------------------------

TAB = "\t"
LOGGED = "2026/01/01 00:00:00 [error] 1#1: *1 upstream\ttimed out, client: 192.0.2.1\x0csite\tbank\u2028base\thttps://bank.example.com"
"""Anybody can have such a line written."""
SITES = f"""\
now\t1700000000
running
site\tgate
base\thttps://gate.example.com/v1
base\thttps://other.example.com/v1
certificate\t/etc/nginx/novaops/gate.crt
chain\t{encoded("-----BEGIN")}
probe\t/v1/models
without-key\t400 401
expects\tjson described
answer\t0\t{encoded("503" + TAB + "application/json" + TAB + TAB)}\t{encoded("{}")}\t{encoded("gate passed")}
upstream\tapi.openai.com:443\t0\t{encoded("401" + TAB + "application/json" + TAB + TAB)}\t{encoded("{}")}
upstream\tb.example.com:443\t6\t{encoded("000" + TAB * 3 + "Could not resolve host")}\t
error\t{encoded(LOGGED)}
site\tshop
upstream\tunix:/run/x\t7\t{encoded(TAB * 3)}\t
"""


def test_sites() -> None:
    found = SiteStates.parse([SiteStates()], Section(SITES, "", 0))[SiteStates()]
    assert not isinstance(found, Missing)
    assert (found.running, found.now) == (True, 1_700_000_000)
    gate, shop = found.sites
    assert gate == SiteState(
        "gate",
        ("https://gate.example.com/v1", "https://other.example.com/v1"),
        "/etc/nginx/novaops/gate.crt",
        "-----BEGIN",
        (
            Reached("api.openai.com:443", 401, "", 0, "application/json", "", "{}"),
            Reached("b.example.com:443", 0, "Could not resolve host", 6),
        ),
        (LOGGED,),
        "/v1/models",
        (400, 401),
        expects=frozenset({"json", "described"}),
        answer=Reached("", 503, "", 0, "application/json", "", "{}", "gate"),
    )
    assert shop == SiteState("shop", (), "", "", (Reached("unix:/run/x", 0, "", 7),), ())


@pytest.mark.parametrize(("text", "sites", "running"), [("now\t5\n", 0, False), ("now\t5\nrunning\nsite\tx\n", 1, True)])
def test_few_sites(text: str, sites: int, *, running: bool) -> None:
    found = SiteStates.parse([SiteStates()], Section(text, "", 0))[SiteStates()]
    assert not isinstance(found, Missing)
    assert (len(found.sites), found.running) == (sites, running)


def test_half_an_answer_is_none() -> None:
    assert SiteStates.parse([SiteStates()], Section("running\n", "", 0)) == {}
