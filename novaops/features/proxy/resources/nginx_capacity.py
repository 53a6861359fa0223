"""How many streams nginx can hold at once: `worker_connections` in nginx.conf, two connections for each stream."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt
from novaops.features.proxy.resources.nginx_reload import WHEN_UNDONE
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import rewrite

MAIN = "/etc/nginx/nginx.conf"

_CONNECTIONS, _FILES = (
    re.compile(rf"^([^#\n]*?(?<![^\s;{{}}]){name}[ \t]+)(\d+)([ \t]*;)", re.MULTILINE)
    for name in ("worker_connections", "worker_rlimit_nofile")
)
"""Wherever they stand in a line, such as `events { worker_connections 1024; }`: only the number is replaced."""

_SPARE = 512
"""Connections for everything else."""


@dataclass(frozen=True)
class NginxCapacity(Resource):
    """Room for at least so many streams. nginx takes these directives only once, and only in nginx.conf itself."""

    streams: int

    @property
    def id(self) -> str:
        return "nginx:(capacity)"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(MAIN)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[FileAt(MAIN)]
        if found is Missing.ABSENT or found.content is None:
            return  # comes with the package, and is looked at again by the next run
        text = found.content.decode("utf-8", "surrogateescape")
        connections = _CONNECTIONS.search(text)
        if connections is None:
            raise Refused(f"{MAIN} does not say worker_connections", fix="write worker_connections 768; into its events block")
        # A worker may get all of the streams, each with a connection at either end.
        wanted = 2 * self.streams + _SPARE
        new = text if int(connections[2]) >= wanted else _CONNECTIONS.sub(rf"\g<1>{wanted}\3", text, count=1)
        files = _FILES.search(text)
        if files is None:
            new = f"worker_rlimit_nofile {wanted + _SPARE};\n{new}"
        elif int(files[2]) < wanted + _SPARE:
            new = _FILES.sub(rf"\g<1>{wanted + _SPARE}\3", new, count=1)
        if new == text:
            return
        write = rewrite(MAIN, found, new.encode("utf-8", "surrogateescape"), then=WHEN_UNDONE)
        changes = (Change("worker_connections", connections[2], str(max(wanted, int(connections[2])))), Change("content", text, new))
        yield Step(self.id, changes, (write,))
