"""How a script gets to its shell: the command and its talk with real shells here, and what is made of what hosts print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import HostFailed, NoRoot
from novaops.secret import Secret
from novaops.ssh.launch import MOST_NOISE, Launch, shell_hint
from novaops.ssh.target import Target

PASSWORD = Secret("secret")
TARGET = Target("box", "192.0.2.7", 2222, "root")
SHELLS = [found for name in ("dash", "bash", "rbash", "busybox", "tcsh", "fish") if (found := shutil.which(name))]


def mark_of(launch: Launch) -> str:
    (mark,) = set(re.findall(r"novaops-[0-9a-f]{32}", launch.command))
    return str(mark)


def stopped(launch: Launch, *printed: tuple[int, str], status: int = 1) -> HostFailed:
    """Why it was not started, when the host printed this; `{mark}` is the launch's own."""
    for stream, text in printed:
        assert launch.heard(stream, text.replace("{mark}", mark_of(launch)).encode()) == b""
    return launch.why_not(status, TARGET, "root")


def sudo_said(said: str, *, password: bool = False) -> HostFailed:
    launch = Launch("true\n", root=True, sudo_password=PASSWORD if password else None)
    asks = "{mark} password\n" if password else ""
    return stopped(launch, (0, "{mark} sudo\n" + asks), (1, "hello\n{mark} sudo\n" + said))


# -- the talk ---------------------------------------------------------------------------------------------------------


def test_without_a_password_all_is_sent_with_the_command() -> None:
    for root in (True, False):
        launch = Launch("echo x\n", root=root)
        assert launch.due() == (b"echo x\n", True)
        assert launch.due()[0] == b""


def test_the_password_is_sent_when_it_is_asked_for_and_the_script_when_its_shell_is_there() -> None:
    launch = Launch("echo x\n", root=True, sudo_password=PASSWORD)
    mark = mark_of(launch)
    assert "secret" not in launch.command
    assert launch.due() == (b"", False)
    launch.heard(0, f"hello\n{mark} sudo\n".encode())
    assert launch.due() == (b"", False)
    launch.heard(0, f"{mark} password\n".encode())
    assert launch.due() == (b"secret\n", False)
    launch.heard(1, b"Sorry\n")
    assert launch.due() == (b"", False)
    assert launch.heard(0, f"{mark}\nout".encode()) == b"out"
    assert launch.due() == (f"{mark}\necho x\n".encode(), True)


def test_a_host_that_does_not_ask_gets_no_password() -> None:
    launch = Launch("echo x\n", root=True, sudo_password=PASSWORD)
    mark = mark_of(launch)
    launch.heard(0, f"{mark} sudo\n{mark}\n".encode())
    assert (launch.due(), launch.asked, launch.begun) == ((f"{mark}\necho x\n".encode(), True), False, True)


def test_a_host_that_asked_before_gets_it_at_once_and_only_once() -> None:
    launch = Launch("echo x\n", root=True, sudo_password=PASSWORD, asked=True)
    mark = mark_of(launch)
    assert launch.due() == (b"secret\n", False)
    launch.heard(0, f"{mark} sudo\n{mark} password\n".encode())
    assert launch.due() == (b"", False)


@given(st.binary(max_size=60), st.binary(max_size=60), st.lists(st.integers(1, 40), max_size=12))
def test_output_is_what_follows_the_mark_however_it_is_cut(noise: bytes, output: bytes, cuts: list[int]) -> None:
    launch = Launch("x\n", root=True, sudo_password=PASSWORD)
    data = noise + f"{mark_of(launch)} password\n{mark_of(launch)}\n".encode() + output
    said, sent = b"", b""
    for size in [*cuts, len(data)]:
        part, data = data[:size], data[size:]
        said += launch.heard(0, part)
        sent += launch.due()[0]
    assert (said, sent.removeprefix(b"secret\n")) == (output, f"{mark_of(launch)}\nx\n".encode())


def test_noise_has_a_limit() -> None:
    launch = Launch("x\n", root=True)
    launch.heard(0, b"x" * MOST_NOISE)
    assert not launch.too_noisy
    launch.heard(0, b"x")
    assert launch.too_noisy


@pytest.mark.skipif(os.getuid() != 0, reason="the command asks for no sudo here")
@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_is_one_for_every_login_shell(shell: str, tmp_path: Path) -> None:
    words = [shell, "sh", "-c"] if shell.endswith("busybox") else [shell, "-c"]
    for launch in (Launch("echo out; echo err >&2; exit 5\n", root=True), Launch("echo out; echo err >&2; exit 5\n", root=False)):
        done = subprocess.run([*words, launch.command], input=launch.due()[0], capture_output=True, cwd=tmp_path, check=False)
        begin = f"{mark_of(launch)}\n".encode()
        assert (done.returncode, done.stdout, done.stderr) == (5, begin + b"out\n", begin + b"err\n"), shell


@pytest.mark.skipif(os.getuid() != 0, reason="the command asks for no sudo here")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("asked", [True, False])
def test_a_password_for_a_login_that_is_root_is_run_by_nobody(shell: str, *, asked: bool) -> None:
    launch = Launch("echo out\n", root=True, sudo_password=Secret("echo secret"), asked=asked)
    words = [shell, "sh", "-c"] if shell.endswith("busybox") else [shell, "-c"]
    sent = launch.due()[0]
    assert (sent == b"echo secret\n") == asked
    launch.heard(0, f"{mark_of(launch)}\n".encode())
    done = subprocess.run([*words, launch.command], input=sent + launch.due()[0], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{mark_of(launch)}\nout\n".encode())


# -- what sudo says ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["sudo: a password is required\n", "sudo-rs: interactive authentication is required\n"])
def test_sudo_wants_a_password(said: str) -> None:
    error = sudo_said(f"sudo: unable to resolve host box: Name or service not known\n{said}")
    assert isinstance(error, NoRoot)
    assert error.what == "sudo on box (192.0.2.7) wants a password for root"
    assert "--ask-sudo-password" in error.fix
    assert error.why == said.partition(": ")[2].strip()


@pytest.mark.parametrize(
    "said",
    [
        "Sorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
        "\nsudo: Authentication failed, try again.\n\nsudo-rs: Maximum 3 incorrect authentication attempts\n",
    ],
)
def test_sudo_takes_no_wrong_password(said: str) -> None:
    error = sudo_said(said, password=True)
    assert (type(error), error.what) == (NoRoot, "sudo on box (192.0.2.7) did not take the password of root")
    assert error.fix == "try it by hand: ssh -t -p 2222 root@192.0.2.7 sudo -k true"


@pytest.mark.parametrize("password", [True, False])
@pytest.mark.parametrize(
    "said", ["root ist nicht in der sudoers-Datei.", "sudo-rs: I'm sorry root. I'm afraid I can't do that", "非常抱歉，请重试。"]
)
def test_no_root_whatever_the_words(said: str, *, password: bool) -> None:
    """Seen is that sudo was called: no words of it can make that a broken login shell."""
    error = sudo_said(f"{said}\n", password=password)
    assert (type(error), error.what) == (NoRoot, "root cannot become root on box (192.0.2.7)")
    assert error.why == said.removeprefix("sudo-rs: ")
    assert ("--ask-sudo-password" in error.fix) == (not password)


@pytest.mark.parametrize("password", [True, False])
@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "/etc/sudoers.d/zz:2:14: syntax error\nops ALL=(ALL NOPASSWD: ALL\n             ^~~~~~~~~\n",
            "/etc/sudoers.d/zz:2:14: syntax error",
        ),
        (
            ">>> /etc/sudoers: syntax error near line 1 <<<\nsudo: parse error in /etc/sudoers near line 1\n",
            "parse error in /etc/sudoers near line 1",
        ),
        ("sudo: /etc/sudoers.d/ops is world writable\n", "/etc/sudoers.d/ops is world writable"),
        ("sudo: /etc/sudoers is owned by uid 1000, should be 0\n", "/etc/sudoers is owned by uid 1000, should be 0"),
        ("sudo: unable to open /etc/sudoers.d/x: Permission denied\n", "unable to open /etc/sudoers.d/x: Permission denied"),
    ],
)
def test_files_of_sudo_that_it_does_not_read(said: str, why: str, *, password: bool) -> None:
    """A password would not help: the rule that is meant may stand in the file."""
    error = sudo_said(f"{said}sudo: a password is required\n", password=password)
    assert (type(error), error.what) == (NoRoot, "sudo on box (192.0.2.7) does not take all of its rules")
    assert why in error.why
    assert "a password is required" not in error.why
    assert "visudo -c" in error.fix


def test_sudo_wants_a_terminal() -> None:
    assert "!requiretty" in sudo_said("sudo: sorry, you must have a tty to run sudo\n").fix


def test_doas_has_its_own_hint() -> None:
    error = stopped(Launch("x\n", root=True), (0, "{mark} doas\n"), (1, "{mark} doas\ndoas: Authentication required\n"))
    assert (type(error), error.why) == (NoRoot, "Authentication required")
    assert error.fix.startswith("permit nopass root in /etc/doas.conf")


def test_neither_sudo_nor_doas() -> None:
    error = stopped(Launch("x\n", root=True), (0, "{mark} none\n"), (1, "{mark} none\n"), status=77)
    assert (type(error), error.why) == (NoRoot, "sudo is not installed, and the login is not root")


# -- what login shells and forced commands say ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "said", "why", "fix"),
    [
        (
            *(0, 'Please login as the user "ubuntu" rather than the user "root".\n\n'),
            *('Please login as the user "ubuntu" rather than the user "root".', "use ubuntu@192.0.2.7:2222"),
        ),
        (
            *(0, 'Please login as the user "NONE" rather than the user "root".\n\n'),
            *('Please login as the user "NONE" rather than the user "root".', "log in as another user"),
        ),
        (
            *(0, 'Please login as the user "ec2-user" rather than the user "root".\r\n\r\n'),
            *('Please login as the user "ec2-user" rather than the user "root".', "use ec2-user@192.0.2.7"),
        ),
        (
            *(0, "Please login as the ubuntu user rather than root user.\n\n"),
            *("Please login as the ubuntu user rather than root user.", "use ubuntu@192.0.2.7"),
        ),
        (
            *(1, "WARNING: Your password has expired.\nPassword change required but no TTY available.\n"),
            *("WARNING: Your password has expired.\nPassword change required but no TTY available.",),
            "set a new password: ssh -t -p 2222 root@192.0.2.7",
        ),
        (0, "This account is currently not available.\n", "This account is currently not available.", "a login shell"),
        (1, "This service allows sftp connections only.\n", "This service allows sftp connections only.", "no forced command"),
        (0, "1) status\n2) quit\n\n  choice: \n \n", "1) status\n2) quit\nchoice:", "another user"),
        (0, "\n \n", "Its login shell printed nothing.", "a login shell"),
        (0, "", "Its login shell printed nothing.", "a login shell"),
    ],
)
def test_what_was_printed_is_said_with_what_to_do(stream: int, said: str, why: str, fix: str) -> None:
    error = stopped(Launch("x\n", root=True), (stream, said), status=142)
    assert (type(error), error.what) == (HostFailed, "root can run nothing on box (192.0.2.7) (exit status 142)")
    assert error.why == why
    assert fix in error.fix


def test_a_command_that_is_printed_back_is_not_shown() -> None:
    launch = Launch("x\n", root=True)
    error = stopped(launch, (1, f"fatal: unrecognized command '{launch.command}'\n"))
    assert error.why == "fatal: unrecognized command '…'"


def test_the_last_lines_are_the_ones_that_are_shown() -> None:
    error = stopped(Launch("x\n", root=True), (0, "".join(f"line {n}\n" for n in range(99)) + "y" * 9999))
    assert error.why.splitlines()[:3] == ["line 96", "line 97", "line 98"]
    assert len(error.why) < 400


def test_a_hint_has_no_port_where_it_is_the_usual_one() -> None:
    assert shell_hint("password has expired", Target("b", "b", 22), "ana") == "set a new password: ssh -t ana@b"
