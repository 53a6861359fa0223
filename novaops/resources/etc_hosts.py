"""/etc/hosts, and the template that cloud-init makes it of: where there is one, only what is in both is still there after a boot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from novaops.facts.cloud_init import TEMPLATES, HostsTemplate
from novaops.facts.file import FileAt, FileState
from novaops.model.action import WriteFile
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import rewrite

HOSTS = "/etc/hosts"


def hosts_questions() -> Iterator[Question[Any]]:
    yield HostsTemplate()
    yield from map(FileAt, (HOSTS, *TEMPLATES.values()))


def hosts_files(facts: Facts) -> tuple[str, ...]:
    """HOSTS, and the template where cloud-init takes it."""
    template = facts[HostsTemplate()]
    if template is Missing.ABSENT or facts[FileAt(template)] is Missing.ABSENT:
        return (HOSTS,)
    return (HOSTS, template)


def hosts_text(path: str, facts: Facts) -> str:
    """What the file says, byte for byte; "" for no file."""
    found = facts[FileAt(path)]
    return (found.content or b"").decode("utf-8", "surrogateescape") if isinstance(found, FileState) else ""


def write_hosts(path: str, text: str, facts: Facts) -> WriteFile:
    found = facts[FileAt(path)]
    return rewrite(path, found, text.encode("utf-8", "surrogateescape"))
