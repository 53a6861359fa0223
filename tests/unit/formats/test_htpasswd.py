"""Password files: who is in them, with hashes that nginx takes, and nothing changed without need."""

from __future__ import annotations

import re
from collections.abc import Mapping

import bcrypt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.formats import htpasswd
from novaops.secret import Secret
from tests.support.proxy_sites import API, CONF, files, nginx

PASSWORDS = {"bob": Secret("wired-Fjord-88"), "ann": Secret("glass-Tundra$1 é")}
PATH = "/etc/nginx/novaops/gate.htpasswd"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(htpasswd, "COST", 4)


def lines(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines())


def lets_in(text: str, user: str, password: str) -> bool:
    return bcrypt.checkpw(password.encode(), lines(text)[user].encode())


def test_every_user_with_a_hash_of_the_common_kind() -> None:
    """P02: libc, Apache's tools and nginx know $2y$."""
    text = htpasswd.written(PASSWORDS)
    assert list(lines(text)) == ["bob", "ann"]
    assert all(re.fullmatch(r"\$2y\$04\$[./A-Za-z0-9]{53}", hashed) for hashed in lines(text).values())
    assert text.endswith("\n")
    assert lets_in(text, "bob", "wired-Fjord-88")
    assert lets_in(text, "ann", "glass-Tundra$1 é")
    assert not lets_in(text, "bob", "wired-Fjord-89")
    assert lines(text)["bob"] != lines(htpasswd.written(PASSWORDS))["bob"], "each has a salt of its own"


def test_the_cost_is_that_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert "$2y$05$" in htpasswd.written({"bob": PASSWORDS["bob"]})


def test_nobody_is_nothing() -> None:
    assert htpasswd.written({}, "bob:$2y$04$x\n") == ""


def test_others_are_kept_where_that_is_wanted() -> None:
    old = "eve:$2y$04$x\n# a comment\nbob:$2y$04$wrong\n"
    assert list(lines(htpasswd.written(PASSWORDS, old))) == ["bob", "ann"]
    kept = htpasswd.written(PASSWORDS, old, {"eve", "bob"})
    assert htpasswd.users(kept) == ("eve", "bob", "ann")
    assert lets_in(kept, "bob", "wired-Fjord-88")
    assert htpasswd.written(PASSWORDS, kept, {"eve"}) == kept


def test_what_is_right_stays() -> None:
    """P01: again and again the same, byte for byte."""
    text = htpasswd.written(PASSWORDS)
    assert htpasswd.written(PASSWORDS, text) == text
    assert htpasswd.written(PASSWORDS, text.removesuffix("\n")) == text
    assert htpasswd.written(PASSWORDS, text.replace("\n", "\r\n")) == text
    assert htpasswd.written(PASSWORDS, f"# ours\n\n{text}") == text


def test_one_more_one_less_another_password() -> None:
    bob, both = htpasswd.written({"bob": PASSWORDS["bob"]}), htpasswd.written(PASSWORDS)
    added = htpasswd.written(PASSWORDS, bob)
    assert lines(added)["bob"] == lines(bob)["bob"]
    assert htpasswd.written({"ann": PASSWORDS["ann"]}, both) == f"ann:{lines(both)['ann']}\n"
    changed = htpasswd.written({**PASSWORDS, "bob": Secret("other-Glacier-77")}, both)
    assert lines(changed)["ann"] == lines(both)["ann"]
    assert lets_in(changed, "bob", "other-Glacier-77")
    assert not lets_in(changed, "bob", "wired-Fjord-88")


SAME = bcrypt.hashpw(b"wired-Fjord-88", bcrypt.gensalt(4)).decode()
FOREIGN: Mapping[str, str] = {
    "another name of the same": SAME,
    "crypt": "rqXexS6ZhobKA",
    "md5": "$1$saltsalt$UQf0hnPRm5SH8oQ0fsP0I1",
    "apr1": "$apr1$saltsalt$7O0T6c0L4NSLmMGIPc3nD1",
    "plain": "{PLAIN}wired-Fjord-88",
    "sha": "{SHA}jLIjfQbBMyz",
    "ssha": "{SSHA}abcdefgh",
    "truncated": SAME.replace("$2b$", "$2y$")[:-1],
    "with a comment": SAME.replace("$2b$", "$2y$") + ":comment",
    "no salt": "$2y$04$",
    "no number": "$2y$xx$" + SAME[7:],
    "cost too high": "$2y$99$" + SAME[7:],
    "no letters": "$2y$04$" + "!" * 53,
    "nothing": "",
}


@pytest.mark.parametrize("hashed", FOREIGN.values(), ids=list(FOREIGN))
def test_another_kind_of_hash_is_replaced(hashed: str) -> None:
    """P03: also one that nginx would take: its users know the password that the inventory says, and no other."""
    text = htpasswd.written({"bob": PASSWORDS["bob"]}, f"bob:{hashed}\n")
    assert lines(text)["bob"] != hashed
    assert lets_in(text, "bob", "wired-Fjord-88")


@given(st.text(st.sampled_from("$2y04./aZ9:!\n\r\0é\ufffd "), max_size=70))
@example("$2y$04$" + "." * 53)
@example("$2y$31$" + "!" * 53)
@example("$2y$00$" + "." * 53)
def test_whatever_stands_there(text: str) -> None:
    found = htpasswd.written({"bob": PASSWORDS["bob"]}, f"bob:{text}")
    assert lets_in(found, "bob", "wired-Fjord-88")


def test_of_two_lines_the_right_one_counts() -> None:
    right = htpasswd.written({"bob": PASSWORDS["bob"]})
    other = htpasswd.written({"bob": PASSWORDS["bob"]})
    assert htpasswd.written({"bob": PASSWORDS["bob"]}, f"bob:rqXexS6ZhobKA\n{right}{other}") == right


def test_the_longest_password_that_counts_in_full() -> None:
    long = "wired-Fjord-" * 6
    assert len(long) == htpasswd.LONGEST
    assert lets_in(htpasswd.written({"bob": Secret(long)}), "bob", long)


def test_the_file_of_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers read it with each request; nobody else does, and it is opened anew without a reload."""
    for name in ("PW", "KEY"):
        monkeypatch.setenv(name, "wired-Fjord-88")
    found = files(API)
    written = found[PATH]
    assert (written.mode, written.for_workers) == ("0640", True)
    assert lets_in(written.text, "nova", "wired-Fjord-88")
    assert files(API, old={PATH: written.text})[PATH] == written
    assert f'auth_basic_user_file "{PATH}";' in found[f"{CONF}/novaops-gate.conf"].text
    assert PATH not in files({**API, "auth": {"passthrough": "true", "from": "192.0.2.1"}}, on=nginx())
