"""What hosts printed about their ssh server, accounts and units, and the facts in it; what is put right with them.

Some of the shell runs here for real, with programs of the test's own in place of sshd, getent and systemctl.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.engine.planner import make_plan
from novaops.errors import HostFailed
from novaops.facts.account import Account, AccountNamed, Accounts, Keys, PasswordHash
from novaops.facts.package import PackageNamed
from novaops.facts.sshd import Caller, CallerFacts, Sshd, SshdEffective, SshdState
from novaops.facts.succeeds import Succeeds, has
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.formats.sshd_config import Peer, SshdConfig
from novaops.model.plan import Risk
from novaops.model.question import Facts, Missing, Question
from novaops.resources.sshd_access import LoginContext, perhaps_by_pam
from novaops.resources.unit import Unit
from novaops.resources.user import User
from novaops.secret import Secret
from tests.unit.facts.test_facts import framed, outcome, read

QUESTIONS = [Caller(), SshdState(), SshdEffective("a"), AccountNamed("a"), Accounts(), PasswordHash("a"), UnitNamed("a")]
HASH = "$y$j9T$salt$hash"


def answers(questions: list[Any], stdout: str, stderr: str = "", status: int = 0) -> list[Any]:
    facts = read(questions, framed(questions[0], stdout, stderr, status))
    return [outcome(facts, question) for question in questions]


def answer(question: Question[Any], stdout: str, status: int = 0) -> Any:
    return answers([question], stdout, status=status)[0]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: type(question).family)
@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
@settings(max_examples=20)
def test_garbage_is_never_absent(question: Question[Any], garbage: str) -> None:
    assert answer(question, garbage.replace("absent", "") or "%") == "unknown"


# -- sshd -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stdout", "expected"),
    [
        ("192.0.2.1 40000 192.0.2.2 2222 nova\n", CallerFacts("192.0.2.1", "192.0.2.2", 2222, "nova")),
        ("fe80::1%eth0 40000 fe80::2%eth0 22 nova\n", CallerFacts("fe80::1%eth0", "fe80::2%eth0", 22, "nova")),
        ("absent\n", "absent"),
        ("absent nova\n", "unknown"),
        ("192.0.2.1 40000 192.0.2.2\n", "unknown"),
        ("192.0.2.1 40000 192.0.2.2 port nova\n", "unknown"),
    ],
)
def test_caller(stdout: str, expected: Any) -> None:
    assert answer(Caller(), stdout) == expected


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_caller_is_the_one_of_the_nearest_connection_and_its_farthest_process(shell: str) -> None:
    def called(*environments: str) -> Any:
        words = [word for each in environments for word in ("env", *each.split(";"), "sh", "-c", '"$@"; exit', "sh")]
        done = subprocess.run(
            [*words, shell, "-s"],
            input=Caller.script([Caller()]).encode(),
            capture_output=True,
            check=True,
            env={"PATH": os.environ["PATH"]},
        )
        assert done.stderr == b""
        return answer(Caller(), done.stdout.decode())

    came = "SSH_CONNECTION=192.0.2.1 4 192.0.2.2 22"
    nova = CallerFacts("192.0.2.1", "192.0.2.2", 22, "nova")
    assert called(f"{came};USER=nova") == nova
    assert called(f"{came};USER=nova", "-i;PATH=/usr/bin:/bin;USER=root") == nova, "as after sudo"
    assert called(f"{came};USER=nova", "USER=root") == nova, "as after sudo that keeps SSH_CONNECTION"
    assert called("SSH_CONNECTION=198.51.100.9 4 192.0.2.9 22;USER=other", f"{came};USER=nova") == nova, "sshd was started over ssh"
    assert called("SSH_CONNECTION=UNKNOWN 65535 UNKNOWN 65535;USER=nova") == "absent"


STATE = """\
program\t/usr/sbin/sshd
version\t9.2
complaint\t/etc/ssh/sshd_config line 5: Bad configuration option: Passwordlogin\r
complaint\t/etc/ssh/sshd_config: terminating, 1 bad configuration options\r
directory
nologin
Accept=no
Id=ssh.service
LoadState=loaded
ActiveState=active

Id=ssh.service
LoadState=loaded
ActiveState=active

Accept=yes
Id=ssh.socket
LoadState=loaded
ActiveState=inactive

Accept=yes
Id=sshd.socket
LoadState=not-found
ActiveState=inactive
file\t6\t/etc/ssh/sshd_config
file\t3\t/etc/ssh/sshd_config.d/text
file\t0\t/etc/ssh/sshd_config.d/with blank
text
a\udcff b

c d"""


def test_sshd() -> None:
    assert answer(SshdState(), STATE) == Sshd(
        program="/usr/sbin/sshd",
        version=(9, 2),
        complaint="/etc/ssh/sshd_config line 5: Bad configuration option: Passwordlogin\n"
        "/etc/ssh/sshd_config: terminating, 1 bad configuration options",
        files={"/etc/ssh/sshd_config": "a\udcff b\n\n", "/etc/ssh/sshd_config.d/text": "c d", "/etc/ssh/sshd_config.d/with blank": ""},
        units={"ssh.service": "active", "ssh.socket": "inactive"},
        accept=False,
        directory=True,
        nologin=True,
    )
    listening = STATE.replace("ssh.socket\nLoadState=loaded\nActiveState=inactive", "ssh.socket\nLoadState=loaded\nActiveState=active")
    assert answer(SshdState(), listening).accept
    assert answer(SshdState(), "no program\n").program == ""
    assert answer(SshdState(), STATE.replace("version\t9.2\n", "")).version is None
    assert answer(SshdState(), STATE, status=1) == "unknown"
    assert answer(SshdState(), STATE[:-1]) == answer(SshdState(), STATE + "e") == "unknown"


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_sshd_reads_is_read_however_it_is_included(shell: str, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    texts = {
        "sshd_config": 'Include=deep/a.conf\n\tinclude  "with blank/*.conf" deep/[bc].conf # deep/none.conf\n#Include deep/none.conf\n'
        "Match User x\nInclude = 'deep/quoted.conf' deep/with\\ blank.conf\nIncluded deep/none.conf\n"
        f'Include {etc}/absolute.conf\r\nInclude deep deep/missing.conf "deep/none.conf\n',
        "deep/a.conf": "Include sshd_config deep/again.conf\n",
        "deep/again.conf": "Include deep/a.conf deep/again.conf deep/last.conf\n",
        "absolute.conf": "caf\udce9",
        **dict.fromkeys(("with blank/1.conf", "with blank/2.conf", "deep/b.conf", "deep/c.conf", "deep/quoted.conf"), "x\n"),
        **dict.fromkeys(("deep/with blank.conf", "deep/last.conf"), ""),
    }
    for name, text in {**texts, "deep/none.conf": "", "with blank/.hidden.conf": "", "with blank/1.conf.bak": ""}.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    run = tmp_path / "run" / "sshd"
    said = f'[ -d {run} ] || {{ printf "Missing privilege separation directory: {run}\\r\\n" >&2; exit 255; }}'
    program(tmp_path, "sshd", f'case $1 in -V) echo "unknown option -- V\nOpenSSH_7.4p1 Debian-10" >&2; exit 1 ;; *) {said} ;; esac')
    program(tmp_path, "systemctl", "echo 'System has not been booted with systemd' >&2; exit 1")
    found = ran(SshdState(), tmp_path, shell)
    assert found.files == {str(etc / name): text for name, text in texts.items()}
    assert (found.version, found.complaint, found.units, found.directory, run.exists()) == ((7, 4), "", {}, False, True)
    assert found.pam == ()
    program(tmp_path, "sshd", 'printf "%s line 1: Bad\\r\\n" "$1" >&2; exit 255')
    assert ran(SshdState(), tmp_path, shell).complaint == "-t line 1: Bad"
    (tmp_path / "bin" / "sshd").unlink()
    assert ran(SshdState(), tmp_path, shell).program == ""


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_pam_asks_for_a_login(shell: str, tmp_path: Path) -> None:
    """With all that is included, once; sessions and passwords are no login."""
    pam = tmp_path / "pam.d"
    pam.mkdir()
    (pam / "sshd").write_text(
        "# auth required pam_no.so\n@include common-auth\n\taccount  required /lib/security/pam_access.so nodefgroup # x\n"
        "-auth [success=1 new_authtok_reqd=ok default=ignore] pam_x.so\nsession required pam_limits.so\naccount include deep\n"
    )
    (pam / "common-auth").write_text("auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n@include sshd\n")
    (pam / "deep").write_text("auth substack common-auth\naccount required pam_time.so\n@include missing\n")
    program(tmp_path, "sshd", ":")
    (tmp_path / "etc").mkdir()
    done = asked([SshdState()], tmp_path, shell, {"/etc/pam.d/": f"{pam}/"})
    assert done.stderr == b""
    assert answer(SshdState(), done.stdout.decode()).pam == (
        *(("auth", "pam_unix"), ("auth", "pam_deny")),
        *(("account", "pam_access"), ("auth", "pam_x"), ("account", "pam_time")),
    )


RHEL_7 = """\
auth required pam_env.so
auth sufficient pam_unix.so nullok try_first_pass
auth requisite pam_succeed_if.so uid >= 1000 quiet_success
auth required pam_deny.so
account required pam_unix.so
account sufficient pam_localuser.so
account sufficient pam_succeed_if.so uid < 1000 quiet
account required pam_permit.so
"""
RHEL_9 = """\
auth required pam_faildelay.so delay=2000000
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth [default=1 ignore=ignore success=ok] pam_localuser.so
auth sufficient pam_unix.so nullok
auth sufficient pam_sss.so forward_pass
auth required pam_deny.so
account required pam_unix.so
account sufficient pam_localuser.so
account sufficient pam_usertype.so issystem
account [default=bad success=ok user_unknown=ignore] pam_sss.so
account required pam_permit.so
"""
DEBIAN = """\
auth [success=2 default=ignore] pam_unix.so nullok
auth [success=1 default=ignore] pam_sss.so use_first_pass
auth requisite pam_deny.so
auth required pam_permit.so
account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
account sufficient pam_localuser.so
"""
OF_SSHD = "auth substack more\naccount required pam_sepermit.so\naccount required pam_nologin.so\naccount include more\n"


@pytest.mark.parametrize(
    ("sshd", "more", "asks"),
    [
        (OF_SSHD, RHEL_7, []),
        (OF_SSHD, RHEL_9, []),
        ("@include more\naccount required pam_nologin.so\n", DEBIAN, []),
        (f"account required pam_succeed_if.so user ingroup admins\n{OF_SSHD}", DEBIAN, ["required pam_succeed_if.so user ingroup admins"]),
        (OF_SSHD, f"{RHEL_7}account requisite pam_succeed_if.so uid >= 1000\n", ["requisite pam_succeed_if.so uid >= 1000"]),
        (f"account required pam_succeed_if.so uid >= 2000\n{OF_SSHD}", DEBIAN, ["required pam_succeed_if.so uid >= 2000"]),
        (
            OF_SSHD,
            f"{RHEL_9}account [default=bad success=ok]\tpam_succeed_if.so  user != ana quiet\n",
            ["[default=bad success=ok] pam_succeed_if.so user != ana quiet"],
        ),
        (f"{OF_SSHD}-account requisite /lib/security/pam_deny.so # nobody\n", RHEL_7, ["requisite /lib/security/pam_deny.so"]),
        (f"account required pam_localuser.so\n{OF_SSHD}", RHEL_9, ["required pam_localuser.so"]),
        (f"account required pam_usertype.so isregular\n{OF_SSHD}", RHEL_9, ["required pam_usertype.so isregular"]),
        (f"account required pam_shells.so\n{OF_SSHD}", RHEL_9, ["required pam_shells.so"]),
    ],
)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_rule_of_the_administrator_is_none_of_the_distribution(sshd: str, more: str, asks: list[str], shell: str, tmp_path: Path) -> None:
    """The same modules turn down by what the line says, and by where it stands."""
    pam = tmp_path / "pam.d"
    pam.mkdir()
    (pam / "sshd").write_text(sshd)
    (pam / "more").write_text(more)
    program(tmp_path, "sshd", ":")
    (tmp_path / "etc").mkdir()
    done = asked([SshdState()], tmp_path, shell, {"/etc/pam.d/": f"{pam}/"})
    found = answer(SshdState(), done.stdout.decode()).pam
    context = LoginContext(Peer("ana", ("ana",), "192.0.2.7"), None, {"usepam": ("yes",)}, SshdConfig({}), pam=found)
    assert [one.text for one in perhaps_by_pam(context, "auth", "account")] == [f"PAM asks {line} too" for line in asks]


def program(folder: Path, name: str, body: str) -> None:
    file = folder / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def ran(question: Question[Any], folder: Path, shell: str = "dash") -> Any:
    """The answer, with the programs of `folder`/bin and the files of `folder`/etc."""
    done = asked([question], folder, shell)
    assert done.returncode == 0, done.stderr
    return answer(question, done.stdout.decode("utf-8", "surrogateescape"))


def asked(
    questions: list[Any], folder: Path, shell: str = "dash", moved: Mapping[str, str] = MappingProxyType({"/etc/pam.d/": "/nowhere/"})
) -> subprocess.CompletedProcess[bytes]:
    script = type(questions[0]).script(questions).replace("/etc/ssh", f"{folder}/etc").replace("/usr/lib/pam.d", "/nowhere")
    for place, another in moved.items():
        script = script.replace(place, another)
    for table in ("passwd", "shadow"):
        script = script.replace(f"/etc/{table}", f"{folder}/etc/{table}")
    path = {"PATH": f"{folder}/bin:/usr/bin:/bin"}
    return subprocess.run([shell, "-s"], input=script.encode(), capture_output=True, check=False, env=path)


def test_effective_settings_as_sshd_prints_them(tmp_path: Path) -> None:
    questions = [SshdEffective("nova"), SshdEffective("wrong"), SshdEffective("x,user=root"), SshdEffective("o'hara", "192.0.2.7")]
    body = 'case $3 in *=wrong,*) printf "line 1: Bad\\r\\n" >&2; exit 255 ;; esac; echo "port 22\nAllow $3\nallowusers a b"; echo x >&2'
    program(tmp_path, "sshd", body)
    done = asked(questions, tmp_path)
    nova, wrong, comma, other = answers(questions, done.stdout.decode())
    assert (wrong, comma) == ("unknown", "unknown")
    assert done.stderr.decode() == "line 1: Bad\nsshd cannot be asked about what has a comma in it: x,user=root\n"
    assert {key: nova[key] for key in ("port", "allowusers")} == {"port": ("22",), "allowusers": ("a b",)}
    assert nova["Allow"][0].startswith("user=nova,host=")
    assert other["Allow"][0].startswith("user=o'hara,host=192.0.2.7,addr=192.0.2.7,laddr=")
    assert answer(questions[0], "allowusers a\nallowusers b\n= 0\n") == {"allowusers": ("a", "b")}
    assert answer(questions[0], "port 22\n= 255\n") == answer(questions[0], "port 22\n") == answer(questions[0], "= 0\n") == "unknown"
    (tmp_path / "bin" / "sshd").unlink()
    gone = asked(questions, tmp_path)
    assert (gone.stdout, gone.stderr, gone.returncode) == (b"", b"there is no sshd\n", 1)


# -- accounts ---------------------------------------------------------------------------------------------------------


FIELDS = {
    "set": (HASH, "abJnggxhB/yWI", "_J9..rasmBYk8r9AiWNc"),
    "locked": (f"!{HASH}", f"!!{HASH}", "!abJnggxhB/yWI"),
    "none": ("*", "*LK*", "x", "NP", f"*{HASH}"),
    "barred": ("!", "!!", "!*"),
    "empty": ("",),
}


def host(folder: Path, passwd: str, shadow: str) -> None:
    """The two tables of a host, and getent that prints all of one."""
    (folder / "etc").mkdir(exist_ok=True)
    for name, text in (("passwd", passwd), ("shadow", shadow)):
        (folder / "etc" / name).write_text(text)
    program(folder, "getent", f"cat {folder}/etc/$1; [ $# = 1 ] || exit 2")


def accounts(folder: Path, *names: str) -> list[Any]:
    questions = [AccountNamed(name) for name in names]
    done = asked(questions, folder)
    assert (done.returncode, "hash" in done.stdout.decode()) == (0, False)
    return answers(questions, done.stdout.decode())


def test_the_kind_of_a_password_without_the_password(tmp_path: Path) -> None:
    kinds = {f"{kind}{number}": (kind, field) for kind, fields in FIELDS.items() for number, field in enumerate(fields)}
    host(
        tmp_path,
        "".join(f"{name}:x:1:1::/:/bin/sh\n" for name in kinds)
        + f"old:{HASH}:1:1::/:/bin/sh\nold:*:1:1::/:\nldap:*:1:1::/:/bin/sh\nsssd:*:1:1::/:/bin/sh\n",
        "".join(f"{name}:{field}:1:0:9::::\n" for name, (_, field) in kinds.items()),
    )
    tables = (tmp_path / "etc" / "passwd").read_text()
    program(tmp_path, "getent", f"cat {tmp_path}/etc/all-$1 {tmp_path}/etc/$1 2>/dev/null; exit 2")
    (tmp_path / "etc" / "all-passwd").write_text(tables)
    (tmp_path / "etc" / "passwd").write_text(tables.replace("sssd:*:1:1::/:/bin/sh\n", ""))
    found = accounts(tmp_path, *kinds, "old", "ldap", "sssd", "nobody")
    assert [account.password for account in found[:-1]] == [*(kind for kind, _ in kinds.values()), "set", "none", "elsewhere"]
    assert found[-1] == "absent"
    questions = [PasswordHash(name) for name in ("set0", "old", "empty0", "nobody")]
    done = asked(questions, tmp_path)
    assert answers(questions, done.stdout.decode()) == [Secret(HASH), Secret("*"), Secret(""), "absent"]
    shown = str(answers(questions, done.stdout.decode()))
    assert ("[secret]" in shown, "hash" in shown) == (True, False)


def test_an_account(tmp_path: Path) -> None:
    host(tmp_path, f"me:x:1000:100:Me, myself:{tmp_path}/home:/bin/sh\n", f"me:{HASH}:19000:0:90:7:5:20000:\n")
    program(tmp_path, "date", "echo $((19500 * 86400 + 3600))")
    program(tmp_path, "id", r"[ $1 = -Gnz ] && printf 'users\0domain users\0'")
    expected = Account(
        *("me", 1000, 100, f"{tmp_path}/home", "/bin/sh", ("users", "domain users"), "set"),
        account_expires=20000,
        password_changed=19000,
        password_max=90,
        inactive=5,
        today=19500,
        shell_works=True,
    )
    assert accounts(tmp_path, "me") == [expected]
    assert expected.date == "20230523"


def only(folder: Path, said: str, *, name: str = "me", shell: str = "dash") -> Account:
    """The only account, whose home is `folder`/home; `said` is what sshd says of its settings."""
    host(folder, f"{name}:x:0:0::{folder}/home:/bin/sh\n", f"{name}:*:::::::\n")
    program(folder, "sshd", f"echo '{said}'")
    program(folder, "id", r"printf 'x\0'")
    [(account, settings)] = ran(Accounts(), folder, shell).accounts
    assert settings == {line.partition(" ")[0]: (line.partition(" ")[2],) for line in said.splitlines()}
    assert isinstance(account, Account)
    return account


def keys(folder: Path, said: str, *, name: str = "me", shell: str = "dash") -> Keys:
    found = only(folder, said, name=name, shell=shell).keys
    assert isinstance(found, Keys)
    return found


BOTH_FILES = "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2"


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_keys_in_the_files_that_sshd_reads(shell: str, tmp_path: Path) -> None:
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    tmp_path.chmod(0o755)
    key = "ssh-ed25519 AAAAC3Nz"
    command = f'no-pty,command="echo \\"{key}\\" a:b"'
    lines = [f"# {key}", f"  {key} me", "", f"{command} {key}", f'from="a,command=b"\t{key}', f'Command="x"  {key}\r']
    (ssh / "authorized_keys").write_text("\n".join([*lines, "ssh-ed25519", "garbage of some words"]))
    (ssh / "authorized_keys2").write_text("ecdsa-sha2-nistp256 AAAA\nsk-ssh-ed25519@openssh.com AAAA\nssh-rsa-cert-v01@openssh.com AAAA")
    found = keys(tmp_path, f"strictmodes no\n{BOTH_FILES}", shell=shell)
    assert found.files == (str(ssh / "authorized_keys"), str(ssh / "authorized_keys2"))
    assert [(each.kind, dict(each.options)) for each in found.lines] == [
        ("ssh-ed25519", {}),
        ("ssh-ed25519", {"no-pty": "", "command": f'echo "{key}" a:b'}),
        ("ssh-ed25519", {"from": "a,command=b"}),
        ("ssh-ed25519", {"command": "x"}),
        ("ecdsa-sha2-nistp256", {}),
        ("sk-ssh-ed25519@openssh.com", {}),
        ("ssh-rsa-cert-v01@openssh.com", {}),
    ]
    (ssh / "authorized_keys").unlink()
    (ssh / "authorized_keys2").unlink()
    os.mkfifo(ssh / "authorized_keys")
    assert keys(tmp_path, BOTH_FILES, shell=shell).lines == (), "and it did not wait for the pipe"


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_size_of_an_rsa_key(shell: str, tmp_path: Path) -> None:
    """For RequiredRSASize."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    whole = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAGDRkc4JY8LMkjUHbsX9"
    longer = f'from="a" {whole.replace("ABAGDR", "ABAQCLj")}'
    (ssh / "authorized_keys").write_text(f'{whole}\n{longer}\nssh-rsa AAAAB3Nz\nssh-rsa AAAA:from="x"\nssh-rsa AAAA\n')
    found = keys(tmp_path, f"strictmodes no\n{BOTH_FILES}", shell=shell)
    assert [(each.rsa_bits, dict(each.options)) for each in found.lines] == [(2047, {}), (2048, {"from": "a"}), (0, {}), (0, {}), (0, {})]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("none", []),
        ("%h/keys /k/%u", ["HOME/keys", "/k/me"]),
        ("keys/%U/%% /%u%u 100%", ["HOME/keys/0/%", "/meme", "HOME/100%"]),
        ("/k/%u.d/* ~/x", ["/k/me.d/*", "HOME/~/x"]),
    ],
)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_where_sshd_looks_for_keys(shell: str, tmp_path: Path, pattern: str, paths: list[str]) -> None:
    found = keys(tmp_path, f"authorizedkeysfile {pattern}", shell=shell)
    assert list(found.files) == [path.replace("HOME", str(tmp_path / "home")) for path in paths]


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_a_user_writes_into_the_file_is_no_answer_about_it(shell: str, tmp_path: Path) -> None:
    ssh = tmp_path / "home/.ssh"
    ssh.mkdir(parents=True)
    (ssh / "authorized_keys").write_text("barred:unreadable /etc/x\nlookedin:/etc/x\nprincipal:\nssh-rsa AAAA\n")
    found = keys(tmp_path, f"strictmodes no\n{BOTH_FILES}", shell=shell)
    assert (found.barred, found.files) == ((), (str(ssh / "authorized_keys"), str(ssh / "authorized_keys2")))
    assert ([one.kind for one in found.lines], found.principals) == (["ssh-rsa"], False)


@pytest.mark.parametrize(("mode", "barred"), [(0o600, ""), (0o644, ""), (0o660, "group"), (0o646, "strict")])
def test_files_that_others_may_write(tmp_path: Path, mode: int, barred: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    file = home / "keys"
    file.write_text("ssh-rsa AAAA\n")
    file.chmod(mode)
    found = keys(tmp_path, "strictmodes yes\nauthorizedkeysfile keys")
    assert (found.barred, len(found.lines)) == (((str(file), barred),) if barred else (), int(barred != "strict"))
    file.chmod(0o600)
    os.chown(home, 12345, 0)
    assert keys(tmp_path, "authorizedkeysfile keys").barred == ((str(home), "strict"),)
    assert keys(tmp_path, "strictmodes no\nauthorizedkeysfile keys").barred == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="folders have to be root's")
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_folder_that_sshd_locks_an_account_into(shell: str, tmp_path: Path) -> None:
    """As in sshd_config(5): each part of the path is root's alone. The account's shell is in it, unless sshd serves sftp itself."""
    folder = tmp_path / "me"
    # What is above is everybody's, such as /tmp.
    program(tmp_path, "stat", f'for at; do :; done; case $at in {folder}*) exec {shutil.which("stat")} "$@" ;; *) echo 0:755 ;; esac')

    def trouble(more: str = "") -> str:
        return only(tmp_path, f"chrootdirectory {tmp_path}/%u{more}", shell=shell).jail

    assert only(tmp_path, "chrootdirectory none", shell=shell).jail == ""
    assert trouble() == f"{folder} is no folder"
    folder.mkdir(mode=0o755)
    assert trouble() == f"there is no {folder}/bin/sh, its shell"
    assert trouble("\nforcecommand internal-sftp -l INFO") == ""
    program(folder, "sh", "true")
    assert trouble() == ""
    for mode in (0o775, 0o757):
        folder.chmod(mode)
        assert trouble() == f"others than root may change {folder}"
    folder.chmod(0o755)
    os.chown(folder, 1, 0)
    assert trouble("\nforcecommand internal-sftp") == f"others than root may change {folder}"


def test_whom_an_authority_may_let_in(tmp_path: Path) -> None:
    (tmp_path / "principals").write_text("# nobody\n\n")
    said = f"strictmodes no\nauthorizedprincipalsfile {tmp_path}/principals"
    assert not keys(tmp_path, said).principals
    (tmp_path / "principals").write_text("# me\nops\n")
    assert keys(tmp_path, said).principals
    assert not keys(tmp_path, "authorizedprincipalsfile none").principals


@pytest.mark.parametrize(
    ("days", "expired", "password_expired"),
    [
        (":::::", False, False),
        ("19500:0:99999:7::", False, False),
        ("19000:0:500:7::", False, False),
        ("19000:0:499:7::", False, True),
        ("19000:0:-1:7::-1", False, False),
        ("0:0:99999:7::", False, True),
        (":::::19501", False, False),
        (":::::19500", True, False),
        (":::::0", True, False),
    ],
)
def test_an_account_expires_on_its_day_and_a_password_after_it(tmp_path: Path, days: str, *, expired: bool, password_expired: bool) -> None:
    host(tmp_path, "me:x:1:1::/:/bin/sh\n", f"me:*:{days}:\n")
    program(tmp_path, "date", "echo $((19500 * 86400))")
    [account] = accounts(tmp_path, "me")
    assert (account.expired, account.password_expired) == (expired, password_expired)


def test_shells_that_turn_everybody_away(tmp_path: Path) -> None:
    none = ("/usr/sbin/nologin", "/bin/false", "/bin", "/bin/nosuch", "/etc/passwd")
    shells = {"": True, "/bin/sh": True, **dict.fromkeys(none, False)}
    names = [f"u{number}" for number in range(len(shells))]
    host(tmp_path, "".join(f"{name}:x:1:1::/:{shell}\n" for name, shell in zip(names, shells, strict=True)), "")
    assert [account.shell_works for account in accounts(tmp_path, *names)] == list(shells.values())


def test_who_may_log_in_at_all_with_sshd_s_settings_for_each(tmp_path: Path) -> None:
    (tmp_path / "keyed" / ".ssh").mkdir(parents=True)
    (tmp_path / "keyed" / ".ssh" / "authorized_keys").write_text("ssh-rsa AAAA\n")
    nologin = ":/usr/sbin/nologin\n"
    host(
        tmp_path,
        f"root:x:0:0::/{nologin}daemon:x:1:1::/{nologin}me:x:2:2::/:/bin/sh\nlocked:x:3:3::/{nologin}given:x:4:4::/{nologin}"
        f"open:x:5:5::/{nologin}keyed:x:0:6::{tmp_path}/keyed{nologin}a,b:x:7:7::/:/bin/sh\n"
        + "".join(f"n{number}:x:9:9::/:/bin/sh\n" for number in range(250)),
        f"daemon:*:::::::\nlocked:!{HASH}:::::::\ngiven:{HASH}:::::::\nopen::::::::\n",
    )
    program(tmp_path, "sshd", 'echo "for $3"; echo authorizedkeysfile .ssh/authorized_keys')
    program(tmp_path, "id", "printf 'x\\0'")
    everybody = ran(Accounts(), tmp_path)
    found = everybody.accounts
    assert [account.name for account, _ in found][:7] == ["root", "me", "given", "open", "keyed", "a,b", "n0"]
    asked_for = [value.get("for", ("",))[0].split(",")[0] for _, value in found]
    assert asked_for[:6] == ["user=root", "user=me", "user=given", "user=open", "user=keyed", ""]
    assert (len(found), found[0][0].groups) == (200, ("x",))
    assert (everybody.more, everybody.not_looked_at) == (56, ["56 more accounts were not looked at: novaops looks at 200"])
    program(tmp_path, "sshd", "echo 'line 1: Bad' >&2; exit 255")
    done = asked([Accounts()], tmp_path)
    assert (done.returncode, done.stderr) == (1, b"line 1: Bad\n")


@pytest.mark.parametrize(
    ("nsswitch", "sssd", "unlisted"),
    [
        ("passwd: files systemd\ngroup: files ldap", "", ()),
        ("", "", ()),
        ("# passwd: ldap\npasswd:\tfiles [NOTFOUND=return success=continue] compat extrausers # ldap", "", ()),
        ("passwd:     sss files systemd", "", ()),
        ("passwd: sss files", "[domain/x]\nid_provider = files\n", ()),
        ("passwd: files sss", "[domain/x]\n id_provider=ldap\n", ("sss",)),
        ("passwd: files ldap [!UNAVAIL=return] winbind", "", ("ldap", "winbind")),
    ],
)
def test_sources_that_may_know_more_users_than_they_list(nsswitch: str, sssd: str, unlisted: tuple[str, ...], tmp_path: Path) -> None:
    host(tmp_path, "root:x:0:0::/:/bin/sh\n", "root:*:::::::\n")
    program(tmp_path, "sshd", "echo authorizedkeysfile none")
    (tmp_path / "etc" / "nsswitch.conf").write_text(nsswitch)
    (tmp_path / "sssd").mkdir()
    (tmp_path / "sssd" / "sssd.conf").write_text(sssd)
    done = asked([Accounts()], tmp_path, moved={"/etc/nsswitch.conf": f"{tmp_path}/etc/nsswitch.conf", "/etc/sssd": f"{tmp_path}/sssd"})
    found = answer(Accounts(), done.stdout.decode())
    assert (len(found.accounts), found.more, found.unlisted) == (1, 0, unlisted), done
    said = f"users of {' and '.join(unlisted)} that the host does not list were not looked at"
    assert found.not_looked_at == ([said] if unlisted else [])


@pytest.mark.parametrize("question", [AccountNamed("me"), PasswordHash("me")])
def test_who_could_not_be_asked_for_is_not_absent(question: Question[Any], tmp_path: Path) -> None:
    host(tmp_path, "", "")
    done = asked([question], tmp_path)
    assert answer(question, done.stdout.decode(), done.returncode) == "absent"
    program(tmp_path, "getent", "exit 3")
    done = asked([question], tmp_path)
    assert answer(question, done.stdout.decode(), done.returncode) == "unknown"
    (tmp_path / "etc" / "shadow").unlink()
    program(tmp_path, "getent", "exit 2")
    done = asked([question], tmp_path)
    assert (answer(question, done.stdout.decode(), done.returncode), done.stderr.startswith(b"only root can read ")) == ("unknown", True)


# -- units and users, and what puts them right ------------------------------------------------------------------------


UNITS = """\
Id=ssh.service
Names=ssh.service sshd.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=none.service
Names=none.service
LoadState=not-found
ActiveState=inactive

Id=fstrim.timer
Names=fstrim.timer
LoadState=masked
ActiveState=inactive
UnitFileState=masked

Id=run-1.scope
Names=run-1.scope
LoadState=loaded
ActiveState=active
"""


def test_units() -> None:
    questions = [UnitNamed(name) for name in ("ssh", "sshd.service", "none", "fstrim.timer", "run-1.scope", "other")]
    ssh = UnitFacts("loaded", "active", "enabled")
    assert answers(questions, UNITS) == [
        *(ssh, ssh, "absent", UnitFacts("masked", "inactive", "masked"), UnitFacts("loaded", "active", ""), "unknown"),
    ]
    assert answers(questions, UNITS, "System has not been booted with systemd", 1) == ["unknown"] * 6


def planned(unit: Unit, found: UnitFacts | Missing, package: str | Missing = Missing.ABSENT, *, command: bool = False) -> list[str]:
    plan = make_plan([unit], Facts({UnitNamed("x"): found, PackageNamed("p"): package, has("p"): command}, {}))
    commands: list[Any] = [action for step in plan.steps for action in step.actions]
    assert all(command.undo.holds != command.holds for command in commands)
    changes = [f"{change.field}: {change.before} → {change.after}" for step in plan.steps for change in step.changes]
    done = [f"{change}: {command}, undone by {command.undo}" for change, command in zip(changes, commands, strict=True)]
    return [refusal.what for _, refusal in plan.refusals] + done


@pytest.mark.parametrize(
    ("unit", "found", "expected"),
    [
        (Unit("x"), UnitFacts("loaded", "active", "enabled"), []),
        (
            Unit("x"),
            UnitFacts("loaded", "failed", "disabled"),
            [
                "enabled: disabled → enabled: systemctl enable -- x, undone by systemctl disable -- x",
                "active: failed → active: systemctl start -- x, undone by systemctl stop -- x",
            ],
        ),
        (
            Unit("x", enabled=False, active=False),
            UnitFacts("loaded", "activating", "enabled"),
            [
                "enabled: enabled → disabled: systemctl disable -- x, undone by systemctl enable -- x",
                "active: activating → inactive: systemctl stop -- x, undone by systemctl start -- x",
            ],
        ),
        (Unit("x", enabled=False, active=False), UnitFacts("loaded", "failed", "static"), []),
        (Unit("x", enabled=False, active=False), UnitFacts("masked", "inactive", "masked"), []),
        (Unit("x", enabled=False, active=False), Missing.ABSENT, []),
        (Unit("x"), UnitFacts("loaded", "active", "static"), ["x cannot be enabled: it is static"]),
        (Unit("x"), UnitFacts("loaded", "active", ""), ["x cannot be enabled: it is a unit without a file"]),
        (Unit("x"), UnitFacts("masked", "inactive", "masked"), ["x is masked, which keeps it from running"]),
        (Unit("x"), Missing.ABSENT, ["there is no unit x"]),
        (Unit("x", comes_with_package="p"), Missing.ABSENT, []),
    ],
)
def test_a_unit_is_put_right(unit: Unit, found: UnitFacts | Missing, expected: list[str]) -> None:
    assert planned(unit, found) == expected


def test_a_package_that_is_there_and_does_not_bring_its_unit_is_no_reason_to_wait() -> None:
    assert planned(Unit("x", comes_with_package="p"), Missing.ABSENT, "1.0") == ["there is no unit x"]
    of_command = Unit("x", comes_with_package="p", or_command="p")
    assert planned(of_command, Missing.ABSENT) == []
    assert planned(of_command, Missing.ABSENT, command=True) == ["there is no unit x"], (
        "the package does not come where its command is there"
    )


def test_a_user_is_made_once_and_left_alone_for_ever_after() -> None:
    group = Succeeds("getent group -- 'o'\\''hara'")
    [step] = make_plan([User("o'hara")], Facts({AccountNamed("o'hara"): Missing.ABSENT, group: False}, {})).steps
    assert step.changes[0].after == "with a home and a group of its own"
    assert (step.resource, step.risk) == ("user:o'hara", Risk.LOCKOUT)
    command: Any = step.actions[0]
    assert (command.words[3:], command.undo.words[3:]) == (("make", "o'hara", ""), ("remove", "o'hara"))
    assert command.undo.holds == f"! {command.holds}" == "! getent passwd -- 'o'\\''hara' >/dev/null"
    account = Account("o'hara", 1, 1, "/", "/bin/false", (), "none", None, None, None, None, 0, shell_works=False)
    assert not make_plan([User("o'hara", "/bin/sh")], Facts({AccountNamed("o'hara"): account}, {}))
    [step] = make_plan([User("o'hara")], Facts({AccountNamed("o'hara"): Missing.ABSENT, group: True}, {})).steps
    assert step.changes[0].after == "with a home and not in the group o'hara, which is there already"
    with pytest.raises(HostFailed):
        make_plan([User("o'hara")], Facts({}, {}))
