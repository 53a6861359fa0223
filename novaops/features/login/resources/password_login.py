"""Who may log in to sshd by password: one drop-in of novaops' own, judged by what `sshd -T` says of all files together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import Refused
from novaops.facts.account import Account, AccountNamed, Accounts
from novaops.facts.file import FileAt, FileState
from novaops.facts.sshd import Caller, Sshd, SshdEffective, SshdState
from novaops.formats.sshd_config import Peer, SshdConfig
from novaops.formats.sshd_drop_in import ANYBODY, DROP_IN, EVERYONE, FOLDER, KEYWORDS, MAIN, NAMES, DropIn, Grant, answers, included, read
from novaops.model.plan import Change, FreshLogin, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources import sshd_file
from novaops.resources.sshd_access import (
    Effective,
    LoginContext,
    by_password,
    keyboard_asks,
    needs_password,
    rulings,
    rulings_elsewhere,
    to_password,
)
from novaops.resources.sshd_keys import by_key
from novaops.secret import Secret
from novaops.shell import quote, sh_file

ID = "sshd:password-login"

_WHY_REFUSED = sh_file(__package__, "refused_login.sh")

_OTHERS = "as sshd's other files say"

OLDEST = (8, 2)
"""The first OpenSSH that knows Include."""


@dataclass(frozen=True)
class PasswordLogin(Resource):
    grants: tuple[Grant, ...]
    others_denied: bool = False
    keeps: bool = False
    """Whether grants and denials for others that are on the host stay: one more user, not a new list."""
    passwords: tuple[tuple[str, Secret], ...] = ()
    """The passwords that are known, by user."""

    @property
    def id(self) -> str:
        return ID

    @property
    def _granted(self) -> frozenset[str]:
        return frozenset(grant.who for grant in self.grants)

    def questions(self) -> Iterable[Question[Any]]:
        yield from (SshdState(), Caller(), FileAt(DROP_IN), FileAt(MAIN))
        for grant in self.grants:
            yield from (SshdEffective(grant.account, address) for address in grant.asked)
            yield AccountNamed(grant.account)
        if self.others_denied:
            yield Accounts()

    def plan(self, facts: Facts) -> Iterable[Step]:
        sshd = facts.known(SshdState())
        self._refuse_broken(sshd)
        now = sshd.config
        wanted = self._wanted(facts)
        after = now.with_file(DROP_IN, wanted.text())
        early = _includes_early(now)
        if not early:
            after = after.with_file(MAIN, included(now.files.get(MAIN, "")))
        self._refuse_blocked(facts, sshd, now, after)
        files = [sshd_file.drop_in(sshd, wanted.text(), self._expected(facts))]
        found = facts[FileAt(MAIN)]
        if not early and isinstance(found, FileState):
            files.insert(0, sshd_file.main(sshd, after.files[MAIN], found))
        made = [step for file in files for step in file.plan(facts)]
        if not made:
            self._refuse_ineffective(facts, sshd)
            return
        folder = () if sshd.directory else (sshd_file.folder(),)
        actions = (*folder, *(action for step in made for action in step.actions))
        changes = (*self._changes(facts, sshd, after), *(_named(step, change) for step in made for change in step.changes))
        yield Step(self.id, changes, actions, Risk.LOCKOUT, fresh_logins=tuple(self._fresh_logins(facts)))

    def notes(self, facts: Facts) -> Iterator[str]:
        sshd = facts.known(SshdState())
        if sshd.complaint:
            return
        now = sshd.config
        there = sshd.files.get(DROP_IN) == self._wanted(facts).text()
        for grant in self.grants:
            if there and (losers := _losers(now, _context(grant, facts, sshd, now))):
                yield f"{DROP_IN} wins for {grant} over {losers}"
        for grant in self.grants:
            if why := self._unproven(grant, facts):
                yield f"the login of {grant} was not tried: {why}"
        if self.others_denied:
            yield from self._left_out(facts, sshd, now)

    def _left_out(self, facts: Facts, sshd: Sshd, now: SshdConfig) -> Iterator[str]:
        """Who has a right password that no longer counts, and no other way in."""
        others = [_context_of(account, effective, facts, sshd, now) for account, effective in facts.known(Accounts()).accounts]
        others = [one for one in others if one.peer.user not in self._granted and by_password(_if_let(one)).allowed is not False]
        if without := [one.peer.user for one in others if by_key(one).allowed is False]:
            yield f"has a password and no way in without one: {', '.join(without)}"
        for one in others:
            if (key := by_key(one)).allowed is None:
                yield f"has a password, and perhaps no way in without one: {one.peer.user} ({'; '.join(map(str, key.why))})"
        yield from facts.known(Accounts()).not_looked_at

    # -- what is wanted -------------------------------------------------------------------------------------------------------

    def _wanted(self, facts: Facts) -> DropIn:
        wanted = DropIn(self.grants, self.others_denied, self._pam(facts))
        return wanted.over(self._before(facts)) if self.keeps else wanted

    def _pam(self, facts: Facts) -> bool:
        """Whether this sshd asks PAM by keyboard-interactive, which is so for all users or for none."""
        return all(keyboard_asks(facts.known(SshdEffective(grant.account, grant.asked[0]))) for grant in self.grants)

    def _before(self, facts: Facts) -> DropIn:
        found = facts[FileAt(DROP_IN)]
        content = found.content if isinstance(found, FileState) else None
        return read((content or b"").decode("utf-8", "replace"))

    def _expected(self, facts: Facts) -> Iterator[str]:
        """USER ADDRESS and yes|no for each keyword, for what sshd must make of the file."""
        here, pam = _here(facts), self._pam(facts)
        for grant in self.grants:
            for address in grant.asked:
                yield from (grant.account, address or here, *answers(grant.answer(address), pam=pam))
        if self.others_denied and EVERYONE not in self._granted:
            yield from (ANYBODY, here, *answers("no"))

    def _fresh_logins(self, facts: Facts) -> Iterator[FreshLogin]:
        """By the new password, where it is known and may be used from here. Where nobody may log in by password, by key."""
        known = dict(self.passwords)
        for grant in self.grants:
            if grant.who in known and not self._unproven(grant, facts):
                yield FreshLogin(grant.who, known[grant.who], if_refused=f"set -- {quote(grant.who)}\n{_WHY_REFUSED}")
        if not self.grants:
            yield FreshLogin(no_passwords=True)

    def _unproven(self, grant: Grant, facts: Facts) -> str:
        """Why no login by password can show that a grant works; "" when one can."""
        here = facts[Caller()]
        if grant.who == EVERYONE:
            return "it is no one user's"
        if grant.who not in dict(self.passwords):
            return "its password is not known here; --password env:NAME tells it"
        if not grant.covers("" if here is Missing.ABSENT else here.address):
            where = "elsewhere" if here is Missing.ABSENT else here.address
            return f"this machine comes from {where}, and not from {', '.join(grant.addresses)}"
        effective = facts.known(SshdEffective(grant.account, grant.asked[0]))
        shut = [
            f"{name} {value[0]}" for name in ("forcecommand", "chrootdirectory") if (value := effective.get(name, ("none",))) != ("none",)
        ]
        return f"sshd lets it run nothing of ours: {', '.join(shut)}" if shut else ""

    # -- what is refused ------------------------------------------------------------------------------------------------------

    def _refuse_broken(self, sshd: Sshd) -> None:
        sshd_file.refuse_unusable(sshd)
        sshd_file.refuse_other_main(sshd)
        if sshd.version is not None and sshd.version < OLDEST:
            found, oldest = (".".join(map(str, version)) for version in (sshd.version, OLDEST))
            raise Refused(f"OpenSSH {found} knows no Include", why=f"novaops writes a file of its own, which needs {oldest} or newer.")

    def _refuse_blocked(self, facts: Facts, sshd: Sshd, now: SshdConfig, after: SshdConfig) -> None:
        """Raises Refused with all reasons why the logins would still fail, so that they can be fixed together.

        Lines are named as they are `now`: nothing is changed.
        """
        contexts = {grant: _context(grant, facts, sshd, now) for grant in self.grants}
        found = [(grant.name, blocker) for grant, context in contexts.items() for _, blocker in rulings([context], after)]
        for grant, context in contexts.items():
            if grant.who == EVERYONE:
                continue
            granted = _if_let(context)
            if grant.who == "root":
                granted = replace(granted, effective={**granted.effective, "permitrootlogin": ("yes",)})
            found += [(grant.who, blocker) for blocker in to_password(granted, sets_password=grant.who in dict(self.passwords))]
        if self.others_denied:
            others = [_context_of(account, effective, facts, sshd, now) for account, effective in facts.known(Accounts()).accounts]
            denied = [context for context in others if context.peer.user not in self._granted]
            found += list(rulings(denied, after, harmless="no")) or list(rulings_elsewhere(denied, after))
            found += [(context.peer.user, blocker) for context in others for blocker in needs_password(context)]
        if found:
            who = " and ".join(dict.fromkeys(user for user, _ in found))
            goal = f"a password login of {who} would still fail" if self.grants else f"passwords of {who} would still count"
            reasons = dict.fromkeys(f"{user}: {blocker}" for user, blocker in found)
            raise Refused(goal, why="\n".join(reasons), fix="; ".join(dict.fromkeys(o.fix for _, o in found if o.fix)))

    def _refuse_ineffective(self, facts: Facts, sshd: Sshd) -> None:
        """Raises Refused when the files are as wanted and `sshd -T` still says something else."""
        now, pam = sshd.config, self._pam(facts)
        wrong = [
            f"{grant.account} from {address or 'here'}: {keyword} {' '.join(said)}"
            for grant in self.grants
            for address in grant.asked
            for keyword, answer in zip(KEYWORDS, answers(grant.answer(address), pam=pam), strict=True)
            if (said := facts.known(SshdEffective(grant.account, address)).get(keyword, ())) != (answer,)
        ]
        if self.others_denied:
            wrong += [
                f"{account.name}: {keyword} {' '.join(effective.get(keyword, ()))}"
                for account, effective in facts.known(Accounts()).accounts
                for keyword in KEYWORDS
                if not {account.name, EVERYONE} & self._granted and effective.get(keyword) != ("no",)
            ]
        if wrong:
            lines = [line for keyword in KEYWORDS for line in now.ruling(keyword, Peer("")).losers]
            raise Refused(
                f"{DROP_IN} is as wanted, but sshd goes by something else", why="\n".join([*wrong, *(line.where for line in lines)])
            )

    # -- what is reported -----------------------------------------------------------------------------------------------------

    def _changes(self, facts: Facts, sshd: Sshd, after: SshdConfig) -> Iterator[Change]:
        """For each user the value and the line it comes from, before and after; and the lines that have no effect."""
        now = sshd.config
        before, wanted = self._before(facts), self._wanted(facts)
        for removed in before.grants:
            if removed.who not in {grant.who for grant in wanted.grants}:
                yield Change(f"passwords of {removed}", f"yes ← {DROP_IN}", f"no ← {DROP_IN}" if wanted.others_denied else _OTHERS)
        if before.others_denied and not wanted.others_denied:
            yield Change("passwords of everybody else", f"no ← {DROP_IN}", _OTHERS)
        for grant in self.grants:
            context = _context(grant, facts, sshd, now)
            winner = after.ruling(KEYWORDS[0], context.peer).winner
            then = f"yes ← {winner.where}" if winner else "yes"
            losers = _losers(after, context)
            yield Change(f"passwords of {grant}", _now(context), f"{then}; loses: {losers}" if losers else then)
        if self.others_denied:
            who = "everybody else" if self.grants else "everybody"
            others = [_context_of(account, effective, facts, sshd, now) for account, effective in facts.known(Accounts()).accounts]
            said = [(one.peer.user, by_password(one).allowed) for one in others if one.peer.user not in self._granted]
            names = {
                word: ", ".join(user for user, allowed in said if allowed is is_it) for word, is_it in (("yes", True), ("unknown", None))
            }
            if facts.known(Accounts()).not_looked_at:
                names["unknown"] = ", ".join(filter(None, (names["unknown"], "others")))
            shown = "; ".join(f"{word} for {users}" for word, users in names.items() if users)
            yield Change(f"passwords of {who}", shown or "no", f"no ← {DROP_IN}")


def _includes_early(now: SshdConfig) -> bool:
    """Whether the main file includes the drop-in early enough. Earlier drop-ins of others do not count here: they are refused."""
    others = {path: text for path, text in now.files.items() if path.rpartition("/")[0] != FOLDER}
    return replace(now, files=others).includes_early(DROP_IN)


def _context(grant: Grant, facts: Facts, sshd: Sshd, config: SshdConfig) -> LoginContext:
    """The login that a grant is about: from the operator's address, or from the grant's first network."""
    account = facts[AccountNamed(grant.account)]
    address = grant.asked[0]
    groups = (grant.account,) if account is Missing.ABSENT else account.groups  # one yet to be made gets a group of that name
    effective = facts.known(SshdEffective(grant.account, address))
    peer = Peer(grant.account, groups, address or _here(facts))
    return LoginContext(peer, None if account is Missing.ABSENT else account, effective, config, sshd.nologin, sshd.pam)


def _context_of(account: Account, effective: Effective, facts: Facts, sshd: Sshd, config: SshdConfig) -> LoginContext:
    return LoginContext(Peer(account.name, account.groups, _here(facts)), account, effective, config, sshd.nologin, sshd.pam)


def _if_let(context: LoginContext) -> LoginContext:
    """The same, if passwords were taken."""
    return replace(context, effective={**context.effective, **dict.fromkeys(KEYWORDS, ("yes",))})


def _here(facts: Facts) -> str:
    caller = facts[Caller()]
    return "127.0.0.1" if caller is Missing.ABSENT else caller.address


def _named(step: Step, change: Change) -> Change:
    return replace(change, field=change.field if step.resource.endswith(DROP_IN) else f"{MAIN} {change.field}")


def _now(context: LoginContext) -> str:
    for keyword in KEYWORDS:
        if context.value(keyword) == "yes":
            return f"yes ← {context.place(keyword) or 'default'}"
    return f"no ← {context.place(KEYWORDS[0]) or 'default'}"


def _losers(config: SshdConfig, context: LoginContext) -> str:
    """The lines of other files that would decide without novaops' file."""
    lines = (line for keyword in KEYWORDS for line in config.ruling(keyword, context.peer).losers if line.file != DROP_IN)
    return ", ".join(f"{line.where} ({NAMES[line.keyword]} {line.value})" for line in dict.fromkeys(lines))
