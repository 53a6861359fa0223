"""`novaops verify` of logins without a host: every claim is seen red, and what is right is green."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from novaops.features.login import checks as login
from novaops.features.login.observe import fail2ban as ban
from novaops.features.login.observe import logins as eyes
from novaops.features.login.observe.fail2ban import Ban, served, shut_out
from novaops.features.login.observe.logins import ANYBODY, METHODS, ExpectedLogin, ObservedLogin, Tried, asks_by_keyboard
from novaops.verify.claims import Claim

HERE = "198.51.100.1"
AWAY = "192.0.2.77"
YES = {"passwordauthentication": "yes", "kbdinteractiveauthentication": "yes", "usepam": "yes", "permitrootlogin": "prohibit-password"}
NO = {**YES, "passwordauthentication": "no", "kbdinteractiveauthentication": "no"}
BY_PAM = {**NO, "kbdinteractiveauthentication": "yes"}
ROOT = {**YES, "permitrootlogin": "yes"}
BOTH = frozenset(METHODS)

DENIED = "ssh: Permission denied (publickey)."
REFUSED = "ssh: connect to host 127.0.0.1 port 22: Connection refused"
BAN = Ban("active", "enabled", jail=True, address="127.77.1.2", listed=True, before=DENIED, during=REFUSED, after=DENIED, meanwhile=DENIED)

KNOWN = ObservedLogin(
    *(ExpectedLogin("user", "netlab", "env:PW"), HERE, "root", BOTH),
    tried=Tried(dict.fromkeys(METHODS, "")),
    judged={HERE: YES},
    has_password=True,
)
UNKNOWN = ObservedLogin(ExpectedLogin("user", "nova"), HERE, "root", BOTH, judged={HERE: YES}, has_password=True)
NEAR = replace(UNKNOWN, wanted=ExpectedLogin("user", "nova", addresses=("198.51.100.0/24",)), judged={HERE: YES, AWAY: NO})
FAR = ObservedLogin(
    ExpectedLogin("user", "nova", addresses=("203.0.113.0/24",)), HERE, "root", judged={HERE: NO, "203.0.113.1": YES}, has_password=True
)
EVERYONE = ObservedLogin(ExpectedLogin("everyone", ANYBODY), HERE, "root", BOTH, judged={HERE: YES})
OTHERS = ObservedLogin(ExpectedLogin("others", ANYBODY, named=frozenset({"netlab"})), HERE, "root", judged={"nova": NO, "root": YES})
NO_ROOT = ObservedLogin(ExpectedLogin("root", "root"), HERE, "root", BOTH, judged={HERE: YES})
LET_ROOT = replace(KNOWN, wanted=ExpectedLogin("user", "root", "env:PW"), judged={HERE: ROOT})
KEYS = ObservedLogin(ExpectedLogin("keys"), HERE, "root")
BANS = ObservedLogin(ExpectedLogin("fail2ban"), ban=BAN)

RIGHT = [KNOWN, UNKNOWN, NEAR, FAR, EVERYONE, OTHERS, NO_ROOT, LET_ROOT, KEYS, BANS]


RED: list[tuple[Callable[..., None], ObservedLogin, str]] = [
    (
        login.test_right_password,
        replace(KNOWN, tried=Tried({"password": "Authentication failed"})),
        "the right password of netlab should get in by password, but Authentication failed",
    ),
    (
        login.test_right_password,
        replace(KNOWN, tried=Tried({"password": "", "keyboard-interactive": "Bad authentication type"})),
        "should get in by keyboard-interactive, but Bad",
    ),
    (
        login.test_wrong_password,
        replace(KNOWN, tried=Tried(let_in=("a wrong password",))),
        "netlab should not get in without the right password, but a wrong password got in",
    ),
    (login.test_offered, replace(UNKNOWN, offered=frozenset()), "sshd should offer password login to nova, but it does not"),
    (login.test_offered, replace(EVERYONE, offered=frozenset()), "sshd should offer password login to everybody, but it does not"),
    (login.test_has_password, replace(UNKNOWN, has_password=False), "nova should have a password to log in with"),
    (
        login.test_only_from,
        replace(NEAR, judged={HERE: YES, AWAY: YES}),
        f"sshd -T should say no to passwords of nova from {AWAY}, but it says yes",
    ),
    (
        login.test_only_from,
        replace(FAR, judged={"203.0.113.1": NO}),
        "should say yes to passwords of nova from 203.0.113.1, but it says no",
    ),
    (
        login.test_only_from,
        replace(FAR, offered=BOTH),
        f"from {HERE}, which is not in 203.0.113.0/24, but it offers keyboard-interactive and",
    ),
    (login.test_configured, replace(KNOWN, judged={HERE: NO}), "sshd -T should say yes to passwords of netlab, but it says no"),
    (login.test_configured, replace(LET_ROOT, judged={HERE: YES}), "should say permitrootlogin yes, but it says prohibit-password"),
    (login.test_others_not_offered, replace(OTHERS, offered=BOTH), "no password login to others, but it offers keyboard-interactive and"),
    (
        login.test_others_turned_down,
        replace(OTHERS, taken="it offers password"),
        "root should have a password turned down and get in by key",
    ),
    (login.test_others_not_configured, replace(OTHERS, judged={"nova": BY_PAM}), "of all others, but it says yes for nova"),
    (login.test_others_not_configured, replace(OTHERS, judged={"root": ROOT}), "of all others, but it says yes for root"),
    (login.test_root, replace(NO_ROOT, judged={HERE: ROOT}), "sshd -T says permitrootlogin yes, and yes to passwords"),
    (
        login.test_root,
        replace(NO_ROOT, judged={HERE: {**ROOT, **NO, "permitrootlogin": "yes"}}),
        "and sshd offers keyboard-interactive and",
    ),
    (login.test_keys, replace(KEYS, key="Authentication failed."), "root should get in by key, but Authentication failed"),
    (login.test_watches, replace(BANS, ban=Ban("failed", "enabled", jail=False)), "fail2ban should be active, but it is failed"),
    (login.test_watches, replace(BANS, ban=Ban("inactive", "", jail=False)), "fail2ban should be active, but it is inactive"),
    (login.test_watches, replace(BANS, ban=replace(BAN, enabled="disabled")), "should start at boot, but it is disabled"),
    (login.test_watches, replace(BANS, ban=replace(BAN, jail=False)), "fail2ban should have a jail sshd, but it has none"),
    (login.test_bans, replace(BANS, ban=replace(BAN, listed=False)), "127.77.1.2 should be on fail2ban's list"),
    (login.test_bans, replace(BANS, ban=replace(BAN, during=DENIED)), "should not reach sshd, but ssh said: ssh: Permission denied"),
    (login.test_bans_nobody_else, replace(BANS, ban=replace(BAN, meanwhile=REFUSED)), "another address should reach sshd"),
    (login.test_unbans, replace(BANS, ban=replace(BAN, after=REFUSED)), "127.77.1.2 should reach sshd again"),
]


@pytest.mark.parametrize(("claim", "seen", "sentence"), RED)
def test_claim_is_red(claim: Callable[..., None], seen: ObservedLogin, sentence: str) -> None:
    assert Claim(claim).about(seen.wanted)
    with pytest.raises(AssertionError) as raised:
        claim(seen)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def claims() -> Iterator[Claim]:
    return (Claim(value) for name, value in vars(login).items() if name.startswith("test_"))


def test_every_claim_has_been_red() -> None:
    assert {claim.function for claim in claims()} == {claim for claim, *_ in RED}


@pytest.mark.parametrize("seen", RIGHT, ids=lambda seen: f"{seen.wanted.kind} {seen.wanted.user}")
def test_what_is_right_is_green(seen: ObservedLogin) -> None:
    made = [claim for claim in claims() if claim.about(seen.wanted)]
    assert made
    for claim in made:
        try:
            claim.function(seen)
        except pytest.skip.Exception as skipped:
            assert seen is FAR, skipped  # noqa: PT017 - only there nothing can be tried


UNTRIED = [
    (login.test_right_password, replace(KNOWN, tried=Tried(untried="two were refused")), "two were refused"),
    (login.test_wrong_password, replace(KNOWN, tried=Tried(untried="sshd lets nobody try more")), "sshd lets nobody try more"),
    (login.test_right_password, replace(KNOWN, wanted=replace(KNOWN.wanted, addresses=("203.0.113.0/24",))), f"comes from {HERE}"),
    (login.test_others_turned_down, replace(OTHERS, untried="novaops comes as netlab"), "novaops comes as netlab"),
    (login.test_bans, replace(BANS, ban=Ban("failed", "", jail=False)), "fail2ban does not watch sshd"),
    (login.test_bans, replace(BANS, ban=replace(BAN, ignored="127.0.0.0/8", before="")), "fail2ban ignores 127.0.0.0/8"),
    (login.test_unbans, replace(BANS, ban=replace(BAN, before=REFUSED)), "sshd cannot be reached from the host itself"),
]


@pytest.mark.parametrize(("claim", "seen", "sentence"), UNTRIED)
def test_what_could_not_be_tried_is_said(claim: Callable[..., None], seen: ObservedLogin, sentence: str) -> None:
    with pytest.raises(pytest.skip.Exception) as raised:
        claim(seen)
    assert sentence in str(raised.value)


# -- what is looked at --------------------------------------------------------------------------------------------------------


@dataclass
class User:
    name: str
    password: str | None = None
    addresses: tuple[str, ...] = ()


@dataclass
class Settings:
    users: tuple[User, ...] = ()
    addresses: tuple[str, ...] = ()
    everyone: bool = False
    others: str = "as-is"
    fail2ban: bool = False


def test_entries() -> None:
    wanted = dict(login.entries(Settings((User("netlab", "env:PW"), User("nova", addresses=("10.0.0.0/8",))), ("192.0.2.0/24",))))
    assert list(wanted) == ["keys", "netlab", "nova"]
    assert (wanted["netlab"].password, wanted["netlab"].addresses) == ("env:PW", ("192.0.2.0/24",))
    assert wanted["nova"].addresses == ("10.0.0.0/8",)


def test_what_is_said_of_all() -> None:
    assert list(dict(login.entries(Settings(everyone=True, fail2ban=True)))) == ["keys", "everyone", "fail2ban"]
    assert dict(login.entries(Settings((User("root"),), others="denied")))["root"].kind == "user"


def test_a_user_may_be_called_as_he_likes() -> None:
    wanted = dict(login.entries(Settings((User("others"), User("everyone")), others="denied")))
    assert list(wanted) == ["keys", "root", "others", "user others", "everyone"]


def test_addresses_that_sshd_is_asked_about() -> None:
    assert ExpectedLogin("user", "nova").asked == ()
    assert ExpectedLogin("user", "nova", addresses=("10.0.0.0/8", "192.0.2.0/24")).asked == ("10.0.0.1", "192.0.2.1", "198.51.100.77")
    assert ExpectedLogin("user", "nova", addresses=("0.0.0.0/0", "::/0")).asked == ("0.0.0.1", "::1")


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (YES, True),
        (NO, False),
        (BY_PAM, True),
        ({**BY_PAM, "usepam": "no"}, False),
        ({**BY_PAM, "challengeresponseauthentication": "yes"}, True),
        ({**BY_PAM, "challengeresponseauthentication": "no"}, False),
        ({**YES, "challengeresponseauthentication": "no"}, True),
    ],
)
def test_passwords_are_taken(said: dict[str, str], *, taken: bool) -> None:
    assert login._takes_passwords(said) is taken


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        ({"usepam": "yes"}, True),
        ({"usepam": "no"}, False),
        ({}, False),
        ({"usepam": "yes", "challengeresponseauthentication": "no"}, False),
        ({"usepam": "yes", "challengeresponseauthentication": "yes"}, True),
    ],
)
def test_the_right_password_is_tried_by_the_methods_that_ask(said: dict[str, str], *, asks: bool) -> None:
    assert asks_by_keyboard(said) is asks


@pytest.mark.parametrize(
    ("said", "in_", "out"),
    [
        (DENIED, True, False),
        (REFUSED, False, True),
        ("ssh: connect to host 10.0.0.1 port 22: Connection timed out", False, True),
        ("kex_exchange_identification: read: Connection reset by peer", False, False),
        ("Not allowed at this time", False, False),
        ("", False, False),
    ],
)
def test_what_ssh_says(said: str, *, in_: bool, out: bool) -> None:
    """What sshd itself closes is no ban."""
    assert (served(said), shut_out(said)) == (in_, out)


@pytest.mark.parametrize(("word", "covered"), [("127.0.0.0/8", True), ("127.77.0.5/8", True), ("::1", False), ("example.org", False)])
def test_what_fail2ban_ignores(word: str, *, covered: bool) -> None:
    assert ban._covers(word, "127.77.3.4") is covered


def test_other_eyes() -> None:
    """Nothing of what is verified may be seen through the engine's own facts."""
    for file in (login.__file__, eyes.__file__, ban.__file__):
        text = Path(file).read_text()
        for engine in (".facts", ".resources", "sshd_drop_in", "sshd_config", "login.status"):
            assert engine not in text
