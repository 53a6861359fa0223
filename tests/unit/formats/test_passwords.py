"""Passwords: the weak ones, and hashes that the system's own crypt takes for right whatever the password is made of."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.formats import passwords
from novaops.formats.passwords import LONGEST, ROUNDS, hashed, matches, weakness
from novaops.secret import Secret

TABLE = yaml.safe_load((Path(__file__).parents[2] / "cases" / "login" / "passwords.yaml").read_text("utf-8"))
ROWS = [
    pytest.param(
        password,
        why,
        id=f"{why or 'good'}-{password[:20]!r}",
    )
    for why, rows in TABLE.items()
    for password in rows
]

TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)
HOSTILE = ("'", '"', "$(id)", "`id`", "\\", "\n", "%s", ":", "$6$salt$hash", "é汉\u0301", " ", "-n", "a" * LONGEST)


@pytest.mark.parametrize(("password", "why"), ROWS)
def test_weak(password: str, why: str) -> None:
    assert weakness(password, "netlab") == why


def test_the_limits_are_where_they_are_said_to_be() -> None:
    mixed = "Xk7-Qd2mW4pé"
    assert (weakness(mixed, "netlab"), weakness(mixed[:-1], "netlab")) == ("", "has fewer than 12 characters")
    long = (mixed * 30).encode()[: LONGEST + 1].decode()
    assert (len(long.encode()), weakness(long, "netlab"), weakness(long[:-1], "netlab")) == (256, "has more than 255 bytes", "")


@pytest.mark.parametrize(("user", "why"), [("x", ""), ("Qd", ""), ("qd2", "has the user's name in it"), ("", "")])
def test_a_name_of_one_or_two_letters_is_in_good_passwords_by_chance(user: str, why: str) -> None:
    assert weakness("Xk7-Qd2mW4pé", user) == why


@given(TEXT, st.text("abc", min_size=1))
def test_what_is_weak_is_said_without_the_password(password: str, user: str) -> None:
    assert password not in weakness(password, user) or len(password) < 12  # a word as short may be one of the sentence


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "ROUNDS", 1000)


def crypted(password: str, salt: str) -> str:
    """What the C library makes of it, as sshd and PAM would."""
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import crypt
    except ImportError:  # Python 3.13 has none
        script = "binmode STDIN; local $/; print crypt(<STDIN>, $ARGV[0])"
        return subprocess.run(["perl", "-e", script, salt], input=password.encode(), capture_output=True, check=True).stdout.decode()
    return str(crypt.crypt(password, salt))


@pytest.mark.usefixtures("_quick")
@given(TEXT)
def test_the_system_takes_the_hash_for_the_password(password: str) -> None:
    made = hashed(Secret(password), "0123456789abcdef").reveal()
    assert crypted(password, made) == made
    assert made.startswith("$6$rounds=1000$0123456789abcdef$")
    assert not set(made) & set(":\n'\"\\ ")
    assert matches(Secret(password), Secret(made))
    assert not matches(Secret(password + "x"), Secret(made))


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("password", HOSTILE)
def test_the_system_takes_the_hash_of_what_is_hostile(password: str) -> None:
    made = hashed(Secret(password), "abcdefgh").reveal()
    assert crypted(password, made) == made
    assert matches(Secret(password), Secret(made))


def test_the_hash_is_as_slow_as_it_is_said_to_be() -> None:
    assert hashed(Secret("wired-Fjord-88"), "abcdefgh").reveal().startswith(f"$6$rounds={ROUNDS}$abcdefgh$")


@pytest.mark.parametrize("scheme", ["$5$", "$6$", "$6$rounds=5000$", "$5$rounds=1000$"])
def test_hashes_that_others_made_are_known_again(scheme: str) -> None:
    made = crypted("wired-Fjord-88", f"{scheme}saltsalt")
    assert matches(Secret("wired-Fjord-88"), Secret(made))
    assert not matches(Secret("wired-Fjord-89"), Secret(made))
    assert not matches(Secret("wired-Fjord-88"), Secret(f"!{made}")), "a locked one lets nobody in"


@pytest.mark.parametrize(
    "field",
    ["", "!", "*", "!!", "x", "$y$j9T$salt$hash", "$1$abc$abc", "$6$", "$6$rounds=x$a$b", "$6$a", "abJnggxhB/yWI", "é", "$5$rounds=1000$"],
)
def test_what_is_no_hash_that_can_be_compared_is_another_password(field: str) -> None:
    assert not matches(Secret("wired-Fjord-88"), Secret(field))


@given(TEXT)
@example("$6$rounds=99999999999$a$b")
@example("$6$rounds=1000$" + "a" * 16)
def test_no_field_of_shadow_is_too_odd(field: str) -> None:
    assert not matches(Secret("wired-Fjord-88"), Secret(field))
