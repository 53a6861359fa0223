"""Documents of --json become one: all hosts, each once, the code of the whole, and nothing that is missing goes unsaid."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.app import run
from novaops.engine import merge, report
from novaops.engine.report import HostReport, ReportLine
from novaops.errors import HostFailed, Unreachable, UsageError
from novaops.model.plan import Change, Note

LINE = ReportLine("file:/etc/x", "changed", (Change("mode", "0644", "0600"), Change("content", "a\nb\n", "a\nc\n")), "lockout")
REPORTS = [
    HostReport("a", "changed", (LINE,), (Note("file:/etc/x", "is worth saying"),), execs=3, logins=1),
    HostReport("b", "unchanged", (ReportLine("file:/etc/x", "unchanged"),), execs=1),
    HostReport("c", "unreachable", error=Unreachable("no route", why="none", fix="wake it")),
    HostReport("d", "failed", (ReportLine("file:/etc/x", "failed"), ReportLine("file:/etc/y", "skipped")), error=HostFailed("it broke")),
]


def part(file: str, data: Mapping[str, Any]) -> merge.Part:
    return merge.Part(file, data, merge._Document.model_validate(data))


def shard(number: int, total: int, *reports: HostReport) -> merge.Part:
    return part(f"{number}.json", {**report.as_json(reports), "shard": f"{number}/{total}"})


def test_the_whole_is_what_one_command_says() -> None:
    parts = [part(str(number), report.as_json([one])) for number, one in enumerate(REPORTS)]
    for some in itertools.permutations(parts):
        merged = merge.merge(some, "abcd")
        assert merged == report.as_json(REPORTS)
    assert list(report.lines(merge.reports(merged))) == list(report.lines(REPORTS))
    assert report.summary(merge.reports(merged)) == report.summary(REPORTS)


def test_without_an_inventory_the_order_is_that_of_the_files() -> None:
    parts = [part(one.host, report.as_json([one])) for one in reversed(REPORTS)]
    assert [host["host"] for host in merge.merge(parts, ())["hosts"]] == ["d", "c", "b", "a"]
    assert [host["host"] for host in merge.merge(parts, "xb")["hosts"]] == ["b", "d", "c", "a"]


@pytest.mark.parametrize(
    ("codes", "code"),
    [([0, 0], 0), ([0, 3], 3), ([3, 5], 5), ([5, 4], 4), ([4, 1], 1), ([1, 130], 130), ([130, 2], 2), ([0, 77], 1), ([], 0)],
)
def test_the_code_of_the_whole(codes: list[int], code: int) -> None:
    parts = [part(str(number), {"hosts": [], "exit_code": one}) for number, one in enumerate(codes)]
    assert merge.merge(parts, ())["exit_code"] == code


def test_a_host_that_is_there_twice_is_an_error() -> None:
    parts = [part("x.json", report.as_json(REPORTS[:2])), part("y.json", report.as_json(REPORTS[1:]))]
    with pytest.raises(UsageError) as error:
        merge.merge(parts, ())
    assert error.value.what == "b is in x.json and in y.json"


def test_a_shard_that_is_missing_is_said() -> None:
    merged = merge.merge([shard(1, 4, REPORTS[0]), shard(3, 4, REPORTS[1])], ())
    assert merged["exit_code"] == 1
    assert [error["what"] for error in merged["errors"]] == ["shard 2/4 is missing", "shard 4/4 is missing"]
    assert [error.what for error in merge.errors(merged)] == ["shard 2/4 is missing", "shard 4/4 is missing"]
    whole = merge.merge([shard(n, 2) for n in (2, 1)], ())
    assert ("errors" in whole, whole["exit_code"]) == (False, 0)


@pytest.mark.parametrize(
    ("shards", "what"),
    [([(1, 2), (1, 2)], "shard 1/2 is there twice"), ([(1, 2), (2, 3)], "the shards are of different totals: 1/2, 2/3")],
)
def test_shards_that_do_not_fit(shards: list[tuple[int, int]], what: str) -> None:
    with pytest.raises(UsageError) as error:
        merge.merge([shard(*one) for one in shards], ())
    assert error.value.what == what


def test_shards_of_a_run_and_of_a_plan_are_not_merged() -> None:
    plan = HostReport("p", "would_change")
    with pytest.raises(UsageError) as error:
        merge.merge([shard(1, 2, REPORTS[0], REPORTS[1]), shard(2, 2, plan)], ())
    assert error.value.what == "1.json is of a run, and 2.json of plan or --check"
    parts = [part("x", report.as_json([REPORTS[0]])), part("y", report.as_json([plan]))]
    assert merge.merge(parts, ())["exit_code"] == 3, "no shards: different commands may be merged"


def test_what_was_merged_before_keeps_its_reasons() -> None:
    once = merge.merge([shard(1, 2), part("x.json", report.no_hosts_json(UsageError("wrong")))], ())
    again = merge.merge([part("once.json", once), part("y.json", report.as_json(REPORTS[:1]))], ())
    assert again["exit_code"] == 2
    assert [(error["file"], error["what"]) for error in again["errors"]] == [("x.json", "wrong"), ("once.json", "shard 2/2 is missing")]
    assert merge.junit(again).count(b"<error ") == 2


def test_what_contacted_nobody_is_said() -> None:
    merged = merge.merge([part("x.json", report.no_hosts_json(UsageError("wrong", fix="do"))), part("y", report.as_json(REPORTS[:1]))], ())
    assert (merged["exit_code"], [host["host"] for host in merged["hosts"]]) == (2, ["a"])
    assert [(error.what, error.fix) for error in merge.errors(merged)] == [("x.json: wrong", "do")]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", '{"hosts": []}', '{"hosts": [{"host": "a"}], "exit_code": 0}', "[" * 100_000, "\xff"),
        '{"hosts": [{"host": "a", "address": "x", "sections": []}], "exit_code": 0}',
        '{"hosts": [{"host": "a", "status": "fine", "steps": []}], "exit_code": 0}',
        '{"hosts": [], "exit_code": 0, "shard": "2"}',
    ],
)
def test_what_is_no_report(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError):
        merge.merge([merge.read(file)], ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_report_that_powershell_wrote(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(report.as_json(REPORTS[:1])), encoding)
    assert [host["host"] for host in merge.merge([merge.read(file)], ())["hosts"]] == ["a"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        merge.read(tmp_path / "none.json")


# -- JUnit ------------------------------------------------------------------------------------------------------------


def test_junit_has_a_case_for_each_resource() -> None:
    root = ET.fromstring(merge.junit(merge.merge([part("x", report.as_json(REPORTS)), shard(1, 2)], ())))  # noqa: S314 - ours
    suites = {suite.get("name"): suite for suite in root}
    counts = {
        name: (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) for name, suite in suites.items()
    }
    assert counts == {
        "a": ("1", "0", "0", "0"),
        "b": ("1", "0", "0", "0"),
        "c": ("1", "0", "1", "0"),
        "d": ("3", "1", "1", "1"),
        "novaops": ("1", "0", "1", "0"),
    }
    error = suites["c"].find("testcase/error")
    assert error is not None
    assert (error.get("type"), error.get("message"), error.text) == ("unreachable", "no route", "none\nwake it")


@given(st.text(), st.text())
def test_junit_can_be_read_whatever_a_host_says(name: str, said: str) -> None:
    hostile = HostReport(name, "failed", (ReportLine(said, "failed"),), error=HostFailed(said, why=said))
    ET.fromstring(merge.junit(report.as_json([hostile])))  # noqa: S314 - ours


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory.yaml").write_text("hosts: {a: {}, b: {}, c: {}, d: {}}\n")
    for number, one in enumerate(REPORTS, 1):
        (tmp_path / f"{number}.json").write_text(json.dumps({**report.as_json([one]), "shard": f"{number}/4"}))
    files = [f"{number}.json" for number in (4, 2, 3, 1)]
    assert run(["report", "merge", *files, "--json", "--junit", "out.xml"]) == 1
    assert [host["host"] for host in json.loads(capfd.readouterr().out)["hosts"]] == ["a", "b", "c", "d"]
    assert ET.parse(tmp_path / "out.xml").getroot().tag == "testsuites"  # noqa: S314 - ours
    assert run(["report", "merge", *files[:3]]) == 1
    out = capfd.readouterr().out
    assert "✘ d  failed: it broke" in out
    assert "✘ shard 1/4 is missing" in out
    assert out.endswith("3 hosts: 1 unchanged, 1 unreachable, 1 failed (1 exec)\n")
    assert run(["report", "merge", "1.json", "1.json", "--junit", "none/out.xml"]) == 2
    assert run(["report", "merge", "1.json", "1.json"]) == 2
    assert "a is in 1.json and in 1.json" in capfd.readouterr().err


def test_a_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1.json").write_text(json.dumps(report.as_json(REPORTS[:1])))
    assert run(["report", "merge", "1.json", "--limit", "b"]) == 2
    assert "--limit does not go with report merge" in capfd.readouterr().err


def test_an_error_may_have_no_reason() -> None:
    host = {"host": "a", "status": "failed", "steps": [], "error": {"code": "x", "what": "it broke"}}
    merged = merge.merge([part("x", {"hosts": [host], "exit_code": 1})], ())
    assert b'message="it broke"' in merge.junit(merged)


def document(code: int, status: str, step: str | None = None, **more: Any) -> dict[str, Any]:
    steps = [{"resource": "file:/x", "status": step, **more}] if step else []
    return {"hosts": [{"host": "a", "status": status, "steps": steps}], "exit_code": code}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (document(3, "failed"), 1),
        (document(4, "unknown"), 1),
        (document(3, "failed", "failed"), 1),
        (document(3, "unreachable", "unchanged", check="is there"), 5),
        (document(3, "failed", "failed", check="is there"), 3),
        (document(0, "failed", "failed", check="is there"), 1),
        (document(0, "unchanged", "failed"), 1),
        (document(0, "changed", "skipped"), 0),
        (document(4, "refused", "rolled_back"), 4),
    ],
)
def test_the_code_is_never_better_than_the_hosts(data: dict[str, Any], code: int) -> None:
    assert merge.merge([part("x", data)], ())["exit_code"] == code


@pytest.mark.parametrize("one", REPORTS[2:], ids=lambda one: one.status)
def test_that_all_is_well_is_believed_of_no_document_whose_hosts_say_otherwise(one: HostReport) -> None:
    assert merge.merge([part("a", {**report.as_json([one]), "exit_code": 0})], ())["exit_code"] == one.exit_code
