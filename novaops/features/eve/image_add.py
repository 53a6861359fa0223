"""`eve image add`: an image is named, checked, sent, put in place, and seen by EVE-NG."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from novaops.engine.report import HostReport, ReportLine
from novaops.errors import HostFailed, NovaopsError, Refused, Unreachable
from novaops.features.eve.api_access import Access, open_api, page
from novaops.features.eve.image_host import ImageHost, OnHost
from novaops.features.eve.image_names import LICENCE, check_template
from novaops.features.eve.image_source import ImageSource, Part, Prepared
from novaops.features.eve.lab_plan import MISSING, images_of
from novaops.features.eve.lab_run import LabRun
from novaops.features.eve.topology import Topology
from novaops.formats.size import human
from novaops.model.plan import Change
from novaops.ssh.session import ConnectionLost, Session
from novaops.ssh.upload import send_file

_MARGIN = 256 << 20
"""Bytes that stay free on the host's disk."""
_PAUSES = (1, 2, 4, 8, 15, 30)
"""Seconds between the attempts to connect again."""
_TRIES = 3
"""Connections in a row on which nothing more of a file arrives."""
_AGAIN = "run this again: nothing that arrived is sent a second time"
_PROOF = "novaops-proof"
"""How the labs are called that prove an image, each its own: one may be left over, and two run at once."""
_LONGEST_NAME = 60


@dataclass
class ImageAdd:
    session: Session
    access: Access
    source: ImageSource
    prepared: Prepared
    tell: Callable[[str], None]
    check: bool = False
    start: bool = False
    wait: float = 300.0
    step: int = 1
    """How many percent of an upload pass between two words about it."""

    @cached_property
    def _page(self) -> tuple[int, str]:
        return page(self.session, self.access.port)

    def run(self) -> HostReport:
        """Raises Refused before anything is sent; HostFailed, Unreachable."""
        name = self.prepared.name
        host = ImageHost(self.session, name)
        before = host.look()
        _refuse_full(before, sum(source.size for source in self.prepared.sources) - sum(before.parts.values()), name.name)
        self._check_template()
        parts = list(self.source.parts(self.prepared))
        found = host.look(parts, prepare=False)
        same = found.same(parts)
        if found.files and not same and name.name != LICENCE:
            unknown = any(part.convert and part.name in found.files and part.name not in found.sources for part in parts)
            raise Refused(
                f"there is an image {name.name}{', and nothing tells what it was made of' if unknown else ' with other contents'}",
                why="Labs may use it, and their disks are layers over it.",
                fix=f"give another --version, or take it away first: novaops eve image rm {name.name} HOST",
            )
        if not same:
            _refuse_full(found, _needed(parts, found), name.name)
            if not self.check:
                self._send(host, parts)
                self.tell("putting it in place")
                host.finish(parts)
        started = False if self.check else self._prove()
        return self._report(parts, same=same, started=started)

    def _report(self, parts: Sequence[Part], *, same: bool, started: bool) -> HostReport:
        name = self.prepared.name.name
        changes = () if same else tuple(Change(part.name, None, human(part.size)) for part in parts)
        status = "unchanged" if same else "would_change" if self.check else "changed"
        line = ReportLine(f"image:{name}", status, changes)
        details = {"image": {"name": name, "template": self.prepared.name.template, "started": started}}
        return HostReport(self.session.target.name, status, (line,), details=details)  # type: ignore[arg-type] # one of the three

    # -- sending ------------------------------------------------------------------------------------------------------

    def _send(self, host: ImageHost, parts: Sequence[Part]) -> None:
        at = host.look(parts, prepare=True).parts
        for part in parts:
            offset = at.get(part.sha256, 0)
            tries = _TRIES
            while offset < part.size:
                meter = _Meter(part, offset, self.tell, self.step)
                try:
                    send_file(self.session, part.path, host.writer(part, offset), offset, meter)
                    break
                except ConnectionLost as error:
                    self._reconnect(error)
                    before, offset = offset, host.look(parts, prepare=True).parts.get(part.sha256, 0)
                    tries = _TRIES if offset > before else tries - 1
                    if not tries:
                        what = f"{self.session.target} takes nothing more of {part.name}, though it lets us in"
                        raise Unreachable(what, why=error.why, fix=_AGAIN) from error
                except HostFailed as error:
                    if "No space left" in error.why:
                        host.clear(parts)
                        what = f"the disk of {self.session.target} has become full"
                        raise HostFailed(what, why="Nothing was put in place, and what was sent is gone.") from error
                    raise

    def _reconnect(self, lost: ConnectionLost) -> None:
        """Raises Unreachable where no connection comes about."""
        for pause in _PAUSES:
            self.tell("the connection was lost: connecting again")
            self.session.close()
            try:
                self.session.open()
            except Unreachable:
                time.sleep(pause)
            else:
                return
        what = f"{lost.what}, and does not come back"
        raise Unreachable(what, why=lost.why, fix=_AGAIN) from lost

    # -- EVE-NG's own word --------------------------------------------------------------------------------------------

    def _check_template(self) -> None:
        """Raises UsageError for a template that this EVE-NG does not have."""
        with open_api(self.session, self.access, at=self._page) as api:
            check_template(self.prepared.name.template, api.templates())

    def _prove(self) -> bool:
        """The template has the image; with `start` a node of it runs and answers. Raises HostFailed. Gives whether one was started."""
        name = self.prepared.name
        if name.name == LICENCE:
            return False
        self.tell("asking EVE-NG for it")
        with open_api(self.session, self.access, at=self._page) as api:
            title = api.templates().get(name.template, MISSING)
            listed = images_of(api.template(name.template))
            if title.endswith(MISSING) or name.name not in listed:
                raise HostFailed(
                    f"EVE-NG does not list the image {name.name}",
                    why=f"Its template {name.template} has {', '.join(listed) or 'no image'}.",
                    fix="novaops eve image ls HOST says what is wrong with it",
                )
            if self.start:
                self._boot(LabRun(self.session, api, self._proof_lab(), self.tell, self.wait))
        return self.start

    def _proof_lab(self) -> Topology:
        node = {"template": self.prepared.name.template, "image": self.prepared.name.name}
        name = f"{_PROOF}-{re.sub('[^A-Za-z0-9]+', '-', self.prepared.name.name)}"[:_LONGEST_NAME]
        return Topology.model_validate({"name": name, "nodes": {"proof": node}})

    def _boot(self, lab: LabRun) -> None:
        """Start a node in a lab of its own, which is gone afterwards. Raises HostFailed where it does not answer."""
        try:
            lab.up()
        except NovaopsError:
            with suppress(NovaopsError):
                lab.down()
            raise
        lab.down()


class _Meter:
    """Tells how far the upload is, once for each `step` percent."""

    def __init__(self, part: Part, offset: int, tell: Callable[[str], None], step: int) -> None:
        self._part, self._first, self._tell, self._step = part, offset, tell, step
        self._began = time.monotonic()
        self._shown = -1
        self(offset)

    def __call__(self, sent: int) -> None:
        percent = 100 * sent // self._part.size // self._step * self._step
        if percent == self._shown:
            return
        self._shown = percent
        seconds = max(time.monotonic() - self._began, 0.001)
        rate = human(round((sent - self._first) / seconds))
        self._tell(f"sending {self._part.name} {_bar(percent)} {percent} % of {human(self._part.size)}, {rate}/s")


def _bar(percent: int) -> str:
    return "█" * (percent // 5) + "░" * (20 - percent // 5)


def _needed(parts: Sequence[Part], found: OnHost) -> int:
    """Bytes that are still to come; a file that the host converts is there twice for a while."""
    return sum(part.size * (2 if part.convert else 1) - found.parts.get(part.sha256, 0) for part in parts)


def _refuse_full(found: OnHost, needed: int, name: str) -> None:
    if needed + _MARGIN > found.room:
        raise Refused(
            f"the image {name} needs {human(needed)}, and {human(found.room)} are free",
            why=f"{human(_MARGIN)} are to stay free. Nothing was sent.",
            fix="novaops eve image ls HOST shows what is there; novaops disk ls HOST whether a disk is idle",
        )
