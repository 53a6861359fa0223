"""The password of the system's root. The packages, and the vendor's own script, set one that everybody knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from novaops.errors import Refused
from novaops.facts.account import Accounts
from novaops.facts.sshd import Caller, SshdState
from novaops.features.eve.facts.installation import ROOT, EveInstallation
from novaops.formats.sshd_config import Peer
from novaops.model.action import SetValue
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.shadow import entry, setting
from novaops.resources.sshd_access import LoginContext
from novaops.resources.sshd_keys import by_key

_NONE = "*"
"""What no password matches. With a `!` sshd without PAM would take no key either."""

_READ = f"""{ROOT}[ "$(root_password)" = default ] && echo default || {entry("root", "2")}"""


@dataclass(frozen=True)
class RootPassword(Resource):
    """No password opens root any more, where it was the default one. Any other stays. Keys and sudo go on."""

    @property
    def id(self) -> str:
        return "eve:root-password"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (EveInstallation(), Caller(), Accounts(), SshdState())

    def plan(self, facts: Facts) -> Iterator[Step]:
        if facts.known(EveInstallation()).root != "default":
            return
        _refuse_lockout(facts)
        change = SetValue(
            "the password of root",
            read=_READ,
            keep=entry("root", "2,3"),
            write=setting("root"),
            value=f"{_NONE}\n",
            expected=_digest("default"),
            result=_digest(_NONE),
            undoable=False,
        )
        changes = (Change("password", "the default password", "no password: keys go on"),)
        yield Step(self.id, changes, (change,), Risk.LOCKOUT, cannot_undo="root does not get the password back that everybody knows")

    def notes(self, facts: Facts) -> Iterable[str]:
        if facts.known(EveInstallation()).root == "unknown":
            yield "whether root has the password that everybody knows is not known: there is no perl to compare with"


def _refuse_lockout(facts: Facts) -> None:
    """Raises Refused where the caller is root and cannot come back by key. What is not known, the guard's fresh login tells."""
    caller = facts[Caller()]
    if caller is Missing.ABSENT or caller.user != "root":
        return
    sshd = facts.known(SshdState())
    for account, effective in facts.known(Accounts()).accounts:
        if account.name != "root":
            continue
        peer = Peer("root", account.groups, caller.address)
        answer = by_key(LoginContext(peer, account, effective, sshd.config, sshd.nologin, sshd.pam))
        if answer.allowed is False:
            raise Refused(
                "root has the password that everybody knows, and you come as root with no other way in",
                why=f"Without it you would be locked out: {'; '.join(map(str, answer.why))}.",
                fix="give root a key (ssh-copy-id root@HOST) or a password of its own (passwd root, there); then run this again",
            )


def _digest(text: str) -> str:
    return sha256(f"{text}\n".encode()).hexdigest()
