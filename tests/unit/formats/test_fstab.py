"""fstab: our own line and no other byte."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from novaops.formats import fstab
from novaops.formats.fstab import FstabLine, unescape

NAME = st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=8).filter(lambda part: part not in {".", ".."})
PATHS = st.builds(lambda parts: "/" + "/".join(parts), st.lists(NAME, min_size=1, max_size=3))
WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\#,"), min_size=1, max_size=6)
LINES = st.builds(
    FstabLine,
    source=st.one_of(WORD.map("UUID={}".format), PATHS),
    path=PATHS,
    filesystem=st.sampled_from(["ext4", "xfs", "none"]),
    options=st.lists(WORD, min_size=1, max_size=3).map(tuple),
    dump=st.just("0"),
    check=st.sampled_from(["0", "2"]),
)
FOREIGN = st.one_of(
    st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from(
        [
            *(b"", b"# comment", b"  # /dev/vdb /data ext4", b"\t", b"UUID=1 / ext4 defaults 0 1\r", b"/dev/vdb1 /data ext4 defaults"),
            *(b"/dev/vdx none swap sw 0 0", b"/swapfile none swap sw 0 0", b"UUID=2 swap swap defaults", b"broken", b"LABEL=a /a/b ext4"),
            *(b"proc /proc proc", b"tmpfs\t/tmp\ttmpfs\tdefaults\t0\t0\t# why", b"caf\xe9 /mnt/\xff ext4 defaults 0 0"),
        ]
    ),
)
TEXTS = st.builds(lambda lines, end: b"\n".join(lines) + end, st.lists(FOREIGN, max_size=6), st.sampled_from([b"", b"\n", b"\n\n"]))


def foreign(content: bytes, path: str) -> list[bytes]:
    ours = {number for number, line in fstab.parse(content) if line.path == path}
    return [raw for number, raw in enumerate(content.split(b"\n")) if number not in ours and raw]


@given(TEXTS, LINES)
@example(b"UUID=1 / ext4 defaults 0 1", FstabLine("UUID=2", "/data", "ext4"))
def test_put_keeps_every_foreign_line(content: bytes, line: FstabLine) -> None:
    after = fstab.put(content, line)
    assert foreign(after, line.path) == foreign(content, line.path)
    assert [found for _, found in fstab.parse(after) if found.path == line.path] == [line]


@given(TEXTS, LINES)
def test_put_twice_is_put_once(content: bytes, line: FstabLine) -> None:
    once = fstab.put(content, line)
    assert fstab.put(once, line) == once


@given(TEXTS, LINES)
def test_remove_takes_back_what_put_added(content: bytes, line: FstabLine) -> None:
    assume(fstab.find(content, line.path) is None)
    after = fstab.remove(fstab.put(content, line), line.path)
    assert after in {content, content + b"\n"}
    assert fstab.remove(after, line.path) == after


@given(TEXTS, LINES)
def test_a_parent_stands_before_its_children(content: bytes, line: FstabLine) -> None:
    assume(fstab.find(content, line.path) is None)
    numbers = {found.path: number for number, found in fstab.parse(fstab.put(content, line))}
    assert all(numbers[line.path] < number for path, number in numbers.items() if path.startswith(f"{line.path}/"))


@given(st.text(st.characters(codec="utf-8"), max_size=40))
@example("a b\tc\nd\\040e#f\rg")
def test_escaping_is_undone(text: str) -> None:
    escaped = fstab.escape(text)
    assert unescape(escaped) == text
    assert not set(escaped) & set(" \t\n\r#")


@given(st.sampled_from(["defaults", "noatime,nodev", "nodev,noatime"]), st.sampled_from(["noatime,nodev", "nodev,noatime", "nodev"]))
def test_the_order_of_options_is_no_difference(one: str, other: str) -> None:
    lines = [FstabLine("a", "/b", "ext4", tuple(options.split(","))) for options in (one, other)]
    assert lines[0].same_as(lines[1]) == (set(one.split(",")) == set(other.split(",")))


@pytest.mark.parametrize("field", ["source", "path", "filesystem", "dump", "check"])
def test_every_other_field_is_a_difference(field: str) -> None:
    line = FstabLine("a", "/b", "ext4")
    assert not line.same_as(FstabLine(**{**vars(line), field: "9"}))


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"UUID=1 /data ext4", FstabLine("UUID=1", "/data", "ext4")),
        (b"UUID=1 /data ext4 noatime", FstabLine("UUID=1", "/data", "ext4", ("noatime",))),
        (b"UUID=1\t/data/ \text4 noatime,nodev 1", FstabLine("UUID=1", "/data", "ext4", ("noatime", "nodev"), "1")),
        (b" UUID=1 /my\\040data ext4 defaults 0 2\r", FstabLine("UUID=1", "/my data", "ext4", check="2")),
        (b"/swapfile none swap sw 0 0 # why", FstabLine("/swapfile", "none", "swap", ("sw",), comment="# why")),
        (b"\\043odd / ext4", FstabLine("#odd", "/", "ext4")),
        (b"# UUID=1 /data ext4", None),
        (b"UUID=1 /data", None),
        (b"", None),
    ],
)
def test_a_line_is_read(raw: bytes, line: FstabLine | None) -> None:
    assert [found for _, found in fstab.parse(raw)] == ([line] if line else [])


def test_of_two_lines_for_one_path_the_last_counts_and_one_stays() -> None:
    content = b"UUID=1 /data ext4\n# between\nUUID=2 /data/ xfs\n"
    found = fstab.find(content, "/data")
    assert found is not None
    assert found.source == "UUID=2"
    assert fstab.put(content, FstabLine("UUID=3", "/data", "ext4")) == b"UUID=3 /data ext4 defaults 0 0\n# between\n"


def test_swap_is_no_path() -> None:
    assert fstab.find(b"/swapfile none swap sw 0 0\n", "none") is None


def test_lines_are_found_by_what_they_mount() -> None:
    content = b'LABEL="my\\040data" /a ext4\n/dev/vdb /b ext4\nUUID=1 none swap sw 0 0\n'
    names = frozenset({"LABEL=my data", "UUID=1"})
    assert [line.path for line in fstab.with_source(content, names)] == ["/a", "none"]


def test_findmnt_reads_what_was_written(tmp_path: Path) -> None:
    """The tool that mount(8) is built on, as the other pair of eyes: names that need care, one line each."""
    names = [
        "plain",
        "with blank",
        "tab\there",
        "hash#tag",
        "back\\slash",
        "汉语",
        "quote'\"",
        "comma,colon:",
        "percent%40",
        "\\040",
        "new\nline",
    ]
    lines = [FstabLine(f"/srv/{name}", f"/mnt/{name}", "none", ("bind", "nofail")) for name in names]
    content = b"# comment\r\n\n"
    for line in lines:
        content = fstab.put(content, line)
    file = tmp_path / "fstab"
    file.write_bytes(content)
    words = ["findmnt", "--tab-file", str(file), "--noheadings", "--evaluate", "--output"]
    done = subprocess.run([*words, "TARGET", "--json"], capture_output=True, text=True, check=True)
    import json

    assert [entry["target"] for entry in json.loads(done.stdout)["filesystems"]] == [line.path for line in lines]
    checked = subprocess.run(["findmnt", "--verify", "--tab-file", str(file)], capture_output=True, text=True, check=False)
    assert "0 parse errors" in checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('LABEL="my data"', "LABEL=my data"),
        ("PARTLABEL='Data'", "PARTLABEL=Data"),
        ("uuid=AAAA-BB", "UUID=aaaa-bb"),
        ('PARTUUID="AB-01"', "PARTUUID=ab-01"),
        ("ID=virtio-DATA", 'ID="virtio-DATA"'),
        ("/dev//disk/./by-id/x", "/dev/disk/by-id/x"),
    ],
)
def test_one_source_has_many_spellings(one: str, other: str) -> None:
    assert fstab.source_name(one) == fstab.source_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("LABEL=data", "LABEL=Data"),
        ("PARTLABEL=a", "LABEL=a"),
        ("ID=Virtio-x", "ID=virtio-x"),
        ("UUID=1", "PARTUUID=1"),
        ("/dev/vdb", "UUID=1"),
    ],
)
def test_what_is_another_source(one: str, other: str) -> None:
    assert fstab.source_name(one) != fstab.source_name(other)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("defaults", ("defaults",)),
        ("rw,,nofail,", ("rw", "nofail")),
        ('rw,context="system_u:object_r:t:s0:c1,c2",nofail', ("rw", 'context="system_u:object_r:t:s0:c1,c2"', "nofail")),
        ('context="never closed,nofail', ('context="never closed', "nofail")),
    ],
)
def test_a_comma_between_quotes_parts_no_options(text: str, options: tuple[str, ...]) -> None:
    assert fstab.split_options(text) == options


@given(st.text(st.sampled_from('ab,"= ')))
def test_options_lose_nothing_but_empty_ones(text: str) -> None:
    assert ",".join(fstab.split_options(text)) == re.sub(",+", ",", text).strip(",") or '"' in text


def test_an_octal_escape_is_a_byte() -> None:
    assert unescape(r"/mnt/gr\303\266\303\237e") == "/mnt/größe"
    assert fstab.find(b"UUID=1 /mnt/gr\\303\\266\\303\\237e ext4\n", "/mnt/größe") is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"UUID=1 /data ext4 noatime 0 2 # the big one", b"UUID=2 /data ext4 defaults 0 0 # the big one"),
        (b"UUID=1 /data ext4 noatime 0 2\t#\ttabs  stay\r", b"UUID=2 /data ext4 defaults 0 0 #\ttabs  stay"),
        (b"UUID=1 /data ext4 noatime # too early", b"UUID=2 /data ext4 defaults 0 0 # too early"),
        (b"UUID=1 /data ext4 noatime 0 2 junk", b"UUID=2 /data ext4 defaults 0 0"),
    ],
)
def test_the_comment_behind_a_replaced_line_stays(before: bytes, after: bytes) -> None:
    assert fstab.put(before + b"\n", FstabLine("UUID=2", "/data", "ext4")) == after + b"\n"


@pytest.mark.parametrize("path", ["//data//x/", "/data/./x", "/data/x/"])
def test_a_path_in_a_crooked_form_is_the_path(path: str) -> None:
    assert fstab.find(f"UUID=1 {path} ext4\n".encode(), "/data/x") is not None
