"""The removal of a site: its files, and the certificate that was fetched for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from novaops.facts.file import FileAt
from novaops.features.proxy.resources.nginx_files import OWN, NginxFiles, removed, site_files
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.shell import quote


def site_removed(name: str) -> NginxFiles:
    own = [f"{OWN}/{name}.{suffix}" for suffix in ("inject", "tokens", "keys", "htpasswd", "crt", "key")]
    return removed(name, *site_files(name), *own)


@dataclass(frozen=True)
class LineageRemoved(Resource):
    """certbot's certificate of the site. Without the site its renewal would fail: nothing serves the challenge."""

    name: str

    @property
    def id(self) -> str:
        return f"certificate:{self.name}"

    @property
    def _renewal(self) -> str:
        return f"/etc/letsencrypt/renewal/novaops-{self.name}.conf"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(self._renewal)

    def plan(self, facts: Facts) -> Iterable[Step]:
        if facts[FileAt(self._renewal)] is Missing.ABSENT:
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


@dataclass(frozen=True)
class OtherTlsRemoved(Resource):
    """What an earlier `tls:` of the same site has left: a key that is not used any more, a renewal that would fail every day."""

    name: str
    tls: str
    used: tuple[str, str]
    """The certificate and the key that the site has now, wherever they are."""

    @property
    def id(self) -> str:
        return f"tls:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        return (question for resource in self._unwanted() for question in resource.questions())

    def plan(self, facts: Facts) -> Iterable[Step]:
        for resource in self._unwanted():
            for step in resource.plan(facts):
                what = resource.path.rpartition("/")[2] if isinstance(resource, File) else "renewal"
                changes = tuple(replace(change, field=f"{what} {change.field}") for change in step.changes)
                yield replace(step, resource=self.id, changes=changes)

    def _unwanted(self) -> Iterator[File | LineageRemoved]:
        if self.tls != "letsencrypt" and not self.used[0].startswith(f"/etc/letsencrypt/live/novaops-{self.name}/"):
            yield LineageRemoved(self.name)
        if self.tls != "self-signed":
            yield from (File(path, None) for path in (f"{OWN}/{self.name}.crt", f"{OWN}/{self.name}.key") if path not in self.used)
