"""Which accounts may log in to a host, by which method, and why not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from novaops.facts.account import Accounts, Listed
from novaops.facts.sshd import Caller, SshdState
from novaops.formats.sshd_config import Peer
from novaops.formats.sshd_drop_in import KEYWORDS, NAMES
from novaops.model.question import Facts, Missing, Question
from novaops.resources.sshd_access import Answer, LoginContext, by_password
from novaops.resources.sshd_keys import by_key, usable


def questions() -> tuple[Question[Any], ...]:
    return SshdState(), Caller(), Accounts()


def details(facts: Facts) -> dict[str, Any]:
    """What `login status --json` says of a host. Raises HostFailed where sshd refuses its own configuration."""
    sshd = facts.known(SshdState())
    caller = facts[Caller()]
    address = "127.0.0.1" if caller is Missing.ABSENT else caller.address
    config = sshd.config
    listed = Listed(()) if sshd.complaint else facts.known(Accounts())
    return {
        "from": address,
        "complaint": sshd.complaint,
        "logins": [
            _login(LoginContext(Peer(account.name, account.groups, address), account, effective, config, sshd.nologin, sshd.pam))
            for account, effective in listed.accounts
        ],
        "not_looked_at": listed.not_looked_at,
    }


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The same as rows of a table."""
    if found["complaint"]:
        what = f"sshd does not accept its own configuration, and would not start again: {found['complaint']}"
        return [("", "", "", what)]
    known = [(login["user"], _short(login["password"]), _short(login["key"]), "; ".join(_why(login))) for login in found["logins"]]
    return known + [("", "unknown", "unknown", sentence) for sentence in found["not_looked_at"]]


def _login(context: LoginContext) -> dict[str, Any]:
    return {
        "user": context.peer.user,
        "password": _answer(by_password(context), allowed_by=_allowed_by(context)),
        "key": {**_answer(by_key(context)), "keys": len(usable(context))},
        "forced": context.value("forcecommand") if context.value("forcecommand") not in {"", "none"} else "",
    }


def _allowed_by(context: LoginContext) -> str:
    """The line that lets passwords in."""
    keyword = next((keyword for keyword in KEYWORDS if context.value(keyword) == "yes"), KEYWORDS[0])
    return str(context.said(keyword, NAMES[keyword]))


def _answer(answer: Answer, *, allowed_by: str = "") -> dict[str, Any]:
    """`allowed` is null in JSON where nobody can know."""
    return {"allowed": answer.allowed, "why": [allowed_by] if answer.allowed and allowed_by else [str(why) for why in answer.why]}


def _short(answer: dict[str, Any]) -> str:
    word = {True: "yes", False: "no", None: "unknown"}[answer["allowed"]]
    return f"{word} ({answer['keys']})" if answer["allowed"] and answer.get("keys") else word


def _why(login: dict[str, Any]) -> Iterator[str]:
    yield from dict.fromkeys([*(f"password: {why}" for why in login["password"]["why"]), *(f"key: {why}" for why in login["key"]["why"])])
    if login["forced"]:
        yield f"runs only {login['forced']}"
