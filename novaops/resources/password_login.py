"""Who may log in to sshd by password: one drop-in of novaops' own, judged by what sshd itself makes of all its files."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from novaops.action import Command
from novaops.errors import Refused
from novaops.facts import Facts, Gap, Question
from novaops.facts.account import AccountNamed, Accounts
from novaops.facts.file import File as FileFacts
from novaops.facts.file import FileAt
from novaops.facts.sshd import SSHD, Caller, Sshd, SshdEffective, SshdState
from novaops.plan import Change, FreshLogin, Risk, Step
from novaops.resources.file import File
from novaops.resources.obstacles import Obstacle, Way, rulings, to_key, to_password
from novaops.secret import Secret
from novaops.sshd_config import Peer, SshdConfig
from novaops.sshd_drop_in import DROP_IN, EVERYONE, FOLDER, KEYWORDS, MAIN, DropIn, Grant, included, read

ID = "sshd:password-login"

OLDEST = (8, 2)
"""The first OpenSSH that knows Include."""

ANYBODY = "nobody"
"""Whom sshd is asked about for what holds for everyone: every host has this account, and nobody means it by name."""

_ELSEWHERE = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")
"""Addresses of nobody (RFC 5737), one of which is in no network that was named."""

_TESTS = f"""{SSHD}tests() {{ ask_sshd -t "$@" || {{ printf '%s\\n' "$said"; exit 1; }}; }}
"""

_ACCEPTS = rf"""{_TESTS}candidate=$1; shift
whole=$(mktemp) || exit; trap 'rm -f "$whole"' EXIT
{{ echo "Include $candidate"; cat {MAIN}; }} >"$whole" && tests -f "$whole"
while [ $# -gt 0 ]; do
  found=$("$sshd" -T -f "$whole" -C "user=$1,host=$2,addr=$2,laddr=127.0.0.1,lport=22" | grep -E -c "^(password|kbdinteractive)authentication $3\$")
  [ "$found" = 2 ] || {{ echo "with this file sshd would not say $3 to passwords of $1 from $2"; exit 1; }}
  shift 3
done"""
"""Takes the candidate, and what is wanted as USER ADDRESS yes|no. It is judged in the place that it is going to have."""

_MAIN_ACCEPTS = f'{_TESTS}tests -f "$1"'

_RELOAD = f"""{_TESTS}tests
for word do
  case $word in
    /*) kill -HUP "$(cat "$word")" ;;
    *) timeout 30 systemctl "${{word%%:*}}" "${{word#*:}}" ;;
  esac || exit
done"""
"""Open sessions go on. A service that was stopped meanwhile is started: it took logins when it was looked at."""


@dataclass(frozen=True)
class PasswordLogin:
    grants: tuple[Grant, ...]
    others_denied: bool = False
    keeps: bool = False
    """Whether what the host grants to others, or denies, stays: one user more, not another list."""
    passwords: tuple[tuple[str, Secret], ...] = ()
    """The passwords that are known, by user."""

    @property
    def id(self) -> str:
        return ID

    def questions(self) -> Iterable[Question[Any]]:
        yield from (SshdState(), Caller(), FileAt(DROP_IN), FileAt(MAIN))
        for grant in self.grants:
            yield from (SshdEffective(user, address) for user, address in _asked(grant))
            yield AccountNamed(_user(grant))
        if self.others_denied:
            yield Accounts()

    def steps(self, facts: Facts) -> Iterable[Step]:
        sshd = facts.known(SshdState())
        self._refuse_broken(sshd)
        now = SshdConfig(sshd.files)
        wanted = self._wanted(facts)
        after = now.with_file(DROP_IN, wanted.text())
        early = _includes_early(now)
        if not early:
            after = after.with_file(MAIN, included(now.files.get(MAIN, "")))
        self._refuse_obstacles(facts, sshd, after)
        reload = ("sh", "-c", _RELOAD, "reload-sshd", *_reload(sshd))
        files = (
            []
            if early
            else [File(MAIN, after.files[MAIN], *_rights(facts), check=("sh", "-c", _MAIN_ACCEPTS, "sshd-accepts", "{}"), then=reload)]
        )
        accepts = ("sh", "-c", _ACCEPTS, "sshd-accepts", "{}", *self._expectations(facts))
        files.append(File(DROP_IN, wanted.text(), "0600", check=accepts, then=reload))
        made = [step for file in files for step in file.steps(facts)]
        if not made:
            self._refuse_ineffective(facts, sshd)
            return
        folder = () if sshd.directory else (_make_folder(),)
        actions = tuple(action for step in made for action in step.actions)
        changes = (*self._told(facts, sshd, after), *(_named(step, change) for step in made for change in step.changes))
        yield Step(self.id, changes, (*folder, *actions), Risk.LOCKOUT, fresh_logins=tuple(self._fresh_logins(facts)))

    def notes(self, facts: Facts) -> Iterator[str]:
        sshd = facts.known(SshdState())
        if sshd.complaint:
            return
        now = SshdConfig(sshd.files)
        there = sshd.files.get(DROP_IN) == self._wanted(facts).text()
        for grant in self.grants:
            if there and (losers := _losers(now, _way(grant, facts, sshd, now))):
                yield f"{DROP_IN} wins for {_shown(grant)} over {losers}"
        for grant in self.grants:
            if why := self._unproven(grant, facts):
                yield f"the login of {_shown(grant)} was not tried: {why}"
        if self.others_denied:
            without = [
                account.name for account, effective in facts.known(Accounts()) if _left_out(account, effective, sshd, now, self.grants)
            ]
            if without:
                yield f"has a password and no way in without one: {', '.join(without)}"

    # -- what is wanted -------------------------------------------------------------------------------------------------------

    def _wanted(self, facts: Facts) -> DropIn:
        wanted = DropIn(self.grants, self.others_denied)
        found = facts[FileAt(DROP_IN)]
        if self.keeps and isinstance(found, FileFacts) and found.content:
            return wanted.over(read(found.content.decode("utf-8", "replace")))
        return wanted

    def _expectations(self, facts: Facts) -> Iterator[str]:
        """USER ADDRESS yes|no, for what sshd must make of the file."""
        here = _here(facts)
        for grant in self.grants:
            if not grant.addresses:
                yield from (_user(grant), here, "yes")
                continue
            for network in grant.addresses:
                yield from (_user(grant), _inside(network), "yes")
            if outside := _outside(grant.addresses):
                yield from (_user(grant), outside, "no")
        if self.others_denied and not any(grant.who == EVERYONE for grant in self.grants):
            yield from (ANYBODY, here, "no")

    def _fresh_logins(self, facts: Facts) -> Iterator[FreshLogin]:
        """By the new password, where it is known and may be used from here; where nobody can log in by one, by key."""
        known = dict(self.passwords)
        for grant in self.grants:
            if grant.who in known and not self._unproven(grant, facts):
                yield FreshLogin(grant.who, known[grant.who])
        if not self.grants:
            yield FreshLogin(no_passwords=True)

    def _unproven(self, grant: Grant, facts: Facts) -> str:
        """Why no login by password can show that a grant works; "" when one can."""
        here = facts[Caller()]
        if grant.who == EVERYONE:
            return "it is no one user's"
        if grant.who not in dict(self.passwords):
            return "its password is not known here; --password env:NAME tells it"
        if grant.addresses and (here is Gap.ABSENT or not _within(here.address, grant.addresses)):
            return (
                f"this machine comes from {'elsewhere' if here is Gap.ABSENT else here.address}, and not from {', '.join(grant.addresses)}"
            )
        effective = facts.known(SshdEffective(*next(_asked(grant))))
        shut = [
            f"{name} {value[0]}" for name in ("forcecommand", "chrootdirectory") if (value := effective.get(name, ("none",))) != ("none",)
        ]
        return f"sshd lets it run nothing of ours: {', '.join(shut)}" if shut else ""

    # -- what stands against it -----------------------------------------------------------------------------------------------

    def _refuse_broken(self, sshd: Sshd) -> None:
        if not sshd.program:
            raise Refused("there is no OpenSSH sshd on the host")
        if sshd.complaint:
            raise Refused(
                "sshd does not accept its own configuration as it is, and nothing was changed",
                why=sshd.complaint,
                fix="mend that first: after a restart no login would be possible at all",
            )
        if sshd.version is not None and sshd.version < OLDEST:
            found, oldest = (".".join(map(str, version)) for version in (sshd.version, OLDEST))
            raise Refused(f"OpenSSH {found} knows no Include", why=f"novaops writes a file of its own, which needs {oldest} or newer.")

    def _refuse_obstacles(self, facts: Facts, sshd: Sshd, after: SshdConfig) -> None:
        """Raises Refused with every reason why it would not come true, so that they can be mended at once."""
        ways = [_way(grant, facts, sshd, after) for grant in self.grants]
        found = [
            ("everybody but root" if grant.who == EVERYONE else user, obstacle)
            for grant, way in zip(self.grants, ways, strict=True)
            for user, obstacle in rulings([way], after)
        ]
        for grant, way in zip(self.grants, ways, strict=True):
            if grant.who == EVERYONE:
                continue
            granted = {**way.effective, **dict.fromkeys(KEYWORDS, ("yes",))} | (
                {"permitrootlogin": ("yes",)} if grant.who == "root" else {}
            )
            sets = grant.who in dict(self.passwords)
            found += [(grant.who, obstacle) for obstacle in to_password(replace(way, effective=granted), sets_password=sets)]
        if self.others_denied:
            granted_to = {grant.who for grant in self.grants}
            others = [_way_of(account, effective, facts, sshd, after) for account, effective in facts.known(Accounts())]
            found += rulings((way for way in others if way.peer.user not in granted_to), after)
            found += [(way.peer.user, obstacle) for way in others for obstacle in _needs_password(way)]
        if found:
            who = " and ".join(dict.fromkeys(user for user, _ in found))
            goal = f"a password login of {who} would still fail" if self.grants else f"passwords of {who} would still count"
            reasons = dict.fromkeys(f"{user}: {obstacle}" for user, obstacle in found)
            raise Refused(goal, why="\n".join(reasons), fix="; ".join(dict.fromkeys(o.fix for _, o in found if o.fix)))

    def _refuse_ineffective(self, facts: Facts, sshd: Sshd) -> None:
        """Raises Refused when everything stands as written, and sshd says something else all the same."""
        now = SshdConfig(sshd.files)
        wrong = [
            f"{user} from {address or 'here'}: {keyword} {' '.join(facts.known(SshdEffective(user, address)).get(keyword, ()))}"
            for grant in self.grants
            for user, address in _asked(grant)
            for keyword in KEYWORDS
            if facts.known(SshdEffective(user, address)).get(keyword) != (_right(grant, address),)
        ]
        if self.others_denied:
            granted = {grant.who for grant in self.grants}
            wrong += [
                f"{account.name}: {keyword} {' '.join(effective.get(keyword, ()))}"
                for account, effective in facts.known(Accounts())
                for keyword in KEYWORDS
                if account.name not in granted and EVERYONE not in granted and effective.get(keyword) != ("no",)
            ]
        if wrong:
            lines = [line for keyword in KEYWORDS for line in now.ruling(keyword, Peer("")).losers]
            raise Refused(
                f"{DROP_IN} is as wanted, but sshd goes by something else", why="\n".join([*wrong, *(line.where for line in lines)])
            )

    # -- what is told ---------------------------------------------------------------------------------------------------------

    def _told(self, facts: Facts, sshd: Sshd, after: SshdConfig) -> Iterator[Change]:
        """For each user the value and the line it comes from, now and then; and the lines that lose."""
        now = SshdConfig(sshd.files)
        for grant in self.grants:
            way = _way(grant, facts, sshd, now)
            winner = after.ruling(KEYWORDS[0], way.peer).winner
            then = f"yes ← {winner.where}" if winner else "yes"
            losers = _losers(after, way)
            yield Change(f"passwords of {_shown(grant)}", _now(way), f"{then}; loses: {losers}" if losers else then)
        if self.others_denied:
            who = "everybody else" if self.grants else "everybody"
            some = [account.name for account, effective in facts.known(Accounts()) if ("yes",) in {effective.get(k) for k in KEYWORDS}]
            shown = ", ".join(name for name in some if name not in {grant.who for grant in self.grants})
            yield Change(f"passwords of {who}", f"yes for {shown}" if shown else "no", f"no ← {DROP_IN}")


def _includes_early(now: SshdConfig) -> bool:
    """Whether the main file has the drop-in read in time. What drop-ins of others say before it is named, not outdone."""
    return SshdConfig({path: text for path, text in now.files.items() if path.rpartition("/")[0] != FOLDER}).includes_early(DROP_IN)


def _way(grant: Grant, facts: Facts, sshd: Sshd, config: SshdConfig) -> Way:
    """Somebody who comes as the grant means it: from where the operator is, or from the first network that is named."""
    account = facts[AccountNamed(_user(grant))]
    address = _inside(grant.addresses[0]) if grant.addresses else ""
    groups = (_user(grant),) if account is Gap.ABSENT else account.groups  # one yet to be made gets a group of that name
    peer = Peer(_user(grant), groups, address or _here(facts))
    return Way(peer, None if account is Gap.ABSENT else account, facts.known(SshdEffective(_user(grant), address)), config, sshd.nologin)


def _way_of(account: Any, effective: Any, facts: Facts, sshd: Sshd, config: SshdConfig) -> Way:
    return Way(Peer(account.name, account.groups, _here(facts)), account, effective, config, sshd.nologin)


def _needs_password(way: Way) -> Iterator[Obstacle]:
    """AuthenticationMethods that nobody could go through any more."""
    methods = [words for value in way.effective.get("authenticationmethods", ()) for words in value.split()]
    if methods and all("password" in words or "keyboard-interactive" in words for words in methods):
        yield Obstacle(f"AuthenticationMethods {' '.join(methods)} needs a password", way.place("authenticationmethods"))


def _left_out(account: Any, effective: Any, sshd: Sshd, config: SshdConfig, grants: tuple[Grant, ...]) -> bool:
    way = Way(Peer(account.name, account.groups), account, effective, config, sshd.nologin)
    return account.password == "set" and account.name not in {grant.who for grant in grants} and any(to_key(way))


def _asked(grant: Grant) -> Iterator[tuple[str, str]]:
    """The user and the addresses that sshd is asked about."""
    if not grant.addresses:
        yield _user(grant), ""
    yield from ((_user(grant), _inside(network)) for network in grant.addresses)
    if grant.addresses and (outside := _outside(grant.addresses)):
        yield _user(grant), outside


def _right(grant: Grant, address: str) -> str:
    """What sshd must say to passwords from there."""
    return "no" if grant.addresses and address == _outside(grant.addresses) else "yes"


def _user(grant: Grant) -> str:
    return ANYBODY if grant.who == EVERYONE else grant.who


def _shown(grant: Grant) -> str:
    who = "everybody but root" if grant.who == EVERYONE else grant.who
    return f"{who} from {', '.join(grant.addresses)}" if grant.addresses else who


def _here(facts: Facts) -> str:
    caller = facts[Caller()]
    return "127.0.0.1" if caller is Gap.ABSENT else caller.address


def _inside(network: str) -> str:
    return str(next(ipaddress.ip_network(network).hosts()))


def _outside(networks: Iterable[str]) -> str:
    """An address in none of the networks; "" where they cover everything."""
    return next((address for address in _ELSEWHERE if not _within(address, networks)), "")


def _within(address: str, networks: Iterable[str]) -> bool:
    return any(ipaddress.ip_address(address.partition("%")[0]) in ipaddress.ip_network(network) for network in networks)


def _reload(sshd: Sshd) -> list[str]:
    """VERB:UNIT for systemctl, in turn, so that the units that run hear of the new configuration, and run afterwards; else a pid file.

    A socket with Accept=yes needs no word: its sshd reads the configuration with each connection. Behind another one sshd is
    not reloaded: on SIGHUP it would lose the socket, and end with "Cannot bind any address" (seen with 10.0). It is stopped, and
    started when the socket has the port, which it would else take for itself.
    """
    active = sorted(unit for unit, state in sshd.units.items() if state in {"active", "reloading"})
    sockets = [unit for unit in active if unit.endswith(".socket")]
    services = [unit for unit in active if unit not in sockets]
    if not sockets:
        return [f"reload-or-restart:{unit}" for unit in services] or ["/run/sshd.pid"]
    return [f"{verb}:{unit}" for verb, units in (("stop", services), ("start", sockets), ("start", services)) for unit in units]


def _rights(facts: Facts) -> tuple[str, str, str]:
    found = facts[FileAt(MAIN)]
    return (found.mode, found.owner, found.group) if isinstance(found, FileFacts) else ("0644", "root", "root")


def _make_folder() -> Command:
    there = f"[ -d {FOLDER} ]"
    undo = Command(("rmdir", "--", FOLDER), holds=f"! {there}")
    return Command(("mkdir", "-m", "0755", "--", FOLDER), holds=there, undo=undo)


def _named(step: Step, change: Change) -> Change:
    return replace(change, field=change.field if step.resource.endswith(DROP_IN) else f"{MAIN} {change.field}")


def _now(way: Way) -> str:
    for keyword in KEYWORDS:
        if way.value(keyword) == "yes":
            return f"yes ← {way.place(keyword) or 'default'}"
    return f"no ← {way.place(KEYWORDS[0]) or 'default'}"


def _losers(config: SshdConfig, way: Way) -> str:
    """The lines of others that would decide if novaops' file were not there."""
    lines = (line for keyword in KEYWORDS for line in config.ruling(keyword, way.peer).losers if line.file != DROP_IN)
    return ", ".join(f"{line.where} ({line.value})" for line in dict.fromkeys(lines))
