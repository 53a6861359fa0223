"""The options of the running sshd: read from its title, and counted before its files."""

from __future__ import annotations

import subprocess

import pytest

from novaops.formats.sshd_config import Peer, SshdConfig
from novaops.formats.sshd_options import PLACE, SH, main_file, settings_file

KEYS = "AuthorizedKeysCommand /usr/share/ec2-instance-connect/eic_run_authorized_keys %u %f"
KEYS_USER = "AuthorizedKeysCommandUser ec2-instance-connect"


def options(command_line: str) -> tuple[tuple[str, str], ...]:
    done = subprocess.run(["sh", "-c", f"{SH}\nsshd_options_in"], input=command_line, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    return tuple(zip(lines[::2], lines[1::2], strict=True))


@pytest.mark.parametrize(
    ("command_line", "expected"),
    [
        ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", ()),
        (
            f"sshd: /usr/sbin/sshd -D -o {KEYS} -o {KEYS_USER} [listener] 1 of 10-100 startups",
            (("-o", KEYS), ("-o", KEYS_USER)),
        ),
        ("/usr/sbin/sshd -D -oPasswordAuthentication=no ", (("-o", "PasswordAuthentication=no"),)),
        ("/usr/sbin/sshd -Deo UsePAM=no -p 2222 -u0 -h /etc/key", (("-o", "UsePAM=no"), ("-h", "/etc/key"))),
        ("/usr/sbin/sshd -E /var/log/sshd -f /etc/ssh/other -4", (("-f", "/etc/ssh/other"),)),
        ("/usr/sbin/sshd -o Ciphers=-aes128-cbc -D", (("-o", "Ciphers=-aes128-cbc"),)),
        ("sshd: jane [priv]", ()),
        ("sshd: /usr/sbin/sshd -o ListenAddress [::]:22 [listener] 0 of 10-100 startups", (("-o", "ListenAddress [::]:22"),)),
        ("", ()),
    ],
)
def test_what_the_title_says(command_line: str, expected: tuple[tuple[str, str], ...]) -> None:
    assert options(command_line) == expected


def test_sshd_is_asked_with_them_and_its_own_words_come_last() -> None:
    script = f"""{SH}
started_with='-o
AuthorizedKeysCommand /usr/bin/keys %u *
-f
/etc/ssh/other'
show() {{ printf '<%s>' "$@"; }}
as_started show -f "$1"
printf '<%s>' "$IFS" *"""
    done = subprocess.run(["sh", "-c", script, "sh", "a b"], capture_output=True, text=True, check=True, cwd="/etc/apt")
    assert done.stdout.startswith("<-o><AuthorizedKeysCommand /usr/bin/keys %u *><-f></etc/ssh/other><-f><a b>< \t\n>")
    assert "<*>" not in done.stdout


@pytest.mark.parametrize(("started", "main"), [("-D", "/etc/ssh/sshd_config"), ("-f /a -o UsePAM=no -f /b", "/b")])
def test_the_file_that_is_read_first(started: str, main: str) -> None:
    script = SH.replace("started_with=$(sshd_options)", f"started_with=$(echo '/usr/sbin/sshd {started}' | sshd_options_in)")
    done = subprocess.run(["sh", "-c", f'{script}\necho "$sshd_main"'], capture_output=True, text=True, check=True)
    assert done.stdout == f"{main}\n"
    assert main_file(options(f"/usr/sbin/sshd {started}"), "/etc/ssh/sshd_config") == main


def test_they_come_before_all_files_but_not_before_match_blocks() -> None:
    config = SshdConfig(
        {
            "/etc/ssh/sshd_config": "PasswordAuthentication yes\nUsePAM yes\nMatch User jane\nPasswordAuthentication yes\n",
        },
        options=settings_file((("-o", "PasswordAuthentication=no"), ("-f", "/etc/ssh/sshd_config"))),
    )
    winner = config.ruling("passwordauthentication", Peer("bert")).winner
    assert winner is not None
    assert (winner.value, winner.where) == ("no", PLACE)
    winner = config.ruling("passwordauthentication", Peer("jane")).winner
    assert winner is not None
    assert winner.where == "/etc/ssh/sshd_config:4"
    assert config.includes_early("/etc/ssh/sshd_config.d/00-novaops.conf") is False
    assert config.with_file("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n").includes_early(
        "/etc/ssh/sshd_config.d/00-novaops.conf"
    )
