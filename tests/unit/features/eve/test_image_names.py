import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import UsageError
from novaops.features.eve.image_names import ImageName, Said, check_template, data, disk_files, image_name, problem


@pytest.mark.parametrize(
    ("sources", "said", "name", "files"),
    [
        (["vyos-1.4.qcow2"], Said(), "vyos-1.4", ["virtioa.qcow2"]),
        (["vyos-1.4.ova"], Said(), "vyos-1.4", ["virtioa.qcow2"]),
        (["csr1000vng-17.3.qcow2"], Said(), "csr1000vng-17.3", ["virtioa.qcow2"]),
        (["nxosv.9.3.8.qcow2"], Said("nxosv9k", "9.3.8"), "nxosv9k-9.3.8", ["sataa.qcow2"]),
        (["disk.vmdk"], Said("cat9kv", "17.10", ("virtioa",)), "cat9kv-17.10", ["virtioa.qcow2"]),
        (["hda.qcow2"], Said("cat9kv", "17.10"), "cat9kv-17.10", ["hda.qcow2"]),
        (["linux-old/hda.qcow2"], Said(), "linux-old", ["hda.qcow2"]),
        (["veos-4.29/cdrom.iso", "veos-4.29/disk.vmdk"], Said(), "veos-4.29", ["cdrom.iso", "hda.qcow2"]),
        (["a.vmdk", "b.vmdk", "c.vmdk"], Said("veloorch", "5"), "veloorch-5", ["virtioa.qcow2", "virtiob.qcow2", "virtioc.qcow2"]),
        (["osx-12/hda.qcow2", "osx-12/kernel.img"], Said(), "osx-12", ["hda.qcow2", "kernel.img"]),
        (["win-installer.iso"], Said(), "win-installer", ["cdrom.iso"]),
        (["vyos-1.4 (beta).qcow2"], Said(), "vyos-1.4-beta-", ["virtioa.qcow2"]),
        (["c7200-advip.image"], Said(), "c7200-advip.image", ["c7200-advip.image"]),
        (["x.bin"], Said("c3725", "124-25d"), "c3725-124-25d.image", ["c3725-124-25d.image"]),
        (["L2-ADVENTERPRISEK9-M-15.2.bin"], Said(), "L2-ADVENTERPRISEK9-M-15.2.bin", ["L2-ADVENTERPRISEK9-M-15.2.bin"]),
        (["iourc"], Said(), "iourc", ["iourc"]),
    ],
)
def test_where_an_image_goes(sources: list[str], said: Said, name: str, files: list[str]) -> None:
    found = image_name(sources, said)
    assert (found.name, list(found.files)) == (name, files)


@pytest.mark.parametrize(
    ("sources", "said", "what"),
    [
        (["router.qcow2"], Said(), "it cannot be told what router.qcow2 is an image of"),
        (["vyos.qcow2"], Said(), "the image of vyos needs a version"),
        (["vyos-1.qcow2"], Said(version="a/b"), '"a/b" cannot be a part of a name'),
        (["vyos-1.qcow2"], Said(version="-rf"), '"-rf" cannot be a part of a name'),
        (["vyos-1.qcow2"], Said(disks=("disk0",)), "--disk disk0 is not a name that EVE-NG knows"),
        (["a.qcow2", "b.qcow2"], Said("vyos", "1"), "an image of vyos has 1 disks (virtioa), and 2 were given"),
        (["a.qcow2"], Said("veloorch", "5"), "an image of veloorch has 3 disks"),
        (["a.iso", "b.iso"], Said("veos", "1"), "an image has one ISO"),
        (["a.qcow2"], Said("cat9kv", "17"), "it is not known here how the disks of cat9kv are named"),
        (["hda.qcow2", "hda.qcow2"], Said("vyos", "1"), "two files would both be hda.qcow2"),
        (["virtiob.qcow2"], Said("vyos", "1"), "no disk of it is the first one: virtiob.qcow2"),
        (["a.qcow2", "b.qcow2"], Said("vyos", "1", ("virtiob", "virtioaa")), "no disk of it is the first one: virtiob.qcow2, virtioaa"),
        (["iourc", "x.bin"], Said(), "an image of iol is one file, and 2 were given"),
        (["iourc", "iourc"], Said(), "an image of iol is one file, and 2 were given"),
        (["a.bin", "b.bin"], Said("iol", "1"), "an image of iol is one file"),
    ],
)
def test_what_cannot_be_named_is_said(sources: list[str], said: Said, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        image_name(sources, said)
    assert caught.value.what.startswith(what)


def test_a_template_with_a_slip() -> None:
    with pytest.raises(UsageError) as caught:
        check_template("vois", ["vios", "viosl2", "linux"])
    assert "vios" in caught.value.why


@pytest.mark.parametrize(
    ("kind", "name", "files", "says"),
    [
        ("qemu", "vyos-1", ["virtioa.qcow2"], ""),
        ("qemu", "vyos-1", ["disk.qcow2"], "no disk has a name that EVE-NG knows: disk.qcow2"),
        ("qemu", "vyos-1", [], "no disk has a name that EVE-NG knows: it is empty"),
        ("qemu", "vyos", ["hda.qcow2"], "its name begins with no template's"),
        ("iol", "x.bin", ["x.bin"], ""),
        ("iol", "x.txt", ["x.txt"], "its name does not end in .bin"),
        ("iol", "iourc", ["iourc"], ""),
        ("dynamips", "c7200-a.image", ["c7200-a.image"], ""),
        ("dynamips", "c7200-a.bin", ["c7200-a.bin"], "it is not named c7200-VERSION.image or alike"),
    ],
)
def test_why_eve_ng_does_not_find_one(kind: str, name: str, files: list[str], says: str) -> None:
    assert problem(kind, name, files, ["vyos", "linux"]) == says  # type: ignore[arg-type]


@given(st.sampled_from(sorted(data().disks)), st.text(max_size=20), st.lists(st.text(max_size=10), min_size=1, max_size=4))
def test_what_is_named_is_found_by_eve_ng(template: str, version: str, sources: list[str]) -> None:
    try:
        found: ImageName = image_name([source.replace("/", "") or "x" for source in sources], Said(template, version))
    except UsageError:
        return
    assert problem(found.kind, found.name, found.files, [template]) == ""
    assert "/" not in found.name
    assert len(set(found.files)) == len(sources)


def test_every_template_of_the_data_file_is_named_in_a_way_that_eve_ng_finds() -> None:
    for template, disks in data().disks.items():
        files = disk_files(template, ["x.vmdk"] * len(disks))
        assert problem("qemu", f"{template}-1", files, [template]) == ""
