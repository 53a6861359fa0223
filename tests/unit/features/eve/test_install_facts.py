"""What a host answers for `eve install`, read by the functions that read it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from novaops.features.eve.facts.kernels import ENTRIES, Kernels
from novaops.features.eve.facts.management import Management
from novaops.features.eve.facts.signing_key import OfferedKey, SigningKey
from novaops.features.eve.facts.web_admin import WebAdmin
from novaops.features.eve.resources.management import files
from novaops.features.eve.resources.ports import rules
from novaops.features.eve.settings import Eve
from novaops.model.question import Missing, Section
from novaops.shell import sh_file
from tests.support.eve_repository.keys import FINGERPRINT

GRUB = """\
set default="${saved_entry}"
menuentry 'Ubuntu' --class ubuntu $menuentry_id_option 'gnulinux-simple-U' {
\tlinux\t/boot/vmlinuz-6.7.5-eveng-6-ksm+ root=UUID=U ro
}
submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-U' {
\tmenuentry 'eve' --class gnu $menuentry_id_option 'gnulinux-6.7.5-eveng-6-ksm+-advanced-U' {
\t\tlinux\t/boot/vmlinuz-6.7.5-eveng-6-ksm+ root=UUID=U ro
\t}
\tmenuentry 'eve (recovery)' --class gnu $menuentry_id_option 'gnulinux-6.7.5-eveng-6-ksm+-recovery-U' {
\t\tlinux\t/boot/vmlinuz-6.7.5-eveng-6-ksm+ root=UUID=U ro recovery
\t}
\tmenuentry 'gcp' --class gnu $menuentry_id_option 'gnulinux-6.8.0-1-gcp-advanced-U' {
\t\tlinux\t/vmlinuz-6.8.0-1-gcp root=UUID=U ro
\t}
}
menuentry 'memtest' {
\tlinux16 /boot/memtest86+.bin
}
"""


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_grubs_menu_is_read_with_its_submenu(tmp_path: Path, shell: str) -> None:
    (tmp_path / "grub.cfg").write_text(GRUB)
    done = subprocess.run([shell, "-c", f"{ENTRIES}\nentries {tmp_path}/grub.cfg"], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == [
        "6.7.5-eveng-6-ksm+ gnulinux-advanced-U>gnulinux-6.7.5-eveng-6-ksm+-advanced-U",
        "6.8.0-1-gcp gnulinux-advanced-U>gnulinux-6.8.0-1-gcp-advanced-U",
    ]


def test_kernels() -> None:
    said = "running 6.8.0-gcp\neve 6.7.5-eveng\ngrub yes\nentry a>b c\nsaved x\n"
    found = Kernels.parse_one(_section(said))
    assert not isinstance(found, Missing)
    assert (found.running, found.eve, found.grub, found.entry, found.saved, found.tried) == (
        "6.8.0-gcp",
        "6.7.5-eveng",
        True,
        "a>b c",
        "x",
        "",
    )
    assert Kernels.parse_one(_section("")) is Missing.UNKNOWN


def test_the_card_and_its_file() -> None:
    link = json.dumps([{"ifname": "ens4", "address": "42:01", "linkinfo": {"info_kind": "veth"}}])
    found = Management.parse_one(_section(f"{link}\nbridge\nfile\n[Match]\nName=ens4\n"))
    assert not isinstance(found, Missing)
    assert (found.device, found.mac, found.kind, found.bridge, found.network) == ("ens4", "42:01", "veth", True, "[Match]\nName=ens4\n")
    assert Management.parse_one(_section("[]\n")) is Missing.ABSENT
    assert Management.parse_one(_section("Object is not there")) is Missing.UNKNOWN


def test_pnet0_gets_its_address_as_the_card_did() -> None:
    network = "[Match]\nMACAddress=42:01\nName=ens4\n\n[Link]\nRequiredForOnline=yes\n\n[Network]\nDHCP=ipv4\n\n[DHCP]\nUseMTU=true\n"
    found = Management.parse_one(_section(f'[{{"ifname": "ens4", "address": "42:01"}}]\nfile\n{network}'))
    assert not isinstance(found, Missing)
    made = files(found)
    wanted = "[Match]\nName=pnet0\n\n[Link]\nRequiredForOnline=yes\n\n[Network]\nDHCP=ipv4\n\n[DHCP]\nUseMTU=true\n"
    assert made["/etc/systemd/network/04-novaops-pnet0.network"] == wanted
    assert "MACAddress=42:01" in made["/etc/systemd/network/05-novaops-pnet0.netdev"]
    assert "OriginalName=pnet[0-9]" in made["/etc/systemd/network/05-novaops-pnets.link"]
    assert sum(name.endswith(".netdev") for name in made) == 10


def test_an_offered_key() -> None:
    one, two, three = SigningKey("http://a/k"), SigningKey("http://b/k"), SigningKey("http://c/k")
    text = f"key {base64.b64encode(b'k').decode()}\nfailed {base64.b64encode(b'E: gone').decode()}\nabsent\n"
    found = SigningKey.parse([one, two, three], _section(text))
    assert found == {one: OfferedKey(b"k", ""), two: OfferedKey(b"", "E: gone"), three: Missing.ABSENT}
    assert SigningKey.parse([one], _section("")) == {}


def test_the_password_of_admin_is_never_shown() -> None:
    found = WebAdmin.parse_one(_section(f"{'a' * 64}\n"))
    assert repr(found) == repr(found).replace("a" * 64, "")
    assert WebAdmin.parse_one(_section("absent\n")) is Missing.ABSENT
    assert WebAdmin.parse_one(_section("")) is Missing.ABSENT


def test_the_rules_let_sshd_be_wherever_it_listens() -> None:
    text = rules(["22", "443"], [(80, ("203.0.113.0/24", "2001:db8::/32")), (8080, ())])
    lines = [line.strip() for line in text.splitlines()]
    assert lines.index("tcp dport { 22, 443 } accept") < lines.index(
        "tcp dport { 80, 443, 3306, 4243, 4822, 8080, 32768-65535 } reject with tcp reset"
    )
    assert "ip saddr { 203.0.113.0/24 } tcp dport 80 accept" in lines
    assert "ip6 saddr { 2001:db8::/32 } tcp dport 80 accept" in lines
    assert "tcp dport 8080 accept" in lines


def test_a_port_that_eve_ng_has_not_is_closed_to_those_who_were_not_named_too() -> None:
    text = rules(["22"], [(8443, ("203.0.113.0/24",)), (40000, ("203.0.113.0/24",)), (9090, ())])
    assert "tcp dport { 80, 443, 3306, 4243, 4822, 8080, 8443, 32768-65535 } reject with tcp reset" in text


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "web_password"),
        ({"web_password": "in plain"}, "plain text"),
        ({"repository": {"fingerprint": "abc"}}, "no fingerprint"),
        ({"repository": {"url": "https://x/$(reboot)"}}, "url"),
        ({"repository": {"package": "-o"}}, "package"),
        ({"data": {"device": "auto", "path": "/mnt"}}, "path"),
        ({"domain": "example.org"}, "hostname"),
        ({"open": [0]}, "port"),
        ({"hostname": "a b"}, "hostname"),
        ({"kernel": "other"}, "kernel"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_a_wrong_section_is_said_to_be_wrong(section: dict[str, object], words: str) -> None:
    given = section if not section or "web_password" in section else {"web_password": "env:X", **section}
    with pytest.raises(ValidationError, match=f"(?s).*{words}"):
        TypeAdapter(Eve).validate_python(given)


def test_a_fingerprint_is_taken_as_gpg_prints_it() -> None:
    spaced = " ".join(FINGERPRINT[at : at + 4] for at in range(0, 40, 4)).lower()
    found = TypeAdapter(Eve).validate_python({"web_password": "env:X", "repository": {"fingerprint": spaced}})
    assert found.repository.fingerprint == FINGERPRINT


@pytest.mark.parametrize("name", ["install.sh", "boot_once.sh", "bridge_up.sh", "bridge_down.sh"])
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_shells_read_the_scripts(name: str, shell: str) -> None:
    subprocess.run([shell, "-n"], input=sh_file("novaops.features.eve.resources", name), text=True, check=True)


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 77 (apt)", True),
        ("Reading package lists...\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend)", True),
        ("E: Unable to lock directory /var/lib/apt/lists/", True),
        (
            "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock.\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
            False,
        ),
        ("E: Unable to locate package eve-ng", False),
        ("", False),
    ],
)
def test_whether_others_hold_the_lock(shell: str, said: str, *, held: bool) -> None:
    (judges,) = [line for line in sh_file("novaops.features.eve.resources", "install.sh").splitlines() if line.startswith("is_held()")]
    done = subprocess.run([shell, "-c", f'{judges}\nis_held "$1"', "sh", said], check=False)
    assert (done.returncode == 0) == held


def _section(text: str) -> Section:
    return Section(text, "", 0)
