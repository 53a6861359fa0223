"""The border of what is shown: whatever a host says, nothing but print and layout reaches the terminal, the document and the files."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.cli import output
from novaops.cli.options import Options, say
from novaops.engine.report import HostReport, ReportLine
from novaops.errors import HostFailed, InternalError
from novaops.model.plan import Change, Note

HOSTILE = "x\x1b[2K\x1b[1A\r\x9b1A\x07\u202e\u2066\x85\u2028\n✓ box  mount:/data  unchanged\n1 host: 1 unchanged"
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
SOURCES = Path(output.__file__).parents[1]


def failed() -> HostReport:
    error = HostFailed(HOSTILE, why=HOSTILE, fix=HOSTILE)
    error.__cause__ = ValueError(HOSTILE)
    step = ReportLine(HOSTILE, "would_change", (Change(HOSTILE, HOSTILE, HOSTILE), Change("label", "a\x1b[0m", "b\r")), actions=(HOSTILE,))
    return HostReport("box", "failed", (step,), (Note(HOSTILE, HOSTILE),), error, details={"label": HOSTILE, HOSTILE: [HOSTILE]})


def progress() -> None:
    with output.progress(["box"]) as tell:
        tell("box", HOSTILE)


WAYS: dict[str, Callable[[], object]] = {
    "report": lambda: output.show(Options(), [failed()], 0.0),
    "report -vv --diff": lambda: output.show(Options(verbose=2), [failed()], 0.0, diff=True),
    "report --json": lambda: output.show(Options(json=True), [failed()], 0.0),
    "table": lambda: output.table(["LABEL"], [[HOSTILE], ["b"]]),
    "progress": progress,
    "error": lambda: say(Options(), HostFailed(HOSTILE, why=HOSTILE, fix=HOSTILE)),
    "error -vv": lambda: say(Options(verbose=2), InternalError(ValueError(HOSTILE))),
    "error --json": lambda: say(Options(json=True), HostFailed(HOSTILE, why=HOSTILE, fix=HOSTILE)),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_control_reaches_a_pipe(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    WAYS[way]()
    said = "".join(capsys.readouterr())
    assert "box" in said
    assert not UNSEEN.search(said), UNSEEN.findall(said)
    assert not re.search(r"^(✓ box|1 host: 1 unchanged)", said, re.MULTILINE), "a line that only novaops says"


@pytest.mark.parametrize("way", ["report", "report -vv --diff", "table", "progress", "error"])
def test_no_control_of_a_host_reaches_a_terminal(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "1000")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    WAYS[way]()
    said = terminal.getvalue()
    assert "\\x9b1A\\x07\\u202e" in said
    assert not any(c in said for c in ("\x9b", "\x07", "\u202e", "\u2066", "\u2028", "\x85"))


def test_one_line_of_a_document_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(Options(json=True), [failed()], 0.0)
    (host,) = json.loads(capsys.readouterr().out)["hosts"]
    assert "\n" not in host["error"]["what"] + host["label"] + host["steps"][0]["resource"] + host["steps"][0]["changes"][0]["field"]
    assert "\n" in host["error"]["why"], "a reason may have several lines"


def test_nothing_prints_beside_the_border() -> None:
    """typer.echo stays for the words of the command line itself, in app.py; the console of a node is joined to the terminal as it is."""
    beside = re.compile(r"typer\.echo\(|\bprint\(|print_exception|sys\.(stdout|stderr)\.(buffer\.)?write")
    found = {
        file.relative_to(SOURCES).as_posix()
        for file in SOURCES.rglob("*.py")
        if "lab" not in file.parts
        for line in file.read_text("utf-8").split("\n")
        if beside.search(line) and "fingerprint(" not in line and 'print("slow' not in line
    }
    assert found <= {"app.py", "cli/output.py", "features/eve/console.py"}


def test_lines_of_many_threads_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(io.StringIO):
        encoding = "utf-8"

        def write(self, text: str) -> int:
            time.sleep(0)  # another thread's turn
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", slow := Slow())

    def complain(number: int) -> None:
        for _ in range(50):
            output.complain(f"<{number}>")

    threads = [threading.Thread(target=complain, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slow.getvalue().splitlines()) == sorted(f"<{n}>" for n in range(8) for _ in range(50))
