"""What keeps somebody from logging in, found before anything is changed, each with the place that says so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from novaops.facts.account import Account
from novaops.formats.sshd_config import Peer, SshdConfig, covers, listed
from novaops.formats.sshd_drop_in import DROP_IN, KEYWORDS, NAMES

Effective = Mapping[str, tuple[str, ...]]
"""What sshd itself says its settings are for one user from one address."""


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
    """Somebody who wants to log in, and what sshd is set to for them."""

    peer: Peer
    account: Account | None
    """None: there is no such user, or not yet."""
    effective: Effective
    config: SshdConfig
    nologin: bool = False
    """Whether /etc/nologin keeps all but root out."""

    def value(self, keyword: str) -> str:
        return " ".join(self.effective.get(keyword, ()))

    def place(self, keyword: str) -> str:
        """The line that decides; "" where it is sshd's default, or where novaops reads the configuration otherwise than sshd."""
        winner = self.config.ruling(keyword, self.peer).winner
        return winner.where if winner and _same(winner.value, self.value(keyword)) else ""

    def said(self, keyword: str, shown: str) -> LoginBlocker:
        value = self.value(keyword)
        return LoginBlocker(f"{shown} {value}", self.place(keyword) or "sshd's default")


def _same(written: str, effective: str) -> bool:
    names = {"without-password": "prohibit-password"}
    one, other = (names.get(text.lower(), text.lower()) for text in (written, effective))
    return one == other


def to_password(way: LoginContext, *, sets_password: bool = False) -> Iterator[LoginBlocker]:
    """What would turn a right password down. `sets_password`: the account gets a new one, or is made with one."""
    yield from _methods(way)
    yield from _account(way, sets_password=sets_password)
    yield from to_everything(way)
    if missing := _second_factor(way.effective.get("authenticationmethods", ()), {"password", "keyboard-interactive"}):
        place = way.place("authenticationmethods")
        yield LoginBlocker(
            f"AuthenticationMethods asks for more than a password: {missing}", place, "the administrator of the host meant that"
        )
    if way.peer.user == "root" and way.value("permitrootlogin") != "yes":
        yield way.said("permitrootlogin", "PermitRootLogin")


def to_key(way: LoginContext) -> Iterator[LoginBlocker]:
    """What would turn a right key down."""
    account = way.account
    if account is None:
        yield LoginBlocker(f"there is no user {way.peer.user}")
        return
    if way.value("pubkeyauthentication") == "no":
        yield way.said("pubkeyauthentication", "PubkeyAuthentication")
    if not account.keys and not _other_keys(way):
        yield LoginBlocker("it has no key")
    if account.keys and account.keys == account.keys_forced:
        yield LoginBlocker("its keys run one command only, and no shell")
    if account.password == "locked" and way.value("usepam") == "no":
        yield LoginBlocker("its password is locked, and without PAM sshd then takes no key either", way.place("usepam"))
    if account.expired:
        yield LoginBlocker("the account has expired", fix=f"chage -E -1 {account.name}")
    if account.password_expired and way.value("usepam") == "yes":
        yield LoginBlocker("its password has expired, and PAM has it changed before anything else")
    yield from to_everything(way)
    if missing := _second_factor(way.effective.get("authenticationmethods", ()), {"publickey"}):
        yield LoginBlocker(f"AuthenticationMethods asks for more than a key: {missing}", way.place("authenticationmethods"))
    if way.peer.user == "root" and way.value("permitrootlogin") in {"no", "forced-commands-only"}:
        yield way.said("permitrootlogin", "PermitRootLogin")


def to_everything(way: LoginContext) -> Iterator[LoginBlocker]:
    """What turns every login down, however it is done."""
    yield from _lists(way)
    if way.value("refuseconnection") == "yes":
        yield way.said("refuseconnection", "RefuseConnection")
    if way.nologin and way.peer.user != "root":
        yield LoginBlocker("/etc/nologin is there: only root may log in", fix="rm /etc/nologin, when the maintenance is over")
    if way.account is not None and not way.account.shell_works:
        yield LoginBlocker(f"its shell {way.account.shell} takes nobody in", fix=f"chsh -s /bin/bash {way.account.name}")


def _methods(way: LoginContext) -> Iterator[LoginBlocker]:
    if way.value("passwordauthentication") == "yes":
        return
    if way.value("kbdinteractiveauthentication") == "yes" and way.value("usepam") == "yes":
        return
    yield way.said("passwordauthentication", "PasswordAuthentication")


def _account(way: LoginContext, *, sets_password: bool) -> Iterator[LoginBlocker]:
    account, name = way.account, way.peer.user
    if account is None:
        if not sets_password:
            yield LoginBlocker(f"there is no user {name}", fix=f"--user {name} --password env:NAME makes it")
        return
    if account.expired:
        yield LoginBlocker("the account has expired", fix=f"chage -E -1 {name}")
    if sets_password:
        return
    states = {"none": "it has no password", "locked": "its password is locked", "empty": "its password is empty, which sshd does not take"}
    if account.password in states and not (account.password == "empty" and way.value("permitemptypasswords") == "yes"):
        yield LoginBlocker(states[account.password], fix=f"--user {name} --password env:NAME sets one")
    elif account.password_expired:
        yield LoginBlocker(
            "its password has expired, and must be changed at the next login", fix=f"--user {name} --password env:NAME sets one"
        )


def _second_factor(methods: tuple[str, ...], enough: set[str]) -> str:
    """The methods that are asked for, where no way leads in by just one of `enough`; else ""."""
    ways = [words.split(",") for value in methods for words in value.split()]
    alone = (way[0].partition(":")[0] for way in ways if len(way) == 1)
    return "" if not ways or {"any"} & set(methods) or enough & set(alone) else " or ".join(" ".join(way) for way in ways)


def _lists(way: LoginContext) -> Iterator[LoginBlocker]:
    """AllowUsers and its kin, in the order sshd asks them (sshd_config(5), AllowGroups)."""
    groups = way.peer.groups
    denied, allowed = (way.effective.get(keyword, ()) for keyword in ("denyusers", "allowusers"))
    if hit := next((pattern for pattern in denied if _is_user(pattern, way.peer)), None):
        yield LoginBlocker(f"DenyUsers {hit}", _line_with(way, "denyusers", hit))
    if allowed and not any(_is_user(pattern, way.peer) for pattern in allowed):
        yield LoginBlocker(f"AllowUsers names others only: {' '.join(allowed)}", _line_with(way, "allowusers", allowed[0]))
    denied, allowed = (way.effective.get(keyword, ()) for keyword in ("denygroups", "allowgroups"))
    if hit := next((pattern for pattern in denied if listed(groups, pattern)), None):
        yield LoginBlocker(f"DenyGroups {hit}", _line_with(way, "denygroups", hit))
    if allowed and not any(listed(groups, pattern) for pattern in allowed):
        yield LoginBlocker(f"AllowGroups names others only: {' '.join(allowed)}", _line_with(way, "allowgroups", allowed[0]))


def _is_user(pattern: str, peer: Peer) -> bool:
    """USER or USER@HOST, where HOST may be a network."""
    user, at, host = pattern.rpartition("@")
    if not at:
        return listed([peer.user], pattern)
    return listed([peer.user], user) and (listed([peer.address], host, covers) or listed([peer.host or peer.address], host))


def _line_with(way: LoginContext, keyword: str, word: str) -> str:
    lines = way.config.in_force(keyword, way.peer)
    return next((line.where for line in lines if word in line.value.split()), lines[0].where if lines else "")


def _other_keys(way: LoginContext) -> bool:
    """Whether keys come from elsewhere than the user's own files: a command, or an authority whose certificates are taken."""
    return any(way.value(keyword) not in {"", "none"} for keyword in ("authorizedkeyscommand", "trustedusercakeys"))


def rulings(ways: Iterable[LoginContext], after: SshdConfig) -> Iterator[tuple[str, LoginBlocker]]:
    """Users for whom another line than novaops' own would decide about passwords once `after` is in force, with that line."""
    for way in ways:
        for keyword in KEYWORDS:
            winner = after.ruling(keyword, way.peer).winner
            if winner is None or winner.file != DROP_IN:
                text = f"{NAMES[keyword]} {winner.value}" if winner else f"nothing sets {keyword}"
                yield way.peer.user, LoginBlocker(f"{text} comes before what novaops would write", winner.where if winner else "")
                break
