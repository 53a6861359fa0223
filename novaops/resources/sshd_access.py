"""What keeps a user from logging in, with the line that says so; found before anything is changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from novaops.facts.account import Account
from novaops.formats.sshd_config import Peer, SshdConfig, covers, listed
from novaops.formats.sshd_drop_in import DROP_IN, KEYWORDS, NAMES

Effective = Mapping[str, tuple[str, ...]]
"""sshd's own settings for one user from one address, as `sshd -T` prints them."""


@dataclass(frozen=True)
class LoginBlocker:
    text: str
    where: str = ""
    """file:line, where a line of sshd's configuration is to blame."""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.text} ← {self.where}" if self.where else self.text


@dataclass(frozen=True)
class LoginContext:
    """A user who wants to log in from an address, and what sshd is set to for them."""

    peer: Peer
    account: Account | None
    """None: there is no such user, or not yet."""
    effective: Effective
    config: SshdConfig
    nologin: bool = False
    """Whether there is an /etc/nologin, with which only root may log in."""

    def value(self, keyword: str) -> str:
        return " ".join(self.effective.get(keyword, ()))

    def place(self, keyword: str) -> str:
        """The line that decides; "" where it is sshd's default, or where sshd does not say what the line says."""
        winner = self.config.ruling(keyword, self.peer).winner
        return winner.where if winner and _same(winner.value, self.value(keyword)) else ""

    def said(self, keyword: str, shown: str) -> LoginBlocker:
        value = self.value(keyword)
        return LoginBlocker(f"{shown} {value}", self.place(keyword) or "sshd's default")


def _same(written: str, effective: str) -> bool:
    names = {"without-password": "prohibit-password"}
    one, other = (names.get(text.lower(), text.lower()) for text in (written, effective))
    return one == other


def to_password(context: LoginContext, *, sets_password: bool = False) -> Iterator[LoginBlocker]:
    """What would make sshd reject a right password. `sets_password`: the account gets a new one, or is created with one."""
    yield from _methods(context)
    yield from _account(context, sets_password=sets_password)
    yield from to_everything(context)
    if missing := _second_factor(context.effective.get("authenticationmethods", ()), {"password", "keyboard-interactive"}):
        place = context.place("authenticationmethods")
        yield LoginBlocker(
            f"AuthenticationMethods asks for more than a password: {missing}", place, "the administrator of the host meant that"
        )
    if context.peer.user == "root" and context.value("permitrootlogin") != "yes":
        yield context.said("permitrootlogin", "PermitRootLogin")


def to_key(context: LoginContext) -> Iterator[LoginBlocker]:
    """What would make sshd reject a right key."""
    account = context.account
    if account is None:
        yield LoginBlocker(f"there is no user {context.peer.user}")
        return
    if context.value("pubkeyauthentication") == "no":
        yield context.said("pubkeyauthentication", "PubkeyAuthentication")
    if not account.keys and not _other_keys(context):
        yield LoginBlocker("it has no key")
    if account.keys and account.keys == account.keys_forced:
        yield LoginBlocker("its keys run one command only, and no shell")
    if account.password == "locked" and context.value("usepam") == "no":
        yield LoginBlocker("its password is locked, and without PAM sshd then takes no key either", context.place("usepam"))
    if account.expired:
        yield LoginBlocker("the account has expired", fix=f"chage -E -1 {account.name}")
    if account.password_expired and context.value("usepam") == "yes":
        yield LoginBlocker("its password has expired, and PAM has it changed before anything else")
    yield from to_everything(context)
    if missing := _second_factor(context.effective.get("authenticationmethods", ()), {"publickey"}):
        yield LoginBlocker(f"AuthenticationMethods asks for more than a key: {missing}", context.place("authenticationmethods"))
    if context.peer.user == "root" and context.value("permitrootlogin") in {"no", "forced-commands-only"}:
        yield context.said("permitrootlogin", "PermitRootLogin")


def to_everything(context: LoginContext) -> Iterator[LoginBlocker]:
    """What makes sshd reject every login, by whatever method."""
    yield from _lists(context)
    if context.value("refuseconnection") == "yes":
        yield context.said("refuseconnection", "RefuseConnection")
    if context.nologin and context.peer.user != "root":
        yield LoginBlocker("/etc/nologin is there: only root may log in", fix="rm /etc/nologin, when the maintenance is over")
    if context.account is not None and not context.account.shell_works:
        yield LoginBlocker(f"its shell {context.account.shell} does not allow login", fix=f"chsh -s /bin/bash {context.account.name}")


def _methods(context: LoginContext) -> Iterator[LoginBlocker]:
    if context.value("passwordauthentication") == "yes":
        return
    if context.value("kbdinteractiveauthentication") == "yes" and context.value("usepam") == "yes":
        return
    yield context.said("passwordauthentication", "PasswordAuthentication")


def _account(context: LoginContext, *, sets_password: bool) -> Iterator[LoginBlocker]:
    account, name = context.account, context.peer.user
    if account is None:
        if not sets_password:
            yield LoginBlocker(f"there is no user {name}", fix=f"--user {name} --password env:NAME makes it")
        return
    if account.expired:
        yield LoginBlocker("the account has expired", fix=f"chage -E -1 {name}")
    if sets_password:
        return
    states = {"none": "it has no password", "locked": "its password is locked", "empty": "its password is empty, which sshd does not take"}
    if account.password in states and not (account.password == "empty" and context.value("permitemptypasswords") == "yes"):
        yield LoginBlocker(states[account.password], fix=f"--user {name} --password env:NAME sets one")
    elif account.password_expired:
        yield LoginBlocker(
            "its password has expired, and must be changed at the next login", fix=f"--user {name} --password env:NAME sets one"
        )


def _second_factor(methods: tuple[str, ...], enough: set[str]) -> str:
    """AuthenticationMethods, where none of `enough` suffices alone; else ""."""
    lists = [words.split(",") for value in methods for words in value.split()]
    alone = (names[0].partition(":")[0] for names in lists if len(names) == 1)
    return "" if not lists or {"any"} & set(methods) or enough & set(alone) else " or ".join(" ".join(names) for names in lists)


def _lists(context: LoginContext) -> Iterator[LoginBlocker]:
    """DenyUsers, AllowUsers, DenyGroups and AllowGroups, in the order in which sshd checks them (sshd_config(5))."""
    groups = context.peer.groups
    denied, allowed = (context.effective.get(keyword, ()) for keyword in ("denyusers", "allowusers"))
    if hit := next((pattern for pattern in denied if _is_user(pattern, context.peer)), None):
        yield LoginBlocker(f"DenyUsers {hit}", _line_with(context, "denyusers", hit))
    if allowed and not any(_is_user(pattern, context.peer) for pattern in allowed):
        yield LoginBlocker(f"AllowUsers names others only: {' '.join(allowed)}", _line_with(context, "allowusers", allowed[0]))
    denied, allowed = (context.effective.get(keyword, ()) for keyword in ("denygroups", "allowgroups"))
    if hit := next((pattern for pattern in denied if listed(groups, pattern)), None):
        yield LoginBlocker(f"DenyGroups {hit}", _line_with(context, "denygroups", hit))
    if allowed and not any(listed(groups, pattern) for pattern in allowed):
        yield LoginBlocker(f"AllowGroups names others only: {' '.join(allowed)}", _line_with(context, "allowgroups", allowed[0]))


def _is_user(pattern: str, peer: Peer) -> bool:
    """USER or USER@HOST, where HOST may be a network."""
    user, at, host = pattern.rpartition("@")
    if not at:
        return listed([peer.user], pattern)
    return listed([peer.user], user) and (listed([peer.address], host, covers) or listed([peer.host or peer.address], host))


def _line_with(context: LoginContext, keyword: str, word: str) -> str:
    lines = context.config.in_force(keyword, context.peer)
    return next((line.where for line in lines if word in line.value.split()), lines[0].where if lines else "")


def _other_keys(context: LoginContext) -> bool:
    """Whether keys come from elsewhere than the user's own files: a command, or a trusted certificate authority."""
    return any(context.value(keyword) not in {"", "none"} for keyword in ("authorizedkeyscommand", "trustedusercakeys"))


def rulings(contexts: Iterable[LoginContext], after: SshdConfig) -> Iterator[tuple[str, LoginBlocker]]:
    """Users for whom a line that is not novaops' would decide about passwords once `after` is in force, with that line."""
    for context in contexts:
        for keyword in KEYWORDS:
            winner = after.ruling(keyword, context.peer).winner
            if winner is None or winner.file != DROP_IN:
                text = f"{NAMES[keyword]} {winner.value}" if winner else f"nothing sets {keyword}"
                yield context.peer.user, LoginBlocker(f"{text} comes before what novaops would write", winner.where if winner else "")
                break
