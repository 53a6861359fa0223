"""The password of the web user admin. EVE-NG's database has it as an unsalted SHA-256."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from novaops.errors import HostFailed
from novaops.features.eve.facts.web_admin import READ, SQL, WebAdmin
from novaops.model.action import SetValue
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.secret import Secret

_WRITE = rf"""{SQL}IFS= read -r hash || exit
case $hash in *[!0-9A-Za-z./$]*|'') echo 'that is no hash'; exit 1 ;; esac
printf "UPDATE users SET password = '%s' WHERE username = 'admin';\n" "$hash" | sql"""  # noqa: S608 - the hash has been looked at


def hash_of(password: Secret) -> Secret:
    return Secret(sha256(password.reveal().encode()).hexdigest())


@dataclass(frozen=True)
class AdminPassword(Resource):
    wanted: Secret = field(repr=False)
    """The hash."""

    @property
    def id(self) -> str:
        return "eve:admin"

    def questions(self) -> Iterable[Question[Any]]:
        yield WebAdmin()

    def plan(self, facts: Facts) -> Iterator[Step]:
        found = facts[WebAdmin()]
        if found is Missing.ABSENT or found.reveal() == self.wanted.reveal():
            return
        change = SetValue(
            "the password of the web user admin",
            read=READ,
            keep=READ,
            write=("sh", "-c", _WRITE, "set-admin"),
            value=Secret(f"{self.wanted.reveal()}\n"),
            expected=_digest(found),
            result=_digest(self.wanted),
        )
        yield Step(self.id, (Change("password", "[secret]", "[secret]"),), (change,))

    def predict(self, facts: Facts) -> Facts:
        return facts if facts[WebAdmin()] is Missing.ABSENT else facts.but(WebAdmin(), self.wanted)

    def verify_works(self, facts: Facts) -> None:
        if facts[WebAdmin()] is Missing.ABSENT:
            raise HostFailed(
                "EVE-NG's database does not say what the password of its user admin is",
                why="So it was not changed, and the ports that were asked for stay closed.",
                fix="systemctl status mysql there; then run this again",
            )


def _digest(hash_: Secret) -> str:
    return sha256(f"{hash_.reveal()}\n".encode()).hexdigest()
