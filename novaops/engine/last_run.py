"""The hosts of an inventory whose last run did not end right: what `--limit @failed` means.

Kept for each user and inventory below XDG_STATE_HOME, since the inventory's own folder may be shared, or not be writable.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from novaops.engine.report import RIGHT, HostReport
from novaops.errors import UsageError

FAILED = "@failed"


def record(inventory: str, reports: Iterable[HostReport]) -> None:
    """Note how the last run of these hosts ended; what is known of other hosts stays. Raises OSError."""
    if not inventory:
        return
    file = _file(inventory)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(file):
        before = _read(file) or []
        wrong = {report.host for report in reports if report.exit_code not in RIGHT and report.status != "not_begun"}
        known = {report.host for report in reports if report.status != "not_begun"}
        failed = sorted(wrong | {name for name in before if name not in known})
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps({"inventory": str(Path(inventory).resolve()), "failed": failed}, indent=2) + "\n", "utf-8")
        partial.rename(file)


def failed(inventory: str) -> list[str]:
    """The names of the hosts that failed, were refused or could not be reached in their last run.

    Raises UsageError where there are none.
    """
    found = _read(_file(inventory)) if inventory else None
    if found:
        return found
    where = f"with {inventory} " if inventory else ""
    what = f"no run {where}failed on any host" if found is not None or not inventory else f"no run {where}is remembered"
    why = "" if inventory else "Runs are remembered by their inventory, and there is none."
    raise UsageError(f"--limit {FAILED}: {what}", why=why, fix="leave it out, or name hosts or groups")


def _file(inventory: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if state.startswith("/") else Path("~/.local/state").expanduser()
    name = hashlib.sha256(os.fsencode(Path(inventory).resolve())).hexdigest()[:16]
    return folder / "novaops/last-run" / f"{name}.json"


def _read(file: Path) -> list[str] | None:
    """None where there is nothing to be read."""
    try:
        names = json.loads(file.read_text("utf-8"))["failed"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else None


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
