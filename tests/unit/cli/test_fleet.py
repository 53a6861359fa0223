"""Many hosts from the command line: --limit, --serial, --stop-after, --shard, and what is said of them."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.cli import output
from novaops.engine import dask_client, last_run, report
from novaops.engine.report import HostReport
from novaops.errors import UsageError
from novaops.features.host import trust
from novaops.ssh.target import Target
from novaops.verify import runner

FILE = "{path: /etc/x, content: x, then: ''}"
TUNNEL = "[{name: api, via: gate, via_address: '192.0.2.9:22', to: 'api.example.com:443', listen: '127.0.0.1:8443'}]"
DISK = "[{path: /mnt/data}]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve hosts whose port refuses every connection, each with an address of its own; three of them are a group of peers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts = "".join(f"  web{n}: {{address: 127.0.1.{n}, disk: {DISK}, groups: [web]}}\n" for n in range(9))
    hosts += f"  left: {{address: 127.0.2.1, tunnel: {TUNNEL}}}\n  right: {{address: 127.0.2.2, tunnel: {TUNNEL}}}\n"
    hosts += f"  gate: {{address: 127.0.2.3, disk: {DISK}}}\n"
    (tmp_path / "inventory.yaml").write_text(f"defaults: {{port: {port}, known_hosts: known, user: root}}\nhosts:\n{hosts}")
    (tmp_path / "known").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def call(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = run([*words, "--json", "--timeout", "2"])
    return code, json.loads(capfd.readouterr().out)


def names(document: Any) -> list[str]:
    return [host["host"] for host in document["hosts"]]


@pytest.mark.usefixtures("folder")
def test_what_failed_is_run_again(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(capfd, "plan", "--limit", "@failed")[1]["error"]["what"] == "--limit @failed: no run with inventory.yaml is remembered"
    call(capfd, "plan", "web1")
    assert call(capfd, "plan", "--limit", "@failed")[0] == 2, "a plan is no run"
    assert call(capfd, "apply", "web3", "web1")[0] == 5
    code, document = call(capfd, "apply", "--limit", "@failed")
    assert (code, names(document)) == (5, ["web1", "web3"])
    last_run.record("inventory.yaml", [HostReport("web1", "changed")])
    assert names(call(capfd, "disk", "ls", "--limit", "@failed")[1]) == ["web3"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["apply", "web1", "--limit", "web2"], "--limit web2 leaves no host"),
        (["apply", "--limit", ""], "there is an empty word after --limit"),
        (["apply", "--limit", "nosuch"], "inventory.yaml has no host or group nosuch"),
        (["apply", "--serial", "0"], '--serial "0" is no size of a batch'),
        (["apply", "--serial", "120%"], '--serial "120%" is no size of a batch'),
        (["apply", "--shard", "3/2"], '--shard "3/2" is no shard'),
        (["undo", "web", "--shard", "x"], '--shard "x" is no shard'),
        (["verify", "--shard", "0/2"], '--shard "0/2" is no shard'),
        (["apply", "@failed"], "@failed is no host"),
        (["--limit", "web1", "plan", "--limit", "web2"], "--limit is given twice"),
        (["apply", "--limit=web1", "--limit", "web1"], "--limit is given twice"),
        (["apply", "--shard", "1/2", "--shard", "2/2"], "--shard is given twice"),
        (["verify", "--only=disk", "--only", "tunnel"], "--only is given twice"),
    ],
)
def test_a_wrong_word_contacts_nobody(words: list[str], what: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, document = call(capfd, *words)
    assert (code, document["hosts"], document["error"]["what"]) == (2, [], what)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", [("apply",), ("plan",), ("undo", "web"), ("disk", "mount", "web", "--path", "/mnt/data")])
def test_shards_divide_the_hosts(verb: Sequence[str], capfd: pytest.CaptureFixture[str]) -> None:
    whole = names(call(capfd, *verb)[1])
    parts = [call(capfd, *verb, "--shard", f"{number}/3")[1] for number in (1, 2, 3)]
    assert [part["shard"] for part in parts] == ["1/3", "2/3", "3/3"]
    assert sorted(name for part in parts for name in names(part)) == sorted(whole)
    assert all(names(part) == [name for name in whole if name in names(part)] for part in parts)
    assert sum(bool(part["hosts"]) for part in parts) > 1
    if verb[0] in {"apply", "plan"}:
        assert any({"left", "right", "gate"} <= set(names(part)) for part in parts), "peers stay together"


@pytest.mark.parametrize("verb", [("apply",), ("plan",), ("undo", "web")])
def test_the_names_of_one_host_are_in_one_shard(verb: Sequence[str], folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Else two machines would work on it at the same time."""
    with (folder / "inventory.yaml").open("a") as inventory:
        inventory.writelines(f"  twin{n}: {{address: 127.0.1.{n}, disk: {DISK}, groups: [web]}}\n" for n in range(9))
    parts = [set(names(call(capfd, *verb, "--shard", f"{number}/3")[1])) for number in (1, 2, 3)]
    assert sum(map(bool, parts)) > 1
    assert sorted(f"web{n}" for part in parts for n in range(9) if {f"web{n}", f"twin{n}"} <= part) == [f"web{n}" for n in range(9)]


@pytest.mark.usefixtures("folder")
def test_the_workers_document_says_which_shard_it_is_of(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Without that nobody would miss another shard."""
    limits: list[str | None] = []

    def run_there(_: object, batch: Any, groups: Any, __: object) -> Any:
        limits.append(batch["limit"])
        reports = [HostReport(name, "unchanged") for group in groups for name in group]
        return dask_client.Command(None, lambda *_: None, {}, documents=[report.as_json(reports)])

    monkeypatch.setattr(dask_client, "run", run_there)
    words = ("apply", "--limit", "web1", "--executor", "dask://127.0.0.1:1", "--shard")
    found = [call(capfd, *words, shard) for shard in ("1/2", "2/2")]
    assert [(code, document["shard"]) for code, document in found] == [(0, "1/2"), (0, "2/2")]
    assert sorted(names(document) for _, document in found) == [[], ["web1"]]
    assert sorted(limits, key=str) == [None, "web1"]
    assert run([*words, "1/2"]) == 0
    assert capfd.readouterr().out.endswith(" execs), shard 1/2\n")


@pytest.mark.usefixtures("folder")
def test_verify_has_shards_and_limits(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    asked: list[list[str]] = []

    def verify(targets: Sequence[Target], *_: object, **__: object) -> None:
        asked.append([target.name for target in targets])
        raise UsageError("far enough")

    monkeypatch.setattr(runner, "verify", verify)
    for words in ([], ["--shard", "1/2"], ["--shard", "2/2"], ["--limit", "web2"]):
        assert call(capfd, "verify", *words)[1]["error"]["what"] == "far enough"
    whole, first, second, limited = asked
    assert (sorted(first + second), limited) == (sorted(whole), ["web2"])
    assert first
    assert second


def test_a_host_that_nothing_verifies_is_in_the_document(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (folder / "inventory.yaml").open("a") as inventory:
        inventory.write("  m3: {things: [{path: /etc/x, content: x}]}\n")
    (folder / "playbooks").mkdir()
    shutil.copyfile(Path(__file__).parents[2] / "support/playbooks/things.py", folder / "playbooks/things.py")
    _, document = call(capfd, "verify")
    assert names(document)[-1] == "m3"
    last = document["hosts"][-1]
    assert (last["notes"], last["steps"], last["rebooted"]) == (
        [{"resource": "things", "text": "not verified: there is no check for things"}],
        [],
        False,
    )
    parts = [call(capfd, "verify", "--shard", f"{number}/2")[1] for number in (1, 2)]
    assert sum("m3" in names(part) for part in parts) == 1


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, tuple(map(int, sys.argv[1:3])))
from novaops.app import run
code = run(sys.argv[3:])
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", ["plan", "verify"])
@pytest.mark.parametrize(
    ("limits", "parallel", "code", "soft"),
    [((80, 4096), 12, 5, 160), ((80, 130), 12, 5, 130), ((80, 100), 12, 2, 80), ((80, 100), 9, 5, 100), ((600, 600), 500, 5, 600)],
)
def test_so_many_hosts_at_once_have_their_descriptors(verb: str, limits: tuple[int, int], parallel: int, code: int, soft: int) -> None:
    words = [sys.executable, "-c", LIMITED, *map(str, limits), verb, "--timeout", "2", "--json", "--parallel", str(parallel)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (code, str(soft))
    if code == 2:
        assert document["error"]["what"] == "12 hosts at once need 112 open files, and a process may have 100 here"
        assert document["error"]["fix"].startswith("--parallel 9,")
    else:
        assert {host["status"] for host in document["hosts"]} == {"unreachable"}


@pytest.mark.usefixtures("folder")
def test_a_shard_without_hosts_is_right(capfd: pytest.CaptureFixture[str]) -> None:
    found = [call(capfd, "plan", "web1", "--shard", f"{number}/2") for number in (1, 2)]
    assert sorted((code, names(document)) for code, document in found) == [(0, []), (5, ["web1"])]
    assert run(["plan", "web1", "--shard", "1/2", "--timeout", "2"]) in {0, 5}
    assert run(["plan", "web1", "--shard", "2/2", "--timeout", "2"]) in {0, 5}
    assert "\n0 hosts (0 execs, 0.0 s), shard " in "\n" + capfd.readouterr().out


@pytest.mark.usefixtures("folder")
def test_none_is_begun_after_the_first_failure(capfd: pytest.CaptureFixture[str]) -> None:
    code, document = call(capfd, "apply", "web", "--serial", "2", "--stop-after", "1", "--parallel", "1")
    statuses = [host["status"] for host in document["hosts"]]
    assert (code, statuses) == (1, ["unreachable"] + ["not_begun"] * 8)
    assert document["hosts"][1]["error"]["code"] == "not-begun"
    assert last_run.failed("inventory.yaml") == ["web0"]


@pytest.mark.usefixtures("folder")
def test_the_reports_of_two_batches_are_in_the_order_of_the_inventory(capfd: pytest.CaptureFixture[str]) -> None:
    _, document = call(capfd, "apply", "--serial", "25%")
    assert names(document) == [*(f"web{n}" for n in range(9)), "left", "right", "gate"]


@pytest.mark.parametrize(
    "words", [["plan", "right", "web3", "web1"], ["apply", "right", "web3", "web1"], ["plan", "web3", "right", "web1"]]
)
def test_the_reports_are_in_the_order_of_the_inventory(words: list[str], folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In text as in JSON, with a peer that nobody named."""
    text = (folder / "inventory.yaml").read_text()
    (folder / "inventory.yaml").write_text(
        text.replace(gate := f"  gate: {{address: 127.0.2.3, disk: {DISK}}}\n", "").replace("hosts:\n", f"hosts:\n{gate}")
    )
    assert names(call(capfd, *words)[1]) == ["gate", "web1", "web3", "right"]
    run([*words, "--timeout", "2"])
    told = [line.split()[1] for line in capfd.readouterr().out.splitlines() if line.startswith("✘")]
    assert told == ["gate", "web1", "web3", "right"]


def test_what_cannot_be_kept_is_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "state").touch()
    assert run(["apply", "web1", "--timeout", "2"]) == 5
    assert "--limit @failed will not know this run" in capfd.readouterr().err


# -- progress ---------------------------------------------------------------------------------------------------------


def tell_all(hosts: Sequence[str]) -> None:
    with output.progress(hosts) as tell:
        for host in hosts:
            for doing in ("connecting", "looking", "waiting for run x", "unchanged"):
                tell(host, doing)
    tell(hosts[0], "after the end")


@pytest.mark.parametrize(("count", "lines"), [(1, 4), (output.MANY, 4 * output.MANY), (output.MANY + 1, 2 * (output.MANY + 1))])
def test_of_many_hosts_the_routine_is_not_told(count: int, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    tell_all([f"host{n}" for n in range(count)])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    assert "host0: unchanged" in said
    assert "host0: waiting for run x" in said


def test_of_many_hosts_a_terminal_shows_those_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    hosts = [f"host{n}" for n in range(output.MANY + 5)]
    with output.progress(hosts) as tell:
        tell("host3", "looking")
        tell("host4", "unchanged")
        [bars] = [cell.cell_contents for cell in tell.__closure__ or () if hasattr(cell.cell_contents, "tasks")]  # type: ignore[attr-defined]
        assert [task.fields["host"] for task in bars.tasks if task.visible] == ["host3", f"1 of {len(hosts)} hosts"]
    assert "host3" in terminal.getvalue()


@pytest.mark.usefixtures("folder")
def test_a_host_that_left_the_inventory_keeps_no_batch_from_being_begun(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The workers are sent hosts that there are, whatever else failed once."""
    last_run.record("inventory.yaml", [HostReport(name, "failed") for name in ("gone", "web3", "web1")])
    given: list[Any] = []

    def run_there(_: object, batch: Any, groups: Any, __: object) -> Any:
        given.append((batch["limit"], groups))
        raise UsageError("far enough")

    monkeypatch.setattr(dask_client, "run", run_there)
    assert call(capfd, "apply", "--limit", "@failed", "--executor", "dask://127.0.0.1:1")[1]["error"]["what"] == "far enough"
    assert given == [("web1,web3", [["web1"], ["web3"]])]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", [["apply"], ["undo", "web"], ["disk", "ls"], ["apply", "--executor", "dask://127.0.0.1:1"]])
def test_a_host_that_failed_and_left_the_inventory_is_said(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    last_run.record("inventory.yaml", [HostReport(name, "failed") for name in ("old", "web1")])
    done = [report.as_json([HostReport("web1", "unreachable")])]
    monkeypatch.setattr(dask_client, "run", lambda *_: dask_client.Command(None, lambda *_: None, {}, documents=done))
    said = "@failed has hosts that are not in inventory.yaml: old"
    code = run([*words, "--limit", "@failed", "--json", "--timeout", "2"])
    out, err = capfd.readouterr()
    (host,) = json.loads(out)["hosts"]
    assert (code, host["host"], host["notes"]) == (5, "web1", [{"resource": "--limit", "text": said}])
    assert said in err.splitlines()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("option", [["--persist", "60s"], ["--ask-sudo-password"], ["--serial", "2"], ["--stop-after", "1"]])
def test_what_does_not_travel_is_refused(option: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    code, document = call(capfd, "apply", "--executor", "dask://127.0.0.1:1", *option)
    assert (code, "go with --executor" in document["error"]["what"]) == (2, True)


@pytest.mark.usefixtures("folder")
def test_an_error_of_ours_is_one_hosts(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Of all that only look, and of `host trust`."""

    def breaks(target: Target, *_: object, **__: object) -> HostReport:
        if target.name == "web1":
            raise IndexError("of ours")
        return HostReport(target.name, "unchanged")

    monkeypatch.setattr(trust, "trust", breaks)
    code, document = call(capfd, "host", "trust", "web")
    assert (code, [host["status"] for host in document["hosts"]]) == (1, ["unchanged", "failed", *["unchanged"] * 7])
