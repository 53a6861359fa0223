"""The repository of EVE-NG's packages: its signing key, pinned by fingerprint, and the line that apt reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.machine import Machine
from novaops.features.eve.editions import editions
from novaops.features.eve.facts.signing_key import SigningKey
from novaops.features.eve.paths import KEYRING, SOURCES
from novaops.features.eve.resources.host import edition_for_host
from novaops.formats import openpgp
from novaops.model.action import WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File


@dataclass(frozen=True)
class PinnedKey(Resource):
    """The key in a keyring of its own, which counts for this repository only."""

    url: str | None
    """None: as the edition says."""
    fingerprint: str | None

    @property
    def id(self) -> str:
        return "eve:key"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Machine(), FileAt(KEYRING))
        yield from (SigningKey(url) for url in self._urls)

    @property
    def _urls(self) -> Iterable[str]:
        """Where the key may be. The host's system, which decides, is not known before the host is asked."""
        return [self.url] if self.url else dict.fromkeys(one.key for one in editions() if one.support == "installed")

    def plan(self, facts: Facts) -> Iterator[Step]:
        edition = edition_for_host(facts.known(Machine()))
        found = facts[FileAt(KEYRING)]
        if isinstance(found, FileState):
            self._check(found.content or b"", KEYRING)
            yield from File(KEYRING, found.content).plan(facts)
            return
        url = self.url or edition.key
        offered = facts[SigningKey(url)]
        if offered is Missing.ABSENT:
            raise Refused("this host has no apt to fetch the repository's key with")
        if offered.complaint:
            raise Refused(
                f"the host cannot fetch the repository's key from {url}",
                why=offered.complaint,
                fix="see that the host reaches it, or name another place: repository: {key: URL}",
            )
        self._check(offered.content, url)
        shown = self.fingerprint or ""
        yield Step(self.id, (Change("key", None, f"{shown}, from {url}"),), (WriteFile(KEYRING, openpgp.binary(offered.content)),))

    def _check(self, content: bytes, where: str) -> None:
        """Raises Refused where it is not the pinned key, and no other."""
        try:
            found = openpgp.fingerprints(content)
        except ValueError as error:
            raise Refused(f"what is at {where} is no signing key", why=str(error)) from None
        shown = " and ".join(found)
        if self.fingerprint is None:
            raise Refused(
                "the fingerprint of the repository's key is not pinned",
                why=f"The host was offered {shown} by {where}. Whoever is in between could offer another one.",
                fix=f"compare it with one that you trust, then: --fingerprint {found[0]}, or repository: {{fingerprint: …}} in the inventory",
            )
        if found != (self.fingerprint,):
            again = f"remove {where} there and run this again, or pin the other one" if where == KEYRING else "pin it only if you trust it"
            raise Refused(f"the key at {where} is not the pinned one", why=f"It is {shown}; pinned is {self.fingerprint}.", fix=again)


@dataclass(frozen=True)
class Sources(Resource):
    url: str | None
    suite: str | None
    component: str

    @property
    def id(self) -> str:
        return f"file:{SOURCES}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Machine(), FileAt(SOURCES))

    def plan(self, facts: Facts) -> Iterable[Step]:
        edition = edition_for_host(facts.known(Machine()))
        line = f"deb [arch=amd64 signed-by={KEYRING}] {self.url or edition.repository} {self.suite or edition.suite} {self.component}\n"
        return File(SOURCES, f"# managed by novaops (novaops eve install)\n{line}").plan(facts)
