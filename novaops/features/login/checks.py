"""login: those who may log in by password can, the others cannot, and keys work as before. Tried by logging in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import pytest

from novaops.features.login.observe.fail2ban import Ban, served, shut_out
from novaops.features.login.observe.logins import ANYBODY, METHODS, ExpectedLogin, ObservedLogin, Tried, asks_by_keyboard, observe
from novaops.verify import applies

__all__ = ["entries", "observe"]


class User(Protocol):
    """What an entry of `users:` says."""

    @property
    def name(self) -> str: ...
    @property
    def password(self) -> str | None: ...
    @property
    def addresses(self) -> tuple[str, ...]: ...


class Settings(Protocol):
    """What `login:` says."""

    @property
    def users(self) -> Sequence[User]: ...
    @property
    def addresses(self) -> tuple[str, ...]: ...
    @property
    def everyone(self) -> bool: ...
    @property
    def others(self) -> str: ...
    @property
    def fail2ban(self) -> bool: ...


def entries(settings: Settings) -> Iterator[tuple[str, ExpectedLogin]]:
    named = frozenset(user.name for user in settings.users)
    special = [ExpectedLogin("keys")]
    if "root" not in named and settings.others == "denied":  # else root is as the host has it, which nobody asked to change
        special.append(ExpectedLogin("root", "root"))
    if settings.everyone:
        special.append(ExpectedLogin("everyone", ANYBODY, addresses=settings.addresses))
    if settings.others == "denied":
        special.append(ExpectedLogin("others", ANYBODY, named=named))
    if settings.fail2ban:
        special.append(ExpectedLogin("fail2ban"))
    taken = {wanted.kind for wanted in special}
    yield from ((wanted.kind, wanted) for wanted in special)
    for user in settings.users:
        name = user.name if user.name not in taken else f"user {user.name}"
        yield name, ExpectedLogin("user", user.name, user.password, user.addresses or settings.addresses)


def _is(*kinds: str) -> Callable[[ExpectedLogin], bool]:
    return lambda wanted: wanted.kind in kinds


def _known(wanted: ExpectedLogin) -> bool:
    return wanted.kind == "user" and wanted.password is not None


def _unknown(wanted: ExpectedLogin) -> bool:
    return wanted.kind == "everyone" or (wanted.kind == "user" and wanted.password is None)


# -- claims -------------------------------------------------------------------------------------------------------------------


@applies(_known)
def test_right_password(seen: ObservedLogin) -> None:
    """Gets in with the right password, by each method that asks for it, and runs a command"""
    tried = _tried(seen)
    if not tried.refused:
        pytest.skip(tried.untried or "a wrong password got in before")
    for method in METHODS:
        why = tried.refused.get(method, "")
        assert not why, f"the right password of {seen.wanted.user} should get in by {method}, but {why}"


@applies(_known)
def test_wrong_password(seen: ObservedLogin) -> None:
    """Does not get in with a wrong password, nor with the empty one"""
    tried = _tried(seen)
    assert not tried.let_in, f"{seen.wanted.user} should not get in without the right password, but {' and '.join(tried.let_in)} got in"
    if tried.untried:
        pytest.skip(tried.untried)


@applies(_unknown)
def test_offered(seen: ObservedLogin) -> None:
    """Is asked for a password by the sshd that runs"""
    _needs_here(seen)
    assert set(METHODS) & seen.offered, f"sshd should offer password login to {_who(seen)}, but it does not"


@applies(lambda wanted: wanted.kind == "user" and wanted.password is None)
def test_has_password(seen: ObservedLogin) -> None:
    """Has an account with a password that is not locked"""
    assert seen.has_password, f"{seen.wanted.user} should have a password to log in with, but there is none, or it is locked"


@applies(lambda wanted: wanted.kind in {"user", "everyone"} and bool(wanted.addresses))
def test_only_from(seen: ObservedLogin) -> None:
    """Is let in by password from the wanted networks, and from nowhere else"""
    for address, said in seen.judged.items():
        wanted, found = seen.wanted.inside(address), _takes_passwords(said)
        expected = f"sshd -T should say {'yes' if wanted else 'no'} to passwords of {_who(seen)} from {address}"
        assert wanted == found, f"{expected}, but it says {'yes' if found else 'no'}"
    if not seen.wanted.inside(seen.here):
        expected = f"sshd should offer no password login to {_who(seen)} from {seen.here}, which is not in {_networks(seen)}"
        assert not seen.offered, f"{expected}, but it offers {_methods(seen)}"


@applies(lambda wanted: wanted.kind in {"user", "everyone"} and not wanted.addresses)
def test_configured(seen: ObservedLogin) -> None:
    """Is let in by password by sshd's configuration, so also after sshd is started again"""
    assert _takes_passwords(seen.judged[seen.here]), f"sshd -T should say yes to passwords of {_who(seen)}, but it says no"
    if seen.wanted.user == "root":
        permit = seen.judged[seen.here]["permitrootlogin"]
        assert permit == "yes", f"sshd -T should say permitrootlogin yes, but it says {permit}"


@applies(_is("others"))
def test_others_not_offered(seen: ObservedLogin) -> None:
    """Are asked for no password by the sshd that runs"""
    assert not seen.offered, f"sshd should offer no password login to others, but it offers {_methods(seen)}"


@applies(_is("others"))
def test_others_turned_down(seen: ObservedLogin) -> None:
    """Have a password turned down on a connection that the key then opens"""
    if seen.untried:
        pytest.skip(seen.untried)
    assert not seen.taken, f"{seen.login} should have a password turned down and get in by key, but {seen.taken}"


@applies(_is("others"))
def test_others_not_configured(seen: ObservedLogin) -> None:
    """Are let in by password by no line of sshd's configuration"""
    found = [user for user, said in seen.judged.items() if _takes_passwords(said) and _root_may(user, said)]
    assert not found, f"sshd -T should say no to passwords of all others, but it says yes for {', '.join(found)}"


@applies(_is("root"))
def test_root(seen: ObservedLogin) -> None:
    """Does not get in by password"""
    said = seen.judged[seen.here]
    if said["permitrootlogin"] != "yes":
        return
    expected = "root should not get in by password (only root: true lets it), but sshd -T says permitrootlogin yes"
    assert not _takes_passwords(said), f"{expected}, and yes to passwords"
    assert not seen.offered, f"{expected}, and sshd offers {_methods(seen)}"


@applies(_is("keys"))
def test_keys(seen: ObservedLogin) -> None:
    """Still work"""
    assert not seen.key, f"{seen.login} should get in by key, but {seen.key}"


@applies(_is("fail2ban"))
def test_watches(seen: ObservedLogin) -> None:
    """Runs, now and after a reboot, and watches sshd"""
    ban = _ban(seen)
    assert ban.running == "active", f"fail2ban should be active, but it is {ban.running}"
    assert ban.enabled == "enabled", f"fail2ban should start at boot, but it is {ban.enabled or 'not installed'}"
    assert ban.jail, "fail2ban should have a jail sshd, but it has none"


@applies(_is("fail2ban"))
def test_bans(seen: ObservedLogin) -> None:
    """Shuts out an address that fails again and again"""
    ban = _banning(seen)
    assert ban.listed, f"{ban.address} should be on fail2ban's list after it failed again and again, but it is not"
    assert shut_out(ban.during), f"{ban.address} is on fail2ban's list and should not reach sshd, but ssh said: {ban.during}"


@applies(_is("fail2ban"))
def test_bans_nobody_else(seen: ObservedLogin) -> None:
    """Keeps sshd open for all others meanwhile"""
    ban = _banning(seen)
    assert served(ban.meanwhile), f"another address should reach sshd while {ban.address} is banned, but ssh said: {ban.meanwhile}"


@applies(_is("fail2ban"))
def test_unbans(seen: ObservedLogin) -> None:
    """Lets the address in again when it is taken off the list"""
    ban = _banning(seen)
    assert served(ban.after), f"{ban.address} should reach sshd again after it was taken off the list, but ssh said: {ban.after}"


# -- in words -----------------------------------------------------------------------------------------------------------------


def _tried(seen: ObservedLogin) -> Tried:
    _needs_here(seen)
    assert seen.tried is not None
    return seen.tried


def _needs_here(seen: ObservedLogin) -> None:
    if not seen.wanted.inside(seen.here):
        pytest.skip(f"this machine comes from {seen.here}, and not from {_networks(seen)}")


def _ban(seen: ObservedLogin) -> Ban:
    assert seen.ban is not None
    return seen.ban


def _banning(seen: ObservedLogin) -> Ban:
    """The ban that was tried; without one there is nothing to judge."""
    ban = _ban(seen)
    if not ban.jail:
        pytest.skip("fail2ban does not watch sshd")
    if ban.ignored:
        pytest.skip(f"fail2ban ignores {ban.ignored}, so no ban could be tried from the host itself")
    if not served(ban.before):
        pytest.skip(f"sshd cannot be reached from the host itself: {ban.before}")
    return ban


def _takes_passwords(said: Mapping[str, str]) -> bool:
    by_pam = said["kbdinteractiveauthentication"] == "yes" and asks_by_keyboard(said)
    return said["passwordauthentication"] == "yes" or by_pam


def _root_may(user: str, said: Mapping[str, str]) -> bool:
    return user != "root" or said["permitrootlogin"] == "yes"


def _who(seen: ObservedLogin) -> str:
    return "everybody" if seen.wanted.kind == "everyone" else seen.wanted.user


def _networks(seen: ObservedLogin) -> str:
    return ", ".join(seen.wanted.addresses)


def _methods(seen: ObservedLogin) -> str:
    return " and ".join(sorted(seen.offered))
