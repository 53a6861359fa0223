"""The files of an image on the operator's machine, with a real qemu-img."""

from __future__ import annotations

import io
import struct
import subprocess
import tarfile
import uuid
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import NovaopsError, Refused, UsageError
from novaops.features.eve.image_names import Said
from novaops.features.eve.image_source import ImageSource, Part
from tests.support.eve import needs_qemu
from tests.support.eve_standin import guest

pytestmark = needs_qemu

ELF = b"\x7fELF" + bytes(100)
LICENCE = b"[license]\neve-ng = 972f30267ef51616;\n"


def parts(files: Sequence[Path], said: Said = Said()) -> tuple[str, list[Part], list[bytes]]:  # noqa: B008 - frozen
    with ImageSource(files, said) as source:
        prepared = source.look()
        found = list(source.parts(prepared))
        return prepared.name.name, found, [part.path.read_bytes() for part in found]


def vmdk(folder: Path, fill: int) -> bytes:
    plain, made = folder / "plain", folder / f"{fill}.vmdk"
    plain.write_bytes(guest.boot_sector() + bytes([fill]) * (1 << 20))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", plain, made], check=True)
    return made.read_bytes()


def test_an_appliance_with_disks_in_the_order_of_its_description(tmp_path: Path) -> None:
    ovf = b'<File ovf:href="b.vmdk"/><File ovf:href="a.vmdk"/><File ovf:href="tools.iso"/>'
    members = {"x.ovf": ovf, "a.vmdk": vmdk(tmp_path, 1), "b.vmdk": vmdk(tmp_path, 2), "tools.iso": b"x"}
    with tarfile.open(tmp_path / "panorama-10.ova", "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    name, found, contents = parts([tmp_path / "panorama-10.ova"])
    assert (name, [part.name for part in found]) == ("panorama-10", ["virtioa.qcow2", "virtiob.qcow2"])
    assert [content[:4] for content in contents] == [b"QFI\xfb"] * 2
    assert [bytes([2]) * 512 in contents[0], bytes([1]) * 512 in contents[1]] == [True, True]


@pytest.mark.parametrize("name", ["{folder}/secret.qcow2", "../secret.qcow2", "./a/../../secret.qcow2", "a.qcow2"])
def test_a_name_in_an_appliance_is_never_a_path_of_ours(tmp_path: Path, name: str) -> None:
    secret, inside = tmp_path / "secret.qcow2", guest.qcow2(b"inside")
    secret.write_bytes(guest.qcow2(b"secret"))
    with tarfile.open(tmp_path / "vyos-1.ova", "w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo(name.format(folder=tmp_path))
        info.size = len(inside)
        archive.addfile(info, io.BytesIO(inside))
    assert parts([tmp_path / "vyos-1.ova"])[2] == [inside]
    assert secret.read_bytes() == guest.qcow2(b"secret")


def test_a_directory_is_an_image_with_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "veos-4.29"
    folder.mkdir()
    (folder / "hda.qcow2").write_bytes(guest.disk())
    (folder / "cdrom.iso").write_bytes(bytes(32769) + b"CD001")
    name, found, _ = parts([folder])
    assert (name, [(part.name, part.checked) for part in found]) == ("veos-4.29", [("cdrom.iso", False), ("hda.qcow2", True)])


def test_an_image_of_iol_and_its_licence(tmp_path: Path) -> None:
    image, licence = tmp_path / "L2-ADVENTERPRISEK9-M-15.2.bin", tmp_path / "iourc"
    image.write_bytes(ELF)
    licence.write_bytes(LICENCE)
    assert parts([image])[0] == "L2-ADVENTERPRISEK9-M-15.2.bin"
    assert parts([licence])[0] == "iourc"
    licence.write_bytes(LICENCE.replace(b";", b""))
    with pytest.raises(Refused, match="no licence file of IOL"):
        parts([licence])


def test_a_packed_image_of_dynamips_is_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "c7200-adv.bin"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("C7200-AD.BIN", b"\x7fELF mips")
    name, _, contents = parts([packed])
    assert (name, contents) == ("c7200-adv.image", [b"\x7fELF mips"])


def packed(**how: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **how) as archive:
        archive.writestr("C7200-AD.BIN", b"\x7fELF mips" * 50)
    return file.getvalue()


def changed(content: bytes, local: int, central: int, new: bytes) -> bytes:
    """The zip with other bytes in both heads of its file."""
    at = content.index(b"PK\x01\x02") + central
    content = content[:local] + new + content[local + len(new) :]
    return content[:at] + new + content[at + len(new) :]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (ELF + b"PK\x05\x06" + bytes(18), "c7200-adv.bin has nothing in it"),
        (changed(packed(), 6, 8, b"\x01"), "c7200-adv.bin cannot be unpacked: nothing was sent"),
        (changed(packed(), 8, 10, b"\x63"), "c7200-adv.bin cannot be unpacked: nothing was sent"),
        (changed(packed(), 4, 6, b"\xff"), "c7200-adv.bin cannot be unpacked: nothing was sent"),
        (packed().replace(b"mips", b"mipz", 1), "c7200-adv.bin cannot be unpacked: nothing was sent"),
        (
            packed()[:-1],
            "c7200-adv.bin cannot be unpacked: nothing was sent",
        ),
    ],
    ids=["empty", "encrypted", "unknown method", "newer version", "damaged", "cut off"],
)
def test_a_packed_image_that_cannot_be_unpacked_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "c7200-adv.bin").write_bytes(content)
    with pytest.raises(Refused) as caught:
        parts([tmp_path / "c7200-adv.bin"])
    assert caught.value.what == what


def appliance() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in {"x.ovf": b'<File href="a.vmdk"/>', "a.vmdk": b"KDMV" + b"\1" * 600}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "whole"),
    [("c7200-a.bin", packed()), ("c7200-a.bin", packed(compression=zipfile.ZIP_LZMA)), ("vyos-1.ova", appliance()[:4096])],
    ids=["stored", "lzma", "ova"],
)
@given(at=st.integers(0, 4095), new=st.binary(min_size=1, max_size=4))
def test_a_damaged_archive_is_an_image_or_a_sentence(name: str, whole: bytes, at: int, new: bytes) -> None:
    at %= len(whole)
    with TemporaryDirectory() as folder, suppress(NovaopsError):
        file = Path(folder) / name
        file.write_bytes(whole[:at] + new + whole[at + len(new) :])
        parts([file])


def test_without_qemu_img_the_host_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("novaops.features.eve.image_source.shutil.which", lambda _: None)
    (tmp_path / "vyos-1.vmdk").write_bytes(vmdk(tmp_path, 1))
    (tmp_path / "vyos-2.qcow2").write_bytes(guest.disk())
    assert [(part.convert, part.checked) for name in ("vyos-1.vmdk", "vyos-2.qcow2") for part in parts([tmp_path / name])[1]] == [
        ("vmdk", False),
        (None, False),
    ]


ISO = bytes(32769) + b"CD001"


def _corrupt(content: bytes) -> bytes:
    """The entry of the second table leads far behind the end."""
    return content[:0x40000] + b"\x80\x00\x00\x7f\x00\x00\x00\x00" + content[0x40008:]


@pytest.mark.parametrize(
    ("name", "content", "error", "what"),
    [
        ("vyos-1.qcow2", _corrupt(guest.disk()), Refused, "vyos-1.qcow2 is damaged"),
        ("vyos-1.qcow2", guest.disk()[:100_000], Refused, "vyos-1.qcow2 is damaged"),
        ("vyos-1.qcow2", b"", Refused, "vyos-1.qcow2 is damaged"),
        ("vyos-1.qcow2", b"<html>not found</html>", Refused, "vyos-1.qcow2 is no image of vyos: it is nothing that is known here"),
        ("vyos-1.qcow2", ELF, Refused, "vyos-1.qcow2 is no image of vyos: it is elf"),
        ("vyos-1.vmdk", b"KDMV" + bytes(2000), Refused, "vyos-1.vmdk"),
        ("iol-1.bin", guest.disk(), Refused, "iol-1.bin is no image of iol: it is qcow2"),
        ("vyos-1.ova", bytes(257) + b"ustar" + bytes(2000), Refused, "vyos-1.ova"),
        ("vyos-1.qcow2", ISO, Refused, "vyos-1.qcow2 is an ISO, and EVE-NG would take it for a disk"),
        ("vyos-1.img", ISO, Refused, "vyos-1.img is an ISO, and EVE-NG would take it for a disk"),
        ("vyos-1.iso", guest.disk(), Refused, "vyos-1.iso is qcow2, and EVE-NG would take it for a disc"),
    ],
)
def test_what_is_damaged_or_something_else_is_refused(
    tmp_path: Path, name: str, content: bytes, error: type[NovaopsError], what: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error) as caught:
        parts([tmp_path / name])
    assert caught.value.what.startswith(what)


@pytest.mark.parametrize("here", [True, False], ids=["converted here", "converted on the host"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vyos-1.qcow2", guest.disk()[:15] + b"\x40" + guest.disk()[16:]),
        ("vyos-1.vmdk", b'# Disk DescriptorFile\nversion=1\nRW 8 FLAT "/etc/shadow" 0\n'),
        ("vyos-1.iso", b"# mine\nversion=1\n".ljust(32769, b"\n") + b"CD001"),
    ],
)
def test_an_image_that_names_another_file_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, *, here: bool
) -> None:
    if not here:
        monkeypatch.setattr("novaops.features.eve.image_source.shutil.which", lambda _: None)
    monkeypatch.setattr("novaops.features.eve.image_source._run", lambda *words: pytest.fail(str(words)))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused, match=f"{name} does not stand alone: nothing was sent"):
        parts([tmp_path / name])


def test_qemu_img_refuses_a_vhdx_with_a_parent(tmp_path: Path) -> None:
    made = tmp_path / "vyos-1.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", made, "8M"], check=True)
    content = bytearray(made.read_bytes())
    entry = content.index(uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le)
    table = content.rindex(b"metadata", 0, entry)
    (offset,) = struct.unpack_from("<I", content, entry + 16)
    content[table + offset + 4] |= 2  # it has a parent
    made.write_bytes(content)
    with pytest.raises(Refused, match=r"vyos-1\.vhdx"):
        parts([made])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        parts([tmp_path / "vyos-1.qcow2"])
