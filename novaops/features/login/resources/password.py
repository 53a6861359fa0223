"""The password of an account. It is hashed on the operator's side, and only the hash is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from novaops.facts.account import AccountNamed, PasswordHash
from novaops.formats.passwords import hashed, matches
from novaops.model.action import SetValue
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.shadow import entry, setting
from novaops.secret import Secret


@dataclass(frozen=True)
class Password(Resource):
    user: str
    password: Secret = field(repr=False)
    salt: str
    """The salt of the hash, should one have to be made."""

    @property
    def id(self) -> str:
        return f"password:{self.user}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (PasswordHash(self.user), AccountNamed(self.user))

    def plan(self, facts: Facts) -> Iterable[Step]:
        found, account = facts[PasswordHash(self.user)], facts[AccountNamed(self.user)]
        expired = account is not Missing.ABSENT and account.password_expired
        if found is not Missing.ABSENT and not expired and matches(self.password, found):
            return
        new = hashed(self.password, self.salt)
        change = SetValue(
            f"the password of {self.user}",
            read=f"{entry(self.user, '2')} | sed s/^/hash=/",
            keep=entry(self.user, "2,3"),
            write=setting(self.user),
            value=Secret(f"{new.reveal()}\n"),
            # An account that is created in the same plan has none to compare.
            expected=None if found is Missing.ABSENT else _digest(found),
            result=_digest(new),
        )
        before = None if found is Missing.ABSENT or not found.reveal().strip("!*") else "expired" if expired else "[secret]"
        yield Step(self.id, (Change("password", before, "[secret]"),), (change,), Risk.LOCKOUT)


def _digest(hash_: Secret) -> str:
    return sha256(f"hash={hash_.reveal()}\n".encode()).hexdigest()
