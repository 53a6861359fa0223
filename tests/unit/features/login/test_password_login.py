"""What deny and allow would do on a host, and say of it: whom they shut out, and what is refused beforehand."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.planner import make_plan
from novaops.facts.account import Account, AccountNamed, Accounts, Listed
from novaops.facts.file import FileAt
from novaops.facts.sshd import Caller, CallerFacts, Sshd, SshdEffective, SshdState
from novaops.features.login.resources.password_login import PasswordLogin
from novaops.formats.sshd_drop_in import DROP_IN, MAIN, Grant
from novaops.model.action import WriteFile
from novaops.model.plan import Plan
from novaops.model.question import Facts, Missing
from novaops.secret import Secret
from novaops.shell import sh_file
from tests.unit.features.login.test_login import ANA, KEYS, OPEN

INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"
KEYLESS = replace(KEYS, lines=())
BO = replace(ANA, name="bo", groups=("bo",), keys=KEYLESS)
NEVER = replace(ANA, name="never", groups=("never",), password="none")  # noqa: S106 - the state of a password is none

Settings = Mapping[str, tuple[str, ...]]


def plan(wanted: PasswordLogin, *people: tuple[Account, Settings], main: str = INCLUDE, more: Any = 0, **files: str) -> Plan:
    texts = {MAIN: main, **{f"/etc/ssh/sshd_config.d/{name}.conf": text for name, text in files.items()}}
    sshd = Sshd("/usr/sbin/sshd", (9, 2), "", texts, {"ssh.service": "active"}, accept=False, directory=True, nologin=False)
    answers: dict[Any, Any] = {
        SshdState(): sshd,
        Caller(): CallerFacts("192.0.2.7", "192.0.2.1", 22, "root"),
        Accounts(): Listed(people, more),
        FileAt(DROP_IN): Missing.ABSENT,
        FileAt(MAIN): Missing.ABSENT,
    }
    for account, settings in people:
        answers |= {AccountNamed(account.name): account, SshdEffective(account.name, ""): settings}
    return make_plan([wanted], Facts(answers, {}))


DENY = PasswordLogin((), others_denied=True)


def before(found: Plan) -> str:
    """Whose passwords count now, as deny says it."""
    return next(str(change.before) for step in found.steps for change in step.changes if change.field == "passwords of everybody")


def test_only_those_whose_password_counts_now_are_named() -> None:
    """Not who has none, is turned away, or whom AuthenticationMethods asks for a key."""
    off = replace(ANA, name="off", groups=("off",))
    by_key = replace(ANA, name="keyed", groups=("keyed",))
    ldap = replace(ANA, name="ldap", groups=("ldap",), password="elsewhere")  # noqa: S106 - see NEVER
    found = plan(
        DENY,
        (ANA, OPEN),
        (NEVER, OPEN),
        (off, {**OPEN, "denyusers": ("off",)}),
        (by_key, {**OPEN, "authenticationmethods": ("publickey",)}),
        (ldap, OPEN),
    )
    assert before(found) == "yes for ana; unknown for ldap"
    assert before(plan(DENY, (NEVER, OPEN))) == "no"


def test_deny_says_whom_it_did_not_look_at() -> None:
    said = "51 more accounts were not looked at: novaops looks at 200"
    found = plan(DENY, (ANA, OPEN), more=51)
    assert before(found) == "yes for ana; unknown for others"
    assert [note.text for note in found.notes] == [said]
    assert before(plan(DENY, (NEVER, OPEN), more=51)) == "unknown for others"
    allow = PasswordLogin((Grant("ana"),))
    assert said not in [note.text for note in plan(allow, (ANA, OPEN), more=51).notes]


def test_everybody_who_is_shut_out_is_named() -> None:
    elsewhere = {**OPEN, "authorizedkeysfile": ("/etc/ssh/keys/%u",)}
    command = "AuthorizedKeysCommand /bin/keys"
    by_command = {**OPEN, "authorizedkeyscommand": ("/bin/keys",)}
    found = plan(
        DENY,
        (ANA, OPEN),
        (BO, elsewhere),
        (replace(BO, name="di", groups=("di",)), by_command),
        (replace(NEVER, keys=KEYLESS), OPEN),
        main=f"{INCLUDE}{command}\n",
    )
    assert [note.text for note in found.notes] == [
        "has a password and no way in without one: bo",
        f"has a password, and perhaps no way in without one: di ({command} may know keys of it, and was not run ← {MAIN}:2)",
    ]


@pytest.mark.parametrize(
    ("settings", "main", "why"),
    [
        (
            {"authenticationmethods": ("publickey,keyboard-interactive:pam",)},
            f"{INCLUDE}AuthenticationMethods publickey,keyboard-interactive:pam\n",
            f"ana: AuthenticationMethods publickey,keyboard-interactive:pam needs a password ← {MAIN}:2",
        ),
        (
            {"authenticationmethods": ("publickey",)},
            f"{INCLUDE}AuthenticationMethods publickey,password\nMatch Address 192.0.2.0/24\n AuthenticationMethods publickey\n",
            f"ana: AuthenticationMethods publickey,password needs a password for whom it holds ← {MAIN}:2",
        ),
        (
            {"authenticationmethods": ("any",)},
            f"{INCLUDE}Match Address 198.51.100.0/24\n AuthenticationMethods password publickey,password\n",
            f"ana: AuthenticationMethods password publickey,password needs a password for whom it holds ← {MAIN}:3",
        ),
        (
            {"authenticationmethods": ("publickey",)},
            f"{INCLUDE}AuthenticationMethods publickey,password\nMatch User ana\n AuthenticationMethods publickey\n",
            "",
        ),
        ({}, f"{INCLUDE}Match User bo\n AuthenticationMethods publickey,password\n", ""),
        ({}, f"{INCLUDE}Match Address 198.51.100.0/24\n AuthenticationMethods publickey,password publickey\n", ""),
    ],
)
def test_deny_is_refused_where_a_password_is_needed_from_anywhere(settings: Settings, main: str, why: str) -> None:
    found = plan(DENY, (ANA, {**OPEN, **settings}), main=main)
    assert [refusal.why for _, refusal in found.refusals] == ([why] if why else [])
    assert all("AuthenticationMethods publickey" in refusal.fix for _, refusal in found.refusals)


def test_deny_is_refused_where_an_earlier_file_lets_somebody_in_from_elsewhere() -> None:
    first = {"00-aaa": "Match Address 198.51.100.0/24\n PasswordAuthentication yes\n"}
    found = plan(DENY, (ANA, OPEN), **first)
    [(_, refusal)] = found.refusals
    where = "/etc/ssh/sshd_config.d/00-aaa.conf:2"
    assert refusal.why == f"ana: PasswordAuthentication yes comes before what novaops would write ← {where}"
    assert not plan(DENY, (ANA, OPEN), **{"00-aaa": first["00-aaa"].replace("yes", "no")}).refusals
    assert not plan(DENY, (ANA, OPEN), **{"99-x": first["00-aaa"]}).refusals


@pytest.mark.parametrize("block", ["Match User ana", "Match Group ana,sftponly", "Match Address 192.0.2.0/24"])
def test_deny_is_not_refused_for_an_earlier_line_that_denies_too(block: str) -> None:
    for line in ("PasswordAuthentication no", "KbdInteractiveAuthentication No"):
        first = f"{block}\n {line}\n"
        assert not plan(DENY, (ANA, OPEN), **{"00-hardening": first}).refusals
        [(_, refusal)] = plan(DENY, (ANA, OPEN), **{"00-hardening": first[:-3] + "yes\n"}).refusals
        assert "yes comes before what novaops would write" in refusal.why
    wanted = PasswordLogin((Grant("bo"),), others_denied=True)
    bo = (replace(BO, keys=KEYS), OPEN)
    assert not plan(wanted, (ANA, OPEN), bo, **{"00-hardening": "Match User ana\n PasswordAuthentication no\n"}).refusals
    assert plan(wanted, (ANA, OPEN), bo, **{"00-hardening": "Match User bo\n PasswordAuthentication no\n"}).refusals


def test_a_refusal_names_the_lines_as_they_are() -> None:
    """Also where the file would get lines before them."""
    main = "AuthenticationMethods publickey\n"
    found = plan(PasswordLogin((Grant("ana"),)), (ANA, {**OPEN, "authenticationmethods": ("publickey",)}), main=main)
    [(_, refusal)] = found.refusals
    assert refusal.why == f"ana: AuthenticationMethods asks for more than a password: publickey ← {MAIN}:1"


@pytest.mark.parametrize(
    ("said", "pam"),
    [
        ({"usepam": ("yes",)}, True),
        ({"usepam": ("no",)}, False),
        ({"usepam": ()}, False),
        ({"usepam": ("yes",), "challengeresponseauthentication": ("yes",)}, True),
        ({"usepam": ("yes",), "challengeresponseauthentication": ("no",)}, False),  # OpenSSH 8.4 of Debian 11: offered, it fails unasked
    ],
)
def test_keyboard_interactive_is_offered_only_where_it_asks(said: Settings, *, pam: bool) -> None:
    found = plan(PasswordLogin((Grant("ana"),), passwords=(("ana", Secret("right")),)), (ANA, {**OPEN, **said}))
    [step] = found.steps
    [file] = [action for action in step.actions if isinstance(action, WriteFile)]
    assert file.content is not None
    text = bytes(file.content).decode() if isinstance(file.content, bytes) else str(file.content)
    assert f"PasswordAuthentication yes\n    KbdInteractiveAuthentication {'yes' if pam else 'no'}\n" in text
    [login] = step.fresh_logins
    assert "set -- ana\n" in login.if_refused


JOURNAL = {
    "pam_access": (
        (
            "pam_access(sshd:account): access denied for user `netlab' from `192.0.2.7'\n"
            "fatal: Access denied for user netlab by PAM account configuration [preauth]\n"
        ),
        "PAM refused it (/etc/pam.d/sshd). The host's journal says:",
    ),
    "an authenticator": (
        'Failed to read "/home/netlab/.google_authenticator" for "netlab"\nFailed password for netlab from 192.0.2.7 port 4 ssh2\n',
        "The host's journal says:",
    ),
    "pam_faillock": (
        (
            "pam_faillock(sshd:auth): Consecutive login failures for user netlab account temporarily locked\n"
            "Failed password for netlab from 192.0.2.7 port 4 ssh2\n"
        ),
        "PAM refused it (/etc/pam.d/sshd). The host's journal says:",
    ),
    "a wrong password": (
        "pam_unix(sshd:auth): authentication failure; user=netlab\nFailed password for netlab from 192.0.2.7\n",
        "The host's journal says:",
    ),
    "nothing": ("", ""),
}


JOURNALCTL = """\
#!/bin/sh
case $* in
  --sync) ;;
  *'-F SYSLOG_IDENTIFIER') printf '%s\\n' sshd 'sshd(pam_u2f)' sshd-session 'su(pam_u2f)' sshdx 'sshd x' cron ;;
  *) printf '%s\\n' "$@" >asked; cat lines ;;
esac
"""


def _asked(journal: Iterable[dict[str, str]], folder: Path, *, shell: str = "dash", apart: tuple[str, str] = (",", ":")) -> str:
    """What is made of a journal with these entries."""
    (folder / "lines").write_text("".join(json.dumps(entry, separators=apart, ensure_ascii=False) + "\n" for entry in journal))
    program = folder / "journalctl"
    program.write_text(JOURNALCTL)
    program.chmod(0o755)
    done = subprocess.run(
        [shell, "-s", "netlab"],
        input=sh_file("novaops.features.login.resources", "refused_login.sh"),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("case", JOURNAL)
def test_what_the_journal_says_of_a_login_that_was_refused(shell: str, case: str, tmp_path: Path) -> None:
    lines, head = JOURNAL[case]
    noise = "Accepted publickey for root from 192.0.2.7\nServer listening on 0.0.0.0 port 22.\nConnection closed by netlab [preauth]\n"
    entries = [{"_UID": "0", "_EXE": "/usr/sbin/sshd", "MESSAGE": line, "_PID": "4"} for line in (noise + lines).splitlines()]
    assert _asked(entries, tmp_path, shell=shell) == (f"{head}\n{lines}" if lines else "")
    asked = (tmp_path / "asked").read_text().split("--since=-60s\n")[1].split("+\n")
    assert asked[0] == "_UID=0\n_EXE=/usr/sbin/sshd\n"
    assert [one for one in asked if not re.fullmatch(r"_UID=0\n_EXE=/usr/\S+\n", one)] == [
        f"_UID=0\nSYSLOG_IDENTIFIER={name}\n" for name in ("sshd", "sshd(pam_u2f)", "sshd-session")
    ]


@pytest.mark.parametrize("apart", [(",", ":"), (", ", " : ")], ids=["now", "before systemd 240"])
def test_a_line_in_the_journal_counts_by_the_program_that_wrote_it_where_that_is_known(apart: tuple[str, str], tmp_path: Path) -> None:
    """Anybody may call a program sshd. Of one that had ended before the journal read the line, its name is all there is."""
    entries = [
        {"_EXE": "/usr/lib/openssh/sshd-auth", "MESSAGE": 'pam_a(sshd:auth): "netlab" \\ 網'},
        {"_EXE": "/home/ana/sshd", "MESSAGE": "pam_b(sshd:auth): netlab"},
        {"MESSAGE": 'pam_c(sshd:auth): netlab, "_EXE":"/home/ana/sshd"', "SYSLOG_IDENTIFIER": "sshd"},
        {"MESSAGE": 'netlab "_EXE":"/usr/sbin/sshd"', "_EXE": "/home/ana/sshd"},
    ]
    assert _asked(entries, tmp_path, apart=apart).splitlines()[1:] == [entries[0]["MESSAGE"], entries[2]["MESSAGE"]]
