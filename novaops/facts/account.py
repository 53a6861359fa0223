"""User accounts, and what could keep one of them from logging in. The hash of a password is a question of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import ClassVar, Literal, Self, get_args

from novaops.facts.sshd import EFFECTIVE, Settings, settings_of
from novaops.formats.authorized_keys import AuthorizedKey, options, rsa_bits
from novaops.model.question import Missing, Question, Section, Singleton
from novaops.secret import Secret
from novaops.shell import join, sh_file

LIMIT = 200
"""At most so many accounts are listed: each needs a call of sshd."""

_LOOK = r"""
[ -r /etc/shadow ] || { echo 'only root can read /etc/shadow' >&2; exit 1; }
look() { # TABLE [NAMES]: names that are not in it are left out
  getent "$@"; case $? in 0 | 2) ;; *) return 1 ;; esac
}
"""

_ACCOUNTS = _LOOK + sh_file(__package__, "account.sh")

Password = Literal["set", "locked", "none", "barred", "empty", "elsewhere"]


@dataclass(frozen=True)
class Keys:
    """What is in the files that sshd reads for one account, read as the user, as sshd does."""

    lines: tuple[AuthorizedKey, ...] = ()
    files: tuple[str, ...] = ()
    """The paths of AuthorizedKeysFile for this account, whether they are there or not."""
    barred: tuple[tuple[str, str], ...] = ()
    """Files that sshd does not take, and why: `unreadable` for the user, `strict`: others may write to it or to a folder on the way. With
    `group` only the account's own group may, which Debian's sshd allows where nobody else is in it, and others never do."""
    principals: bool = False
    """Whether AuthorizedPrincipalsFile lists anybody."""


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: tuple[str, ...]
    """The primary one first."""
    password: Password
    """locked: there is one behind a `!`. none: no password matches, as with `*`. barred: the same with a `!`, for which sshd
    without PAM takes no key either. empty: the login asks for none.
    elsewhere: the account is of no table of this host, nor is its password; PAM may know who has it."""
    account_expires: int | None
    """This and the next two are days since 1970 or numbers of days, as in shadow(5); None where the field is empty."""
    password_changed: int | None
    password_max: int | None
    inactive: int | None
    """Days after which a password that is too old can no longer be changed at the login."""
    today: int
    """The date on the host, in days since 1970."""
    shell_works: bool
    """The login shell is there, can be executed, and is not one that refuses logins, such as nologin."""
    keys: Keys | None = None
    """What opens it without a password; None where that was not asked (AccountNamed)."""
    jail: str = ""
    """Why sshd ends each login in the folder of ChrootDirectory. "" where it does not, or where that was not asked (AccountNamed)."""

    @property
    def date(self) -> str:
        """Today as YYYYMMDD."""
        return (date(1970, 1, 1) + timedelta(days=self.today)).strftime("%Y%m%d")

    @property
    def expired(self) -> bool:
        """Whether the account has expired (`chage -E`). Then no login works, by key neither."""
        return self.account_expires is not None and self.today >= self.account_expires

    @property
    def password_expired(self) -> bool:
        """Whether the password must be changed at the next login."""
        if self.password_changed is None:
            return False
        return self.password_changed == 0 or (self.password_max is not None and self.today - self.password_changed > self.password_max)


@dataclass(frozen=True)
class AccountNamed(Question[Account]):
    """ABSENT when no source of users in nsswitch.conf has the user."""

    name: str
    family: ClassVar[str] = "account"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"""{_ACCOUNTS}\
found=$(about -- {join(q.name for q in questions)}) || exit
while IFS=: read -r name uid gid home shell rest && line=$name:$uid:$gid:$home:$shell:$rest; do
  [ -z "$name" ] || {{ look_at; show; }}
done <<END
$found
END
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Account | Missing]:
        if section.status or not section.stdout.endswith("\nend\n"):
            return {}
        found = {account.name: account for account, _ in _read(section.stdout)}
        return {question: found.get(question.name, Missing.ABSENT) for question in questions}


@dataclass(frozen=True)
class Listed:
    """The accounts that were looked at, and what is known of the others."""

    accounts: tuple[tuple[Account, Settings], ...]
    more: int = 0
    """Those beyond LIMIT, which were not looked at."""
    unlisted: tuple[str, ...] = ()
    """Sources of nsswitch.conf that may know more users than they list: LDAP, SSSD."""

    @property
    def not_looked_at(self) -> list[str]:
        """Sentences about the others."""
        said = [f"{self.more} more accounts were not looked at: novaops looks at {LIMIT}"] if self.more else []
        sources = " and ".join(self.unlisted)
        return said + ([f"users of {sources} that the host does not list were not looked at"] if sources else [])


class Accounts(Singleton[Listed]):
    """Root, and the accounts with a shell that works, a password or a key. With each its keys, and sshd's settings for it from our address.

    The settings are empty for a name with a comma, which sshd cannot be asked about.
    """

    family: ClassVar[str] = "accounts"

    @classmethod
    def script_one(cls) -> str:
        return f"""{EFFECTIVE}{_ACCOUNTS}{sh_file(__package__, "account_keys.sh")}\
found=$(about) || exit
number=0 more=0
while IFS=: read -r name uid gid home shell password rest && line=$name:$uid:$gid:$home:$shell:$password:$rest; do
  look_at
  case $name:$works:$password in root:* | *:yes:* | *::set | *::empty) listed=yes ;; *) listed=''; has_keys || continue ;; esac
  number=$((number + 1)); [ $number -le {LIMIT} ] || {{ more=$((more + 1)); continue; }}
  case $name in *,*) settings='' keys='' ;; *) settings=$(effective "$name") && keys=$(keys_of) || exit ;; esac
  case $listed$keys in yes* | *key:*) show; printf '%s\\n' "$settings" "$keys" ;; *) number=$((number - 1)) ;; esac
done <<END
$found
END
echo "more:$more" $(unlisted)
echo end
"""

    @classmethod
    def parse_one(cls, section: Section) -> Listed | Missing:
        there, _, others = section.stdout.rpartition("\nmore:")
        if section.status or not others.endswith("\nend\n"):
            return Missing.UNKNOWN
        more, *unlisted = others.removesuffix("end\n").split()
        return Listed(tuple(_with_keys(account, lines) for account, lines in _read(f"{there}\n")), int(more), tuple(unlisted))


_ABOUT_KEYS = re.compile(r"(key|barred|lookedin|principal|jail):(.*)")
"""No keyword of sshd's has a colon."""


def _with_keys(account: Account, lines: Sequence[str]) -> tuple[Account, Settings]:
    about: dict[str, list[str]] = {"key": [], "barred": [], "lookedin": [], "principal": [], "jail": []}
    settings = []
    for line in lines:
        if match := _ABOUT_KEYS.fullmatch(line):
            about[match[1]].append(match[2])
        else:
            settings.append(line)
    found = ((key.partition(" "), text) for key, _, text in (text.partition(":") for text in about["key"]))
    keys = tuple(AuthorizedKey(kind, options(text), rsa_bits(beginning)) for (kind, _, beginning), text in found)
    barred = ((file, why) for why, _, file in (text.partition(" ") for text in about["barred"]))
    found_keys = Keys(keys, tuple(about["lookedin"]), tuple(barred), bool(about["principal"]))
    return replace(account, keys=found_keys, jail="".join(about["jail"])), settings_of(settings)


def _read(stdout: str) -> Iterator[tuple[Account, list[str]]]:
    """The accounts that `show` printed, each with the lines that follow it."""
    head, *parts = stdout.removesuffix("end\n").split("\naccount:")
    today = int(head.removeprefix("today:"))
    for part in parts:
        about, groups, *behind = part.split("\n")
        yield _account(about.split(":"), groups, today), [line for line in behind if line]


def _account(fields: Sequence[str], groups: str, today: int) -> Account:
    name, uid, gid, home, shell, password, changed, most, inactive, expires, works = fields
    if password not in get_args(Password):
        raise ValueError(f"{name} has no known kind of password")
    return Account(
        name=name,
        uid=int(uid),
        gid=int(gid),
        home=home,
        shell=shell,
        groups=tuple(filter(None, groups.split("\0"))),
        password=password,  # type: ignore[arg-type]
        account_expires=_day(expires),
        password_changed=_day(changed),
        password_max=_day(most),
        inactive=_day(inactive),
        today=today,
        shell_works=works == "yes",
    )


def _day(text: str) -> int | None:
    """None for an empty field and for a negative number: there is no limit."""
    return int(text) if text and int(text) >= 0 else None


@dataclass(frozen=True)
class PasswordHash(Question[Secret]):
    """The password field of the shadow table, asked only where a password is compared with it. ABSENT for an unknown user."""

    name: str
    family: ClassVar[str] = "password-hash"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        names = join(q.name for q in questions)
        return f"""{_LOOK}\
users=$(look passwd -- {names}) && shadows=$(look shadow -- {names}) || exit
printf '%s\\n%s\\n' "$users" "$shadows" | cut -d : -f 1,2
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Secret | Missing]:
        if section.status or not section.stdout.endswith("\nend\n"):
            return {}
        pairs = [line.partition(":") for line in section.stdout.split("\n")]
        found = {name: Secret(field) for name, colon, field in pairs if colon}
        return {question: found.get(question.name, Missing.ABSENT) for question in questions}
