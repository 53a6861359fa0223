"""Where novaops keeps its journal on a host. Root's alone: it holds copies of the files that were changed."""

from __future__ import annotations

STATE = "/var/lib/novaops"

RUNS = f"{STATE}/runs"
"""A folder for each run: its plan, its events, the files it kept for undo."""

PENDING = f"{STATE}/pending"
"""Markers: the file is in place, and what must follow it (a reload) has not yet succeeded."""

KEPT_RUNS = 50
"""Older runs are forgotten, with what they kept for undo."""

BORN = """\
born() { # PID: what no other process has, not even after a reboot
  about=$(cat "/proc/$1/stat" 2>/dev/null) || return
  set -- ${about##*) }; echo "$(cat /proc/sys/kernel/random/boot_id) ${20}"
}
"""
"""sh that tells a run's process from a later one with its number: the boot, and when it was started."""

_LONGEST_NAME = 255
"""Bytes a file system takes for a name."""


def pending_marker(path: str) -> str:
    """The marker for the file at `path`: readable, and one word."""
    from hashlib import sha256

    name = path.replace("%", "%25").replace("/", "%2F")
    return f"{PENDING}/{name if len(name.encode()) <= _LONGEST_NAME else sha256(path.encode()).hexdigest()}"
