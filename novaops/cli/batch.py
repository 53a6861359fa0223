"""A batch of hosts that a worker of `--executor` was given: read as JSON on stdin, each report and at last the document on stdout."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from novaops.cli.apply import converge_sections
from novaops.cli.options import INTERRUPTED, Options, guarded
from novaops.engine import report
from novaops.engine.converge import RunOptions
from novaops.engine.report import HostReport
from novaops.engine.rollout import Rollout
from novaops.errors import NotBegun
from novaops.formats import visible

_STDOUT = sys.stdout
_WHOLE_LINES = threading.Lock()


def main() -> int:
    given: dict[str, Any] = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGINT, _interrupt)  # whoever started the worker may have turned it off
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    options = Options(Path(given["inventory"]), json=True, parallel=given["parallel"], timeout=given["timeout"], limit=given["limit"])
    rollout = Rollout(only=frozenset(given["hosts"]), told=_tell)
    run = RunOptions(check=given["check"], wait=given["wait"], guard=given["guard"], rollout=rollout)
    document = io.StringIO()

    def work() -> int:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the worker had it blocked: until now nobody would have answered
        return converge_sections(options, given["words"], given["sections"], run)

    with redirect_stdout(document):
        code = guarded(options, work)
    if code == INTERRUPTED and not document.getvalue():  # before the first host was begun, or when all had been told of
        document.write(json.dumps(report.no_hosts_json(NotBegun("interrupted"))))
    _line(document.getvalue())
    return code


def _interrupt(*_: object) -> None:
    """Ctrl-C, once: what has to be said of each host is not interrupted again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _tell(host: HostReport) -> None:
    _line(json.dumps(visible.document({"report": report.as_json([host])["hosts"][0]})))


def _line(text: str) -> None:
    with _WHOLE_LINES:  # hosts end in threads of their own
        _STDOUT.write(text.removesuffix("\n") + "\n")
        _STDOUT.flush()


def _end_with_the_worker() -> None:
    """Nobody hears any more what comes of this batch. The runs on hosts go on by themselves, as after Ctrl-C."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # nobody waits for hosts that are silent, as in novaops.app
