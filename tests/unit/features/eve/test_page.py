"""Whether EVE-NG's page works, as a real shell and curl find it on 127.0.0.1."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from novaops.errors import HostFailed
from novaops.features.eve.facts.page import PageSays
from novaops.features.eve.resources.page import PageAnswers
from novaops.model.question import Facts, Missing, Section
from tests.support.eve import StandIn, needs_qemu
from tests.support.eve_standin.state import Fault


def said(*lines: str) -> str | Missing:
    return PageSays.parse_one(Section("\n".join(lines), "", 0))


def jsend(status: str, message: str) -> str:
    return json.dumps({"code": 1, "status": status, "message": message})


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("0", "412", jsend("unauthorized", "not logged in (90001)")), ""),
        (("0", "401", jsend("unauthorized", "not logged in (90001)")), ""),
        (
            ("0", "500", jsend("fail", "Cannot connect to the database (90003)")),
            "It said Cannot connect to the database (90003) with",
        ),
        (("0", "200", jsend("success", "")), "It sent"),
        (("0", "412", "<html><title>Precondition</title>"), 'It sent a page of HTML named "Precondition" with HTTP 412.'),
        (("0", "401", ""), "It sent nothing with HTTP 401."),
        (("7", "000", "curl: (7) Failed to connect to 127.0.0.1 port 80"), "000 curl: (7) Failed to connect to 127.0.0.1 port 80."),
        (("28", "", ""), "curl ended with 28."),
        (("no curl",), "The host has no curl to ask it with."),
        (("sh: syntax error",), Missing.UNKNOWN),
        (("",), Missing.UNKNOWN),
    ],
)
def test_what_it_says(lines: tuple[str, ...], why: str | Missing) -> None:
    found = said(*lines)
    assert isinstance(found, Missing) if isinstance(why, Missing) else str(found).startswith(why)
    assert (found == "") == (why == "")


@needs_qemu
@pytest.mark.parametrize(
    ("edition", "fault", "works"), [("community", "", True), ("pro", "", True), ("pro", "html", False), ("pro", "drop", False)]
)
def test_of_a_page(edition: str, fault: str, tmp_path: Path, *, works: bool) -> None:
    standin = StandIn(tmp_path / "unetlab", edition)
    try:
        standin.eve.faults += [Fault("GET /api/status", fault)] if fault else []
        script = PageSays.script_one()
        ports = {
            "https://127.0.0.1": f"https://127.0.0.1:{standin.port}",
            "http://127.0.0.1;": f"http://127.0.0.1:{standin.servers[-1].port};",
        }
        for old, new in ports.items():
            script = script.replace(old, new)
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        found = PageSays.parse_one(Section(done.stdout, "", 0))
        assert (found == "") == works
    finally:
        standin.close()


def test_a_page_that_does_not_work_is_no_success() -> None:
    PageAnswers().verify_works(Facts({PageSays(): ""}, {}))
    with pytest.raises(HostFailed, match="its API does not answer as it should") as caught:
        PageAnswers().verify_works(Facts({PageSays(): "It sent nothing with HTTP 500."}, {}))
    assert caught.value.why == "It sent nothing with HTTP 500."
