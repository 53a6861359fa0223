"""Which files of fail2ban outweigh the one of novaops."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from novaops.engine import probe
from novaops.errors import Refused
from novaops.features.login.facts.later_jails import LaterJails
from novaops.features.login.resources.jail import JailPreconditions
from novaops.model.question import Facts

OURS = "[sshd]\nenabled = true\nbackend = systemd\n"


def asked(folder: Path) -> Facts:
    families, mark = probe.families([LaterJails()]), probe.boundary()
    script = probe.script(families, mark).replace("/etc/fail2ban/jail.d/", f"{folder}/")
    said = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True).stdout
    return probe.read(families, mark, said.replace(f"{folder}/", "/etc/fail2ban/jail.d/"))


@pytest.mark.parametrize(
    ("name", "text", "later"),
    [
        ("sshd.local", "[sshd]\nenabled = false\n", True),
        ("zz.local", "[DEFAULT]\nbantime = 1h\n[sshd]\nbackend=polling\n", True),
        ("sshd.local", "[sshd]\nbanaction : iptables-multiport\n", True),
        ("sshd.local", "[sshd]\nmaxretry = 3\nignoreip = 192.0.2.1\n", False),
        ("sshd.local", "[nginx-http-auth]\nenabled = true\n[sshd]\n", False),
        ("sshd.local", "[sshd]\n# enabled = false\n", False),
        ("sshd.local", "[sshd-ddos]\nenabled = false\n", False),
        ("defaults.local", "[sshd]\nenabled = false\n", False),
        ("sshd.conf", "[sshd]\nenabled = false\n", False),
    ],
)
def test_what_outweighs_the_jail(tmp_path: Path, name: str, text: str, *, later: bool) -> None:
    (tmp_path / "novaops.local").write_text(OURS)
    (tmp_path / name).write_text(text)
    facts = asked(tmp_path)
    if later:
        with pytest.raises(Refused, match=f"/etc/fail2ban/jail.d/{name} has a jail sshd of its own"):
            list(JailPreconditions().plan(facts))
    else:
        assert list(JailPreconditions().plan(facts)) == []


def test_a_host_without_fail2ban(tmp_path: Path) -> None:
    assert list(JailPreconditions().plan(asked(tmp_path / "missing"))) == []
