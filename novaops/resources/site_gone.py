"""A site that is no more: its files, and the certificate that was fetched for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.action import Command
from novaops.facts import Facts, Gap, Question
from novaops.facts.file import FileAt
from novaops.plan import Change, Step
from novaops.resources.nginx_files import OWN, NginxFiles, gone, site_files
from novaops.shell import quote


def _files(name: str) -> NginxFiles:
    own = [f"{OWN}/{name}.{suffix}" for suffix in ("inject", "tokens", "htpasswd", "crt", "key")]
    return gone(name, *site_files(name), *own)


@dataclass(frozen=True)
class SiteGone:
    name: str

    @property
    def id(self) -> str:
        return f"nginx:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        return _files(self.name).questions()

    def steps(self, facts: Facts) -> Iterable[Step]:
        return _files(self.name).steps(facts)


@dataclass(frozen=True)
class LineageGone:
    """Its renewal would fail from now on, as nothing answers for its names any more."""

    name: str

    @property
    def id(self) -> str:
        return f"certificate:{self.name}"

    @property
    def _renewal(self) -> str:
        return f"/etc/letsencrypt/renewal/novaops-{self.name}.conf"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(self._renewal)

    def steps(self, facts: Facts) -> Iterable[Step]:
        if facts[FileAt(self._renewal)] is Gap.ABSENT:
            return
        delete = Command(
            ("certbot", "delete", "--non-interactive", "--cert-name", f"novaops-{self.name}"), holds=f"[ ! -e {quote(self._renewal)} ]"
        )
        yield Step(
            self.id,
            (Change("certificate", "present", None),),
            (delete,),
            cannot_undo="the certificate: deploying the site again fetches a new one",
        )
