"""Files of a tunnel on its client that are not wanted (any more): units, configuration, its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.listening import Listening
from novaops.features.tunnel.facts.ends import TunnelFile, TunnelFiles
from novaops.features.tunnel.paths import FOLDER, UNITS
from novaops.model.action import Action, Command, WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import join, lines_of, quote

_STOP = """\
for unit do
  systemctl disable --now -- "$unit" || exit # it prints warnings where a unit is only stopped; they are harmless
done
systemctl reset-failed -- "$@" 2>/dev/null; rm -f -- "/run/novaops-tunnel/$0"
true"""

_START = (
    'systemctl daemon-reload && for unit do case $unit in *-check.service) ;; *) systemctl enable --now -- "$unit" || exit ;; esac; done'
)

_STARTED = """\
systemctl is-enabled -q -- "$unit" 2>/dev/null && case $(systemctl is-active -- "$unit") in active | activating) ;; *) false ;; esac"""
"""A service whose gateway is away at the moment is about to start again."""

_REMOVE = 'rm -f -- "$@" && { rmdir -- "$0" "${0%/*}" 2>/dev/null; true; }'
"""And the folders, where nothing else is in them."""

_ORDER = (".timer", ".socket", ".service")
"""The order in which they stop: first what would start the others again."""


@dataclass(frozen=True)
class StaleTunnelFiles(Resource):
    name: str
    kept: tuple[str, ...] = ()
    """The files that are wanted; none for a tunnel that is taken away."""
    via: str | None = ""
    """The gateway that is looked after in the same run; "" where none is. None where nobody knows which one: then nothing is removed."""

    @property
    def id(self) -> str:
        return f"rest:{self.name}" if self.kept else f"tunnel:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield TunnelFiles(self.name)

    def plan(self, facts: Facts) -> Iterable[Step]:
        left = [file for file in facts.known(TunnelFiles(self.name)) if file.path not in self.kept]
        if not left:
            return
        if self.via is None:
            via = _gateway(left) or "GATEWAY"
            raise Refused(
                f"{self.name}: it is not known which gateway it goes through",
                why="Its key would stay there, in authorized_keys.",
                fix=f"--via {quote(via)}; or leave the gateway alone: --only-here",
            )
        keys = [file for file in left if file.content is None]
        yield Step(
            self.id,
            tuple(Change(file.path.rpartition("/")[2], "present", None) for file in left),
            tuple(self._actions(left, keys)),
            cannot_undo="the key: tunnel up makes a new one, which the gateway then accepts" if keys else "",
        )

    def predict(self, facts: Facts) -> Facts:
        """Its units listen no more: another tunnel may come to have their ports."""
        if self.kept or Listening() not in facts:
            return facts
        units = {file.path.rpartition("/")[2] for file in facts.known(TunnelFiles(self.name)) if file.path.startswith(f"{UNITS}/")}
        return facts.but(Listening(), tuple(one for one in facts.known(Listening()) if one.unit not in units))

    def notes(self, facts: Facts) -> Iterator[str]:
        files = facts.known(TunnelFiles(self.name))
        before = _gateway(files)
        if before and self.via and before != self.via:
            again = ", and novaops tunnel up then makes it anew" if self.kept else ""
            down = f"novaops tunnel down HOST --name {self.name} --via {quote(before)}"
            yield f"{self.name} went through {before}, which still lets its key in. {down} takes that away{again}"

    def _actions(self, left: list[TunnelFile], keys: list[TunnelFile]) -> Iterable[Action]:
        units = [file.path.rpartition("/")[2] for file in left if file.path.startswith(f"{UNITS}/")]
        units = [unit for end in _ORDER for unit in units if unit.endswith(end)]
        if units:
            stopped = f'( for unit in {join(units)}; do ! systemctl is-active -q -- "$unit" && ! systemctl is-enabled -q -- "$unit" 2>/dev/null || exit 1; done )'
            started = f"( for unit in {join(u for u in units if not u.endswith('-check.service'))}; do {_STARTED} || exit 1; done )"
            start = Command(("sh", "-c", _START, self.name, *reversed(units)), holds=started)
            yield Command(("sh", "-c", _STOP, self.name, *units), holds=stopped, undo=start)
        for file in left:
            if file.content is not None:
                yield WriteFile(file.path, None, before=file.content, permissions_before=(file.mode, file.owner, file.group))
        if units:
            yield Command(("systemctl", "daemon-reload"))
        if keys:
            removed = " && ".join(f"[ ! -e {quote(file.path)} ]" for file in keys)
            yield Command(("sh", "-c", _REMOVE, FOLDER, *(file.path for file in keys)), holds=removed)


def _gateway(files: Iterable[TunnelFile]) -> str:
    """The gateway that the tunnel on the host goes through; "" where none is known."""
    said = "\n".join((file.content or b"").decode("utf-8", "replace") for file in files if file.path.endswith(".forwards"))
    return next((line.removeprefix("# via ") for line in lines_of(said) if line.startswith("# via ")), "")
