import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.eve.disk_format import HEAD, TAIL, damage, format_of, licence_damage
from tests.support.eve import needs_qemu
from tests.support.eve_standin import guest

pytestmark = needs_qemu


@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vpc", "vhdx", "vdi", "raw"])
def test_what_qemu_img_makes_is_known(tmp_path: Path, kind: str) -> None:
    plain, made = tmp_path / "plain", tmp_path / "made"
    plain.write_bytes(guest.boot_sector() + bytes(1 << 20))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, plain, made], check=True)
    content = made.read_bytes()
    assert format_of(content[:HEAD], content[-TAIL:]) == kind
    assert damage(format_of(content[:HEAD], content[-TAIL:]), content[:HEAD], len(content)) == ""


@pytest.mark.parametrize(
    ("head", "tail", "kind"),
    [
        (bytes(32769) + b"CD001", b"", "iso"),
        (b"\x7fELF", b"", "elf"),
        (b"PK\x03\x04", b"", "zip"),
        (bytes(257) + b"ustar", b"", "ova"),
        (b"[license]\nhost = 0123456789abcdef;\n", b"", "licence"),
        (b"hello", b"", "unknown"),
        (b"", b"", "unknown"),
    ],
)
def test_other_files(head: bytes, tail: bytes, kind: str) -> None:
    assert format_of(head, tail) == kind


DISK = guest.disk()


@pytest.mark.parametrize(
    ("content", "size", "says"),
    [
        (DISK, 0, "it is empty"),
        (DISK[:40], 40, "its header is cut off"),
        (DISK, 3 * 65536, "it is cut off"),
        (DISK[:7] + b"\x09" + DISK[8:], len(DISK), "its header makes no sense"),
        (DISK[:15] + b"\x40" + DISK[16:], len(DISK), "it is only a layer over another file"),
    ],
)
def test_a_damaged_qcow2_is_seen(content: bytes, size: int, says: str) -> None:
    assert damage("qcow2", content, size).startswith(says)


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_any_bytes_are_something(head: bytes, tail: bytes) -> None:
    damage(format_of(head, tail), head, len(head))
    damage("qcow2", b"QFI\xfb" + head, len(head) + 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[license]\neve-ng = 972f30267ef51616;\n", ""),
        ("# mine\n[license]\neve-ng = 972f30267ef51616;\ngns3.lan = 73635fd3b0a13ad0;\n", ""),
        ("eve-ng = 972f30267ef51616;\n", "it does not begin with [license]"),
        ("[license]\n", "it needs lines"),
        ("[license]\neve-ng = 972f30267ef51616\n", "it needs lines"),
        ("", "it does not begin"),
    ],
)
def test_the_form_of_a_licence(text: str, says: str) -> None:
    assert licence_damage(text).startswith(says)
    assert bool(licence_damage(text)) == bool(says)
