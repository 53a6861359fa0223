"""The format in which scripts of checks report several commands: "= KEY STATUS", then the output, indented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from novaops.shell import lines_of

SAY = """\
saw() {
  saw_key=$1; shift
  saw_text=$("$@" 2>&1 </dev/null); saw_status=$?
  printf '= %s %s\\n' "$saw_key" "$saw_status"
  [ -z "$saw_text" ] || printf '%s\\n' "$saw_text" | head -c 20000 | sed 's/^/  /'
}
"""
"""sh: `saw KEY COMMAND…` runs the command and prints its exit status and its output."""


@dataclass(frozen=True)
class CommandResult:
    """A command on the host."""

    status: int = 0
    text: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(lines_of(self.text))

    @property
    def said(self) -> str:
        """Its last line: that is where ssh and curl say what is wrong."""
        return self.lines[-1].strip() if self.lines else ""


def read(text: str) -> Mapping[str, CommandResult]:
    """The result of each command, by its key. Lines that belong to none are ignored."""
    found: dict[str, CommandResult] = {}
    key = ""
    for line in lines_of(text):
        if line.startswith("= "):
            _, key, status = line.split(" ")
            found[key] = CommandResult(int(status))
        elif line.startswith("  ") and key:
            before = found[key]
            found[key] = CommandResult(before.status, f"{before.text}{line[2:]}\n")
    return found
