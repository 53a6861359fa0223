"""What route.sh prints, read; and route.sh itself, run here."""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.api.facts import NO_CURL, RouteProbe, RouteResult
from novaops.features.api.streaming import arrivals
from novaops.secret import Secret
from novaops.shell import whole
from tests.unit.facts.test_facts import framed, outcome, read
from tests.unit.features.api.support import ENOUGH, PROBE, line, stream


def test_the_time_of_a_second_look_is_no_refusal() -> None:
    late = {"exit_code": 28, "error": "curl: (28) Connection timed out after 8003 milliseconds", "refusals": "0.012000"}
    reached = outcome(read([PROBE], framed(PROBE, line(late))), PROBE)
    assert (reached.connects, reached.refusals) == (True, ())


def test_a_cut_answer_is_unknown() -> None:
    whole_line = line({**ENOUGH, "names": "192.0.2.1\n"}, stream({"parts": [[1, "data: {}\n\n"]]}))
    assert isinstance(outcome(read([PROBE], framed(PROBE, whole_line)), PROBE), RouteResult)
    for cut in range(len(whole_line)):
        assert outcome(read([PROBE], framed(PROBE, whole_line[:cut])), PROBE) == "unknown", cut


@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
def test_garbage_is_unknown(garbage: str) -> None:
    assert outcome(read([PROBE], framed(PROBE, garbage)), PROBE) == "unknown"


def test_a_route_that_said_nothing_does_not_hide_the_others() -> None:
    other = replace(PROBE, name="other")
    facts = read([PROBE, other], framed(PROBE, f"\n{line(ENOUGH)}\n"))
    assert outcome(facts, PROBE) == "unknown"
    assert isinstance(outcome(facts, other), RouteResult)


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")


@contextmanager
def serving(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[http.server.BaseHTTPRequestHandler]]]:
    """What a server at this URL was asked, and answered so."""
    asked: list[http.server.BaseHTTPRequestHandler] = []

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self)
            answer(self)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def run(shell: str, *asked: RouteProbe) -> tuple[list[Any], str]:
    """The answers, and all that was printed."""
    done = subprocess.run(
        [shell, "-s"],
        input=whole(f"(\n{RouteProbe.script(asked)}\n)").encode(),
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stderr == b""
    facts = read(list(asked), framed(asked[0], done.stdout.decode(), status=done.returncode))
    return [outcome(facts, probe) for probe in asked], done.stdout.decode()


def says(text: bytes, kind: str = "application/json") -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.end_headers()
        request.wfile.write(text)

    return answer


@needs_curl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_secrets_come_through_as_they_are(shell: str) -> None:
    """Whatever signs they have; and they are in no word that is printed."""
    odd = "a\\\"'`$(id)$HOME;#%\\n &|<>*?{}~"
    with serving(says(b"{}")) as (url, asked):
        route = RouteProbe("r", f"{url}/v1/models", (("X-Token", Secret(odd)),), Secret(f"nova:{odd}é"), seconds=10)
        ((reached,), printed) = run(shell, route)
    assert (reached.exit_code, reached.http_status, reached.body, reached.stream) == (0, 200, "{}", None)
    (request,) = asked
    assert request.headers["X-Token"] == odd
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode() == f"nova:{odd}é"
    assert (request.path, request.request_version) == ("/v1/models", "HTTP/1.1")
    assert odd not in printed


@needs_curl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_listener_is_asked_under_the_name(shell: str) -> None:
    """A name that DNS does not know; and the device of one's own loopback will do, one that is not there will not."""
    with serving(says(b"{}")) as (url, asked):
        place = url.removeprefix("http://")
        through = RouteProbe("t", "http://api.invalid:8080/v1", seconds=10, connect_to=place)
        device, missing = (
            RouteProbe("d", f"{url}/d", seconds=10, interface="lo"),
            RouteProbe("m", f"{url}/m", seconds=10, interface="vpn-none"),
        )
        direct = RouteProbe("a", f"{url}/a", seconds=10, bypass=True)
        ((tunnelled, by_device, unbound, plain), _) = run(shell, through, device, missing, direct)
    assert {request.path: request.headers["Host"] for request in asked} == {"/v1": "api.invalid:8080", "/d": place, "/a": place}
    assert (tunnelled.http_status, tunnelled.addresses, tunnelled.device) == (200, ("127.0.0.1",), "")
    assert (by_device.http_status, unbound.exit_code) == (200, 45)
    assert (plain.http_status, plain.local_address, plain.bypassed) == (200, "", False)
    assert plain.device in {"lo", ""}, "a machine without ip says nothing"


@needs_curl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_a_server_sends_back_is_not_shown(shell: str) -> None:
    login = base64.b64encode(b"nova:pw-1").decode()
    with serving(says(f"Bearer sk-1 {login} pw-1 é".encode(), "text/plain")) as (url, _):
        ((reached,), _) = run(shell, RouteProbe("r", url, (("X-Key", Secret("Bearer sk-1")),), Secret("nova:pw-1"), seconds=10))
    assert reached.body == "[secret] [secret] [secret] é"


@needs_curl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_stream_and_a_lump(shell: str) -> None:
    """The same events, apart and together; a route that refuses and an empty one beside them, all at once."""
    events = [f"data: {json.dumps({'n': n, 'x': 'y' * 200})}\n\n".encode() for n in range(15)]
    assert len(b"".join(events)) < 4096, "a pipe's reader gets more than that in two parts"

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        if request.command == "GET":
            says(b"{}")(request)
            return
        assert json.loads(request.rfile.read(int(request.headers["Content-Length"]))) == {"stream": True, "say": "“'\"\\"}
        says(b"", "text/event-stream")(request)
        if request.path == "/lump":
            request.wfile.write(b"".join(events))
        for event in events[:5] if request.path == "/stream" else ():
            request.wfile.write(event)
            time.sleep(0.2)

    with serving(answer) as (url, _):
        body = json.dumps({"stream": True, "say": "“'\"\\"})
        asked = [RouteProbe(name, url, (), None, f"{url}/{name}", body, seconds=10) for name in ("stream", "lump", "empty")]
        answers, _ = run(shell, *asked, RouteProbe("refused", "http://127.0.0.1:1/", seconds=10))
    streamed, lump, empty = (answer.stream for answer in answers[:3])
    assert (len(streamed.events), arrivals(streamed.events)) == (5, 5)
    assert streamed.content_type == "text/event-stream"
    assert streamed.events[-1] - streamed.events[0] > 600
    assert (len(lump.events), arrivals(lump.events)) == (15, 1)
    assert (empty.events, empty.status, empty.exit_code) == ((), 200, 0)
    assert (answers[3].exit_code, answers[3].refusals, answers[3].http_status) == (7, ("Connection refused",), None)


@needs_curl
@pytest.mark.parametrize("status", [401, 302, 500])
def test_no_stream_is_asked_for_where_the_first_answer_was_no_good_one(status: int) -> None:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.end_headers()

    with serving(answer) as (url, asked):
        ((reached,), _) = run("dash", RouteProbe("r", url, (), None, url, "{}", seconds=10))
    assert (reached.http_status, reached.stream, [request.command for request in asked]) == (status, None, ["GET"])


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_shell_says_that_there_is_no_curl(shell: str) -> None:
    script = f"command() {{ return 1; }}\n{RouteProbe.script([PROBE])}"
    done = subprocess.run([shell, "-s"], input=script.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (NO_CURL, b"", b"")
