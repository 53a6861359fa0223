"""The client against the stand-in, in this process: a real server on 127.0.0.1, with each fault."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from novaops.errors import HostFailed
from novaops.features.eve.api_answer import Answer, ApiFailed, LoginRefused, NotThere, SessionTaken
from novaops.features.eve.api_client import EveApi
from novaops.features.eve.lab_run import node_limit
from novaops.secret import Secret
from tests.support.eve import StandIn, needs_qemu, self_signed
from tests.support.eve_standin.state import Fault

pytestmark = needs_qemu


@pytest.fixture(params=["community", "pro"])
def standin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandIn]:
    made = StandIn(tmp_path / "unetlab", request.param)
    yield made
    made.close()


@pytest.fixture
def community(tmp_path: Path) -> Iterator[StandIn]:
    made = StandIn(tmp_path / "unetlab")
    yield made
    made.close()


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def client(warned: list[str]) -> Callable[[StandIn], EveApi]:
    def make(standin: StandIn, password: str = "eve", timeout: float = 10.0) -> EveApi:  # noqa: S107 - the stand-in's
        certificate = standin.certificate.read_text() if standin.eve.edition == "pro" else ""
        return EveApi(standin.url, "admin", Secret(password), certificate=certificate, timeout=timeout, warn=warned.append)

    return make


def test_a_lab_is_made_and_deleted(standin: StandIn, client: Callable[..., EveApi]) -> None:
    standin.image("linux-guest")
    with client(standin) as api:
        assert api.lab("/my labs/a b.unl") is None
        api.create_lab("/my labs", "a b", author="novaops")
        found = api.lab("/my labs/a b.unl")
        assert found
        assert found["author"] == "novaops"
        path = "/my labs/a b.unl"
        one, two = (api.add_node(path, {"template": "linux", "name": name}) for name in ("r1", "r2"))
        network = api.add_network(path, "r1-r2", "bridge")
        api.connect(path, one, 1, network)
        api.connect(path, two, 0, network)
        api.hide_network(path, network)
        assert [found["network_id"] for found in api.interfaces(path, one).values()] == [0, network, 0, 0]
        assert api.networks(path)[network]["visibility"] == 0
        api.delete_network(path, network)
        api.delete_node(path, two)
        assert list(api.nodes(path)) == [one]
        assert api.networks(path) == {}
        assert api.templates()["vyos"].endswith(".missing")
        assert not api.templates()["linux"].endswith(".missing")
        assert list(api.template("linux")["options"]["image"]["list"]) == ["linux-guest"]
        api.delete_lab(path)
        assert standin.eve.labs == {}
    assert standin.eve.sessions == {}, "it has logged out"


def test_interfaces_keep_the_numbers_that_eve_ng_gives_them(community: StandIn, client: Callable[..., EveApi]) -> None:
    path = "/a.unl"
    with client(community) as api:
        api.create_lab("/", "a", author="novaops")
        node = api.add_node(path, {"template": "iol", "type": "iol", "name": "r1", "ethernet": 2})
        api.connect(path, node, 16, api.add_network(path, "r1-r2", "bridge"))
        found = {number: (one["name"], one["network_id"]) for number, one in api.interfaces(path, node).items()}
        assert list(found.items())[:3] == [(0, ("e0/0", 0)), (16, ("e0/1", 1)), (32, ("e0/2", 0))]


def test_a_node_is_stopped_in_each_edition_way(standin: StandIn, client: Callable[..., EveApi]) -> None:
    standin.image("linux-guest")
    with client(standin) as api:
        api.create_lab("/", "a")
        node = api.add_node("/a.unl", {"template": "linux"})
        api.start_node("/a.unl", node)
        assert api.nodes("/a.unl")[node]["status"] == 2
        api.stop_node("/a.unl", node)
        assert api.nodes("/a.unl")[node]["status"] == 0


def test_a_wrong_password_is_said_and_not_shown(standin: StandIn, client: Callable[..., EveApi]) -> None:
    with pytest.raises(ApiFailed, match="did not let admin log in") as caught, client(standin, "wr0ng-secret"):
        pass
    assert "wr0ng-secret" not in str(caught.value)
    assert "90014" in caught.value.why


def test_200_with_fail_is_a_failure(community: StandIn, client: Callable[..., EveApi]) -> None:
    with client(community) as api:
        community.eve.faults.append(Fault("GET /api/status", "fail"))
        with pytest.raises(ApiFailed, match="refused GET /api/status") as caught:
            api.status()
    assert caught.value.why == "Failed to do that (12)."


def test_a_session_that_another_login_has_ended_is_opened_once_more(
    standin: StandIn, client: Callable[..., EveApi], warned: list[str]
) -> None:
    with client(standin) as api:
        standin.eve.login({"username": "admin", "password": "eve", "html5": -1})
        assert api.status()["version"]
        assert len(warned) == 1
        assert "another login" in warned[0]


def test_a_session_that_is_taken_each_time_is_said(standin: StandIn, client: Callable[..., EveApi]) -> None:
    with client(standin) as api:
        standin.eve.faults.append(Fault("GET /api/status", "logged-out"))
        with pytest.raises(SessionTaken, match="somebody else is logged in as admin"):
            api.status()
        assert standin.eve.calls.count("POST /api/auth/login") == 2


def test_a_page_of_html_is_no_answer(community: StandIn, client: Callable[..., EveApi]) -> None:
    with client(community) as api:
        community.eve.faults.append(Fault("GET /api/status", "html"))
        with pytest.raises(ApiFailed) as caught:
            api.status()
    assert 'a page of HTML named "EVE | Login"' in caught.value.why


def test_a_server_that_says_nothing(community: StandIn, client: Callable[..., EveApi]) -> None:
    with client(community, timeout=0.3) as api:
        slow = Fault("GET /api/status", "slow")
        community.eve.faults.append(slow)
        with pytest.raises(ApiFailed, match=r"did not answer GET /api/status within 0.3 s"):
            api.status()
        slow.until.set()


def test_a_server_that_hangs_up(community: StandIn, client: Callable[..., EveApi]) -> None:
    with client(community) as api:
        community.eve.faults.append(Fault("GET /api/status", "drop"))
        with pytest.raises(ApiFailed, match="cannot be asked"):
            api.status()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ApiFailed), EveApi(f"http://127.0.0.1:{port}", "admin", Secret("eve")):
        pass


def test_why_the_way_is_closed_is_said_where_it_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    known = HostFailed("it forwards to no port")
    with (
        pytest.raises(HostFailed, match="forwards to no port"),
        EveApi(f"http://127.0.0.1:{port}", "admin", Secret("eve"), trouble=lambda: known),
    ):
        pass


def test_a_certificate_other_than_the_one_that_was_read_is_refused(tmp_path: Path) -> None:
    standin = StandIn(tmp_path / "unetlab", "pro")
    other = tmp_path / "other"
    other.mkdir()
    certificate, _ = self_signed(other)
    try:
        with (
            pytest.raises(ApiFailed, match="cannot be asked"),
            EveApi(standin.url, "admin", Secret("eve"), certificate=certificate.read_text()),
        ):
            pass
        assert standin.eve.calls == [], "nothing was sent to it"
    finally:
        standin.close()


def test_http_that_leads_to_https_is_said(tmp_path: Path) -> None:
    standin = StandIn(tmp_path / "unetlab", "pro")
    try:
        with pytest.raises(ApiFailed) as caught, EveApi(f"http://127.0.0.1:{standin.servers[1].port}", "admin", Secret("eve")):
            pass
        assert f"https://127.0.0.1:{standin.port}/api/auth/login" in caught.value.why
    finally:
        standin.close()


def test_the_limit_of_running_nodes_is_eve_ng_s_own_word(community: StandIn, client: Callable[..., EveApi]) -> None:
    community.image("linux-guest")
    community.eve.limit = 0
    with client(community) as api:
        api.create_lab("/", "a")
        node = api.add_node("/a.unl", {"template": "linux"})
        with pytest.raises(ApiFailed) as caught:
            api.start_node("/a.unl", node)
    assert "limit of 0" in caught.value.why


@pytest.mark.parametrize(
    ("version", "licensed", "limit"),
    [
        ("6.2.0-4", False, 63),
        ("6.2.0-4", True, 63),
        ("7.2.0-4-PRO", False, 7),
        ("7.2.0-4-PRO", True, 1024),
        ("5.0.1-24", False, 63),
        ("6.5.0-27-PRO", False, 1024),
    ],
)
def test_how_many_nodes_run_at_once(version: str, limit: int, *, licensed: bool) -> None:
    from novaops.features.eve.api_paths import Flavour

    assert node_limit(Flavour(version), licensed=licensed) == limit


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"code": 404, "status": "fail", "message": "Lab does not exist (60038)."}', NotThere),
        (400, b'{"code": 400, "status": "fail", "message": "no"}', ApiFailed),
        (500, b'{"code": 500, "status": "error", "message": "no"}', ApiFailed),
        (500, b'{"code": 500, "status": "success", "message": "no"}', ApiFailed),
        (200, b"[]", ApiFailed),
        (200, b"", ApiFailed),
        (200, b"\xff\xfe", ApiFailed),
        (502, b"<html><TITLE>Bad\ngateway</TITLE></html>", ApiFailed),
    ],
)
def test_what_is_no_success(status: int, body: bytes, error: type[ApiFailed]) -> None:
    with pytest.raises(error) as caught:
        Answer("GET /api/x", status, "text/html", body).data()
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("status", "body", "logged_out"),
    [
        (401, b"", True),
        (412, b"{}", True),
        (200, b'{"status": "unauthorized"}', True),
        (200, b'{"status": "success"}', False),
        (400, b"", False),
    ],
)
def test_what_a_session_that_ended_looks_like(status: int, body: bytes, *, logged_out: bool) -> None:
    assert Answer("GET /api/x", status, "", body).logged_out is logged_out


@pytest.mark.parametrize(
    ("status", "envelope", "message", "denies"),
    [
        (400, "fail", "Authentication failed: invalid username or password (90014).", True),
        (200, "fail", "Authentication failed: invalid username or password (90014).", True),
        (401, "unauthorized", "Wrong password.", True),
        (403, "forbidden", "Invalid password for admin.", True),
        (500, "fail", "Cannot connect to the database (90003).", False),
        (500, "error", "Authentication failed (90014).", False),
        (503, "fail", "maintenance", False),
        (400, "fail", "Invalid request", False),
        (400, "fail", "Missing parameter html5 (90016).", False),
        (412, "unauthorized", "User is not authenticated or session timed out (90001).", False),
        (200, "success", "Your password ends soon.", False),
    ],
)
def test_what_says_that_user_or_password_are_wrong(status: int, envelope: str, message: str, *, denies: bool) -> None:
    body = json.dumps({"code": status, "status": envelope, "message": message}).encode()
    assert Answer("POST /api/auth/login", status, "application/json", body).denies_login == denies


def test_a_server_in_trouble_has_refused_no_password(community: StandIn, client: Callable[..., EveApi]) -> None:
    community.eve.faults.append(Fault("POST /api/auth/login", "fail"))
    with pytest.raises(ApiFailed, match="refused POST /api/auth/login") as caught, client(community, "wrong"):
        pass
    assert not isinstance(caught.value, LoginRefused)
