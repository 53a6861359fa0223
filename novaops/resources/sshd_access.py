"""What keeps a user from logging in, with the line that says so; found before anything is changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from novaops.facts.account import Account
from novaops.formats.sshd_config import Peer, Setting, SshdConfig, covers, listed
from novaops.formats.sshd_drop_in import DROP_IN, KEYWORDS, NAMES

_METHODS = ("password", "keyboard-interactive")
"""The methods that KEYWORDS switch."""

_USUAL_PAM = frozenset(
    f"pam_{name}"
    for name in (
        *("unix", "nologin", "permit", "deny", "env", "cap", "faildelay", "faillock", "localuser", "usertype", "succeed_if", "sepermit"),
        *("selinux", "loginuid", "keyinit", "limits", "sss", "systemd_home", "rootok", "shells", "ecryptfs", "gnome_keyring", "mount"),
    )
)
"""Modules that the distributions have by themselves: they let in who has the right password."""

Effective = Mapping[str, tuple[str, ...]]
"""sshd's own settings for one user from one address, as `sshd -T` prints them."""


def keyboard_asks(effective: Effective) -> bool:
    """Whether keyboard-interactive asks for a password where it is offered: only by PAM.

    Before OpenSSH 8.7 `ChallengeResponseAuthentication no`, as in Debian 11 and Ubuntu 20.04, ends it unasked. Newer ones have that for
    another name of KbdInteractiveAuthentication, and do not print it.
    """
    return effective.get("usepam") == ("yes",) and effective.get("challengeresponseauthentication") != ("no",)


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
    pam: tuple[tuple[str, str], ...] = ()
    """What PAM asks: ("auth" or "account", module)."""

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


@dataclass(frozen=True)
class Answer:
    """Whether sshd would take a right password, or a right key."""

    allowed: bool | None
    """None: that cannot be known."""
    why: tuple[LoginBlocker, ...]
    """What is against it, or what decides and is not known."""


def by_password(context: LoginContext) -> Answer:
    return answer(to_password(context), perhaps_by_password(context))


def answer(against: Iterable[LoginBlocker], perhaps: Iterable[LoginBlocker]) -> Answer:
    blockers, unknown = tuple(against), tuple(perhaps)
    return Answer(allowed=False, why=blockers) if blockers else Answer(None if unknown else True, unknown)


def perhaps_by_password(context: LoginContext) -> Iterator[LoginBlocker]:
    """What decides whether a password is right, and cannot be known from here."""
    if context.account is not None and context.account.password == "elsewhere":
        yield LoginBlocker("its password is kept elsewhere, where PAM asks (LDAP, SSSD)")
    yield from perhaps_by_pam(context, "auth", "account")


def perhaps_by_pam(context: LoginContext, *kinds: str) -> Iterator[LoginBlocker]:
    """The modules that may turn a login down by rules of their own, or ask for more. A key is taken without asking those for `auth`."""
    others = [module for kind, module in context.pam if kind in kinds and module not in _USUAL_PAM]
    if others and context.value("usepam") == "yes":
        yield LoginBlocker(f"PAM asks {', '.join(dict.fromkeys(others))} too", "/etc/pam.d/sshd")


def to_password(context: LoginContext, *, sets_password: bool = False) -> Iterator[LoginBlocker]:
    """What would make sshd reject a right password. `sets_password`: the account gets a new one, or is created with one."""
    yield from _methods(context)
    yield from _account(context, sets_password=sets_password)
    yield from to_everything(context)
    asks = {name for name, keyword in zip(_METHODS, KEYWORDS, strict=True) if context.value(keyword) == "yes"} or set(_METHODS)
    if not keyboard_asks(context.effective):
        asks = {"password"}
    if missing := second_factor(context.effective.get("authenticationmethods", ()), asks):
        place = context.place("authenticationmethods")
        yield LoginBlocker(
            f"AuthenticationMethods asks for more than a password: {missing}", place, "the administrator of the host meant that"
        )
    if context.peer.user == "root" and context.value("permitrootlogin") != "yes":
        yield context.said("permitrootlogin", "PermitRootLogin")


def to_everything(context: LoginContext) -> Iterator[LoginBlocker]:
    """What makes sshd reject every login, by whatever method."""
    yield from _lists(context)
    if context.value("refuseconnection") == "yes":
        yield context.said("refuseconnection", "RefuseConnection")
    if context.nologin and context.peer.user != "root":
        yield LoginBlocker("/etc/nologin is there: only root may log in", fix="rm /etc/nologin, when the maintenance is over")
    sftp_only = context.value("forcecommand").startswith("internal-sftp")  # which sshd serves itself, whatever the shell
    if context.account is not None and not context.account.shell_works and not sftp_only:
        yield LoginBlocker(f"its shell {context.account.shell} does not allow login", fix=f"chsh -s /bin/bash {context.account.name}")
    if context.account is not None and context.account.jail:
        yield LoginBlocker(f"sshd locks it into ChrootDirectory, and {context.account.jail}", context.place("chrootdirectory"))


def _methods(context: LoginContext) -> Iterator[LoginBlocker]:
    if context.value("passwordauthentication") == "yes":
        return
    if context.value("kbdinteractiveauthentication") == "yes" and keyboard_asks(context.effective):
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
    states = {} if context.value("usepam") == "yes" else {"elsewhere": "its password is kept elsewhere, where sshd asks only by PAM"}
    states |= {
        "none": "it has no password",
        "barred": "it has no password",
        "locked": "its password is locked",
        "empty": "its password is empty, which sshd does not take",
    }
    if account.password in states and not (account.password == "empty" and context.value("permitemptypasswords") == "yes"):
        yield LoginBlocker(states[account.password], fix=f"--user {name} --password env:NAME sets one")
    elif account.password_expired:
        yield LoginBlocker(
            "its password has expired, and must be changed at the next login", fix=f"--user {name} --password env:NAME sets one"
        )


def second_factor(methods: tuple[str, ...], enough: set[str]) -> str:
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


def rulings(contexts: Iterable[LoginContext], after: SshdConfig, harmless: str = "") -> Iterator[tuple[str, LoginBlocker]]:
    """Users for whom a line that is not novaops' would decide about passwords once `after` is in force, with that line.

    `harmless` is the value with which it may: a line that says no keeps nobody from denying.
    """
    for context in contexts:
        for keyword in KEYWORDS:
            winner = after.ruling(keyword, context.peer).winner
            if winner is None or (winner.file != DROP_IN and winner.value.lower() != harmless):
                yield context.peer.user, LoginBlocker(*_comes_before(keyword, winner))
                break


def rulings_elsewhere(contexts: Iterable[LoginContext], after: SshdConfig) -> Iterator[tuple[str, LoginBlocker]]:
    """Users whom such a line would let in by password from some other address."""
    for context in contexts:
        lines = (line for keyword in KEYWORDS for line in after.possible(keyword, context.peer))
        if line := next((line for line in lines if line.file != DROP_IN and line.value.lower() == "yes"), None):
            yield context.peer.user, LoginBlocker(*_comes_before(line.keyword, line))


def _comes_before(keyword: str, line: Setting | None) -> tuple[str, str]:
    text = f"{NAMES[keyword]} {line.value}" if line else f"nothing sets {keyword}"
    return f"{text} comes before what novaops would write", line.where if line else ""


def needs_password(context: LoginContext) -> Iterator[LoginBlocker]:
    """AuthenticationMethods that nobody could satisfy any more without passwords: from here, or else from wherever they hold."""
    fix = "let a key suffice there first: AuthenticationMethods publickey"
    methods = context.value("authenticationmethods")
    if _all_with_password(methods):
        yield LoginBlocker(f"AuthenticationMethods {methods} needs a password", context.place("authenticationmethods"), fix)
        return
    for line in context.config.possible("authenticationmethods", context.peer):
        if _all_with_password(line.value):
            yield LoginBlocker(f"AuthenticationMethods {line.value} needs a password for whom it holds", line.where, fix)


def _all_with_password(methods: str) -> bool:
    lists = [[name.partition(":")[0] for name in words.split(",")] for words in methods.split()]
    return bool(lists) and all(set(_METHODS) & set(names) for names in lists)
