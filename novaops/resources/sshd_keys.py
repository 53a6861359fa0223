"""Whether a user gets in by key: what sshd would take of the files that it looks in, and what only others know. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from novaops.formats.authorized_keys import AuthorizedKey
from novaops.resources.sshd_access import Answer, LoginBlocker, LoginContext, answer, perhaps_by_pam, second_factor, to_everything


def by_key(context: LoginContext) -> Answer:
    return answer(to_key(context), perhaps_by_key(context))


def to_key(context: LoginContext) -> Iterator[LoginBlocker]:
    """What would make sshd reject a right key."""
    account = context.account
    if account is None:
        yield LoginBlocker(f"there is no user {context.peer.user}")
        return
    if context.value("pubkeyauthentication") == "no":
        yield context.said("pubkeyauthentication", "PubkeyAuthentication")
    keys, perhaps = usable(context), list(perhaps_by_key(context))
    if not keys and not perhaps:
        yield from _without_key(context)
    if keys and not perhaps and all(key.has("command") for key in keys):
        yield LoginBlocker("its keys run one command only, and no shell")
    if account.password in {"locked", "barred"} and context.value("usepam") != "yes":
        yield LoginBlocker("its password is locked (!), and without PAM sshd then takes no key either", context.place("usepam"))
    if account.expired:
        yield LoginBlocker("the account has expired", fix=f"chage -E -1 {account.name}")
    if account.password_expired and context.value("usepam") == "yes":
        yield LoginBlocker("its password has expired, and PAM has it changed before anything else")
    yield from to_everything(context)
    if missing := second_factor(context.effective.get("authenticationmethods", ()), {"publickey"}):
        yield LoginBlocker(f"AuthenticationMethods asks for more than a key: {missing}", context.place("authenticationmethods"))
    if context.peer.user == "root" and context.value("permitrootlogin") in {"no", "forced-commands-only"}:
        yield context.said("permitrootlogin", "PermitRootLogin")


def usable(context: LoginContext) -> tuple[AuthorizedKey, ...]:
    """The keys of its own files that sshd would take from there."""
    account = context.account
    if account is None or account.keys is None:
        return ()
    return tuple(key for key in account.keys.lines if not key.has("cert-authority") and not _useless(key, context))


def perhaps_by_key(context: LoginContext) -> Iterator[LoginBlocker]:
    """What decides whether a key is taken, and cannot be known from here; nothing where it is certain."""
    account = context.account
    if account is None or account.keys is None:
        return
    keys = usable(context)
    if any(not key.has("command") for key in keys):
        if context.value("revokedkeys") not in {"", "none"}:
            yield _unknown(context, "revokedkeys", "RevokedKeys", "may list its keys")
        if writable := next((file for file, why in account.keys.barred if why == "group"), ""):
            yield LoginBlocker(f"its own group may write to {writable}, which not every sshd allows")
        yield from perhaps_by_pam(context, "account")
        return
    if context.value("authorizedkeyscommand") not in {"", "none"}:
        yield _unknown(context, "authorizedkeyscommand", "AuthorizedKeysCommand", "may know keys of it, and was not run")
    listed_nowhere = context.value("authorizedprincipalsfile") not in {"", "none"} and not account.keys.principals
    by_command = context.value("authorizedprincipalscommand") not in {"", "none"}
    if context.value("trustedusercakeys") not in {"", "none"} and (by_command or not listed_nowhere):
        yield _unknown(context, "trustedusercakeys", "TrustedUserCAKeys", "may have signed a certificate for it")
    if any(key.has("cert-authority") and not _useless(key, context) for key in account.keys.lines):
        yield LoginBlocker("an authority in its own file may have signed a certificate for it")


def _unknown(context: LoginContext, keyword: str, shown: str, what: str) -> LoginBlocker:
    return LoginBlocker(f"{shown} {context.value(keyword)} {what}", context.place(keyword))


def _useless(key: AuthorizedKey, context: LoginContext) -> str:
    """Why sshd does not take this key from there; "" when it does."""
    assert context.account is not None
    if key.expired(context.account.date):
        return "has expired"
    if not key.opens_from(context.peer.address):
        return f"is not for logins from {context.peer.address}"
    if not key.taken([name for value in context.effective.get("pubkeyacceptedalgorithms", ()) for name in value.split(",")]):
        return f"is of the type {key.kind}, which PubkeyAcceptedAlgorithms leaves out"
    least = context.value("requiredrsasize")
    if key.rsa_bits and least.isdigit() and key.rsa_bits < int(least):
        return f"is an RSA key of {key.rsa_bits} bits, and RequiredRSASize asks for {least}"
    return ""


def _without_key(context: LoginContext) -> Iterator[LoginBlocker]:
    assert context.account is not None
    if context.account.keys is None:
        yield LoginBlocker("its keys were not looked for")
        return
    keys = context.account.keys
    barred = {"unreadable": f"which {context.peer.user} cannot read", "strict": "which others may change (StrictModes)"}
    whys = [f"sshd takes no key from {file}, {barred[why]}" for file, why in keys.barred if why in barred]
    whys += [f"its key {why}" for why in dict.fromkeys(_useless(key, context) for key in keys.lines) if why]
    yield from (LoginBlocker(why) for why in whys)
    if not whys:
        own = {f"{context.account.home}/.ssh/authorized_keys{end}" for end in ("", "2")}
        where = f" in {' or '.join(keys.files)}" if set(keys.files) - own else ""
        what = "it has no key" if keys.files or context.value("authorizedkeysfile") != "none" else "AuthorizedKeysFile none: it has no key"
        yield LoginBlocker(what + where, context.place("authorizedkeysfile") if where else "")
