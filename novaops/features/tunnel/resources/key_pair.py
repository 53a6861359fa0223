"""The key pair of a tunnel. It is made on the client, and the private key never leaves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.features.tunnel.facts.ends import TunnelKey
from novaops.features.tunnel.paths import USER, key_file
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote

_MAKE = """\
umask 077
rm -f -- "$1" "$1.pub"
ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1" </dev/null && chown "$3:$3" "$1" "$1.pub" && chmod 0644 "$1.pub"
"""

_MEND = """\
chown "$2:$2" "$1" && chmod 0600 "$1" && ssh-keygen -y -P '' -f "$1" </dev/null >"$1.pub" && chown "$2:$2" "$1.pub" && chmod 0644 "$1.pub"
"""


@dataclass(frozen=True)
class KeyPair(Resource):
    name: str
    comment: str

    @property
    def id(self) -> str:
        return f"key:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield TunnelKey(self.name)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found, path = facts[TunnelKey(self.name)], key_file(self.name)
        if found is not Missing.ABSENT and found.public:
            if not found.private or found.written != found.public:
                changes = [Change("private", "others can read it", f"of {USER}, 0600")] if not found.private else []
                if found.written != found.public:
                    changes.append(Change("public", found.written or None, found.public))
                yield Step(self.id, tuple(changes), (Command(("sh", "-c", _MEND, "mend", path, USER)),))
            return
        change = Change("key", None, "ed25519") if found is Missing.ABSENT else Change("key", "damaged", "ed25519, a new one")
        holds = f"ssh-keygen -y -P '' -f {quote(path)} </dev/null >/dev/null 2>&1"
        undo = Command(("rm", "-f", "--", path, f"{path}.pub"), holds=f"[ ! -e {quote(path)} ]")
        yield Step(self.id, (change,), (Command(("sh", "-c", _MAKE, "make", path, self.comment, USER), holds=holds, undo=undo),))
