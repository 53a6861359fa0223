"""Where novaops keeps its journal on a host. Only root can read it: it holds copies of the files that were changed."""

from __future__ import annotations

STATE = "/var/lib/novaops"

RUNS = f"{STATE}/runs"
"""A directory for each run: its plan, its events, the files it kept for undo."""

PENDING = f"{STATE}/pending"
"""Markers of files that were written, while what must follow (a reload) has not succeeded yet."""

KEPT_RUNS = 50
"""Older runs are deleted, with what they kept for undo."""

UNCONFIRMED = f"ls {RUNS}/*/armed >/dev/null 2>&1"
"""A test in sh: whether something that was done under guard is not yet confirmed, and may still be rolled back."""

BORN = """\
born() { # PID: the boot and the start time, which no other process has
  about=$(cat "/proc/$1/stat" 2>/dev/null) || return
  set -- ${about##*) }; echo "$(cat /proc/sys/kernel/random/boot_id) ${20}"
}
lives() { # RUN'S FOLDER: whether its process does; where nothing is known of it, it does not
  birth=$(cat "$1/born" 2>/dev/null) && [ -n "$birth" ] && [ "$(born "$(cat "$1/pid" 2>/dev/null)")" = "$birth" ]
}
"""
"""sh that tells a run's process from a later one with the same PID."""

_LONGEST_NAME = 255
"""Bytes in a file name; what most file systems allow at most."""


def pending_marker(path: str) -> str:
    """The path of the marker for the file at `path`: its name can be read, where it is not too long."""
    from hashlib import sha256

    name = path.replace("%", "%25").replace("/", "%2F")
    return f"{PENDING}/{name if len(name.encode()) <= _LONGEST_NAME else sha256(path.encode()).hexdigest()}"
