import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.eve.disk_format import HEAD, TAIL, damage, format_of, licence_damage, other_file
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
    assert other_file(format_of(content[:HEAD], content[-TAIL:]), content[:HEAD], content[-TAIL:]) == ""


@pytest.mark.parametrize(
    ("head", "tail", "kind"),
    [
        (bytes(32769) + b"CD001", b"", "iso"),
        (b"\x7fELF", b"", "elf"),
        (b"PK\x03\x04", b"", "zip"),
        (bytes(257) + b"ustar", b"", "ova"),
        (b"[license]\nhost = 0123456789abcdef;\n", b"", "licence"),
        (b"QED\0" + bytes(32765) + b"CD001", b"", "qed"),
        (b"COWD", b"", "vmdk"),
        (b"# mine\n  \r\nversion=3\r\n", b"", "vmdk"),
        (b"# mine\nversion=1\n" + bytes(32752) + b"CD001", b"", "vmdk"),
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
    ],
)
def test_a_damaged_qcow2_is_seen(content: bytes, size: int, says: str) -> None:
    assert damage("qcow2", content, size).startswith(says)


def with_bytes(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


WITH_DATA_FILE = with_bytes(with_bytes(DISK, 4, struct.pack(">I", 3)), 72, struct.pack(">Q", 4))
SPARSE = (b"KDMV" + bytes(8) + struct.pack("<Q", 2048)).ljust(512, b"\0")
FOOTER = b"conectix".ljust(60, b"\0") + struct.pack(">I", 4)
DESCRIPTOR = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 20480 FLAT "/etc/shadow" 0\n'


@pytest.mark.parametrize(
    ("head", "tail", "kind", "says"),
    [
        (DISK, b"", "qcow2", ""),
        (with_bytes(DISK, 15, b"\x40"), b"", "qcow2", "it is only a layer over another file"),
        (WITH_DATA_FILE, b"", "qcow2", "its data are in another file"),
        (with_bytes(WITH_DATA_FILE, 79, b"\x0c"), b"", "qcow2", "its data are in another file"),
        (with_bytes(WITH_DATA_FILE, 79, b"\x08"), b"", "qcow2", ""),
        (SPARSE, b"", "vmdk", ""),
        (with_bytes(SPARSE, 12, bytes(8)), b"", "vmdk", "its data are in another file"),
        (SPARSE + b'CID=1\nparentFileNameHint="base.vmdk"\n', b"", "vmdk", "it is only a layer over another file"),
        (b"COWD".ljust(512, b"\0") + b'parentFileNameHint="base.vmdk"', b"", "vmdk", "it is only a layer over another file"),
        (DESCRIPTOR, DESCRIPTOR, "vmdk", "its data are in another file"),
        (b"# mine\nversion=1\n", b"", "vmdk", "its data are in another file"),
        (FOOTER, b"", "vpc", "it is only a layer over another file"),
        (b"", FOOTER, "vpc", "it is only a layer over another file"),
        (with_bytes(FOOTER, 63, b"\x03"), with_bytes(FOOTER, 63, b"\x03"), "vpc", ""),
        (bytes(64) + b"\x7f\x10\xda\xbe" + bytes(8) + struct.pack("<I", 4), b"", "vdi", "it is only a layer over another file"),
        (bytes(64) + b"\x7f\x10\xda\xbe" + bytes(8) + struct.pack("<I", 1), b"", "vdi", ""),
    ],
)
def test_a_disk_whose_data_are_in_another_file_is_seen(head: bytes, tail: bytes, kind: str, says: str) -> None:
    found = format_of(head, tail)
    assert found == kind
    assert other_file(found, head, tail).startswith(says)
    assert bool(other_file(found, head, tail)) == bool(says)


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_any_bytes_are_something(head: bytes, tail: bytes) -> None:
    damage(format_of(head, tail), head, len(head))
    for kind in ("qcow2", "vmdk", "vpc", "vdi"):
        other_file(kind, head, tail)
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
