"""What is read of documents, and which are refused with what sentence."""

from __future__ import annotations

import io
import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import UsageError
from novaops.features.api.knowledge.documents import LIMITS, Limits, Unreadable, read_document
from novaops.features.api.knowledge.passages import Part, split
from novaops.features.api.knowledge.read_docx import read_docx
from novaops.features.api.knowledge.read_entries import read_json
from novaops.features.api.knowledge.read_pdf import read_pdf
from tests.support.documents import docx, encrypted, paragraph, pdf, table

ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
PACKED = (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCODINGS = ("big5", "gb2312", "utf-7", "nonexistent", "idna", "undefined")
COMPATIBLE = "http://schemas.openxmlformats.org/markup-compatibility/2006"
BOX = f'<w:p><w:r><mc:AlternateContent xmlns:mc="{COMPATIBLE}"><mc:Choice Requires="wps">{{0}}</mc:Choice>'
BOX += "<mc:Fallback><w:pict>{0}</w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
HYPHEN = "<w:p><w:r><w:t>ALM</w:t><w:noBreakHyphen/><w:t>7003</w:t></w:r></w:p>"
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600


def read(folder: Path, name: str, data: bytes | str, limits: Limits = LIMITS) -> list[Part]:
    file = folder / name
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_document(file, limits).parts)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", "one\ntwo", [("lines 1–2", "one\ntwo")]),
        ("a.TXT", b"\xef\xbb\xbfone\r\ntwo", [("lines 1–2", "one\ntwo")]),
        ("a.txt", "数据盘".encode("utf-16"), [("line 1", "数据盘")]),
        ("a.txt", "数据盘".encode("gb18030"), [("line 1", "数据盘")]),
        ("a.md", "top\n# One\nx\n```\n# no heading\n```\n## Two ##\ny", [
            ("line 1", "top"), ("“One”, lines 2–6", "# One\nx\n```\n# no heading\n```"), ("“Two”, lines 7–8", "## Two ##\ny"),
        ]),
        ("a.json", '["one", {"code": "A1", "class": "x"}]', [("entry 1", "one"), ("entry 2", "code: A1\nclass: x")]),
        ("a.json", '{"A1": {"class": "x"}, "B2": "text"}', [("entry “A1”", "A1\nclass: x"), ("entry “B2”", "B2\ntext")]),
        ("a.json", '{"text_lst": ["t"], "qa_lst": [{"std_q": "q?", "simi_qs": ["p?", "r?"], "answer": "a"}]}', [
            ("text 1", "t"), ("question 1", "std_q: q?\nsimi_qs: p? | r?\nanswer: a"),
        ]),
        ("a.jsonl", '{"code": "A1"}\n\n{"code": [1, true], "x": {"y": null}}\n', [
            ("line 1", "code: A1"), ("line 3", 'code: [1, true]\nx: {"y": null}'),
        ]),
        ("a.pdf", pdf([["First page (one)", "second line"], ["Second page"]]), [
            ("page 1", "First page (one)\nsecond line"), ("page 2", "Second page"),
        ]),
        ("a.pdf", encrypted(pdf([["Anybody may read"]]), "", "owner"), [("page 1", "Anybody may read")]),
        ("a.docx", docx(paragraph("Alarms", "Heading1") + paragraph("A & B") + table([["code", "class"], ["A1", "x"]])), [
            ("“Alarms”", "Alarms\n\nA & B\n\ncode | class\n\nA1 | x"),
        ]),
        ("a.docx", docx(paragraph("x" * 800) + paragraph("y" * 800) + paragraph("z")), [
            ("from paragraph 1", "x" * 800), ("from paragraph 2", "y" * 800 + "\n\nz"),
        ]),
        ("a.docx", docx(HYPHEN), [("from paragraph 1", "ALM-7003")]),
        ("a.docx", docx(BOX.format(paragraph("in a box")) + paragraph("x")), [("from paragraph 1", "in a box\n\nx")]),
        ("a.docx", docx(paragraph("x", "Heading1"), endnotes=paragraph("end"), footnotes=paragraph("foot") + paragraph("y" * 999)), [
            ("“x”", "x"), ("footnotes", "foot\n\n" + "y" * 999), ("endnotes", "end"),
        ]),
    ],
)  # fmt: skip
def test_a_document_is_read(tmp_path: Path, name: str, data: bytes | str, expected: list[tuple[str, str]]) -> None:
    assert [(part.place, part.text.strip()) for part in read(tmp_path, name, data)] == expected


def test_the_name_of_an_entry_can_be_stored(tmp_path: Path) -> None:
    parts = read(tmp_path, "a.json", '{"\\ud800": "zz"}')
    assert [(part.place, part.text) for part in split(parts)] == [("entry “?”", "?\nzz")]


def test_keys_of_entries(tmp_path: Path) -> None:
    entries = {"A1": {"id": 7, "title": "Fibre cut", "keys": ["LOS", "x" * 300], "on": True}}
    assert read(tmp_path, "a.json", json.dumps(entries))[0].keys == ("A1", "LOS", "7", "Fibre cut")


def damaged(packed: int) -> bytes:
    """A docx whose text is packed in this way, and damaged."""
    data = docx(paragraph("x" * 9000), packed=packed)
    start = data.index(b"word/document.xml") + len("word/document.xml")
    return data[: start + 12] + b"\xff" * 24 + data[start + 36 :]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", " \n", "There is no text in it"),
        ("a.txt", b"ok\n\xff\xff\0", "It is not text in UTF-8: line 2 has other bytes"),
        ("a.txt", "mounted".encode("utf-16-le"), "It is no text: it has null bytes"),
        ("a.json", "[1]".encode("utf-16-le"), "It is no text: it has null bytes"),
        ("a.md", b"\xff\xfea\0\0\0", "It is no text: it has null bytes"),
        ("a\udcff.txt", b"x", "Its name is not in UTF-8"),
        ("a.exe", b"x", "its name ends with .exe"),
        ("a", b"x", "its name ends with nothing"),
        ("a.doc", OLE, "save it as .docx"),
        ("a.json", '{"a": 1,}', "Line 1, column "),
        ("a.json", "7", "one bare value"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", f"[{'9' * 5000}]", "a value that cannot be read"),
        ("a.json", '{"A1": 1, "A2": 2, "A1": 3}', "\nAn object in it has “A1” twice"),
        ("a.jsonl", '{"a": 1}\n{"b": {"c": 1, "c": 1}}', "\nAn object in it has “c” twice"),
        ("a.json", '{"qa_lst": 3}', "qa_lst is not a list"),
        ("a.jsonl", '{"a": 1}\n{"a": oops}', "Line 2, column 7 is not JSON: Expecting value, at 'oops}'"),
        ("a.pdf", b"no PDF at all", "It is no PDF, or a broken one: "),
        ("a.pdf", pdf([["x"]])[:200], "It is no PDF, or a broken one: "),
        ("a.pdf", encrypted(pdf([["x"]]), "user", "owner"), "It is encrypted, and asks for a password"),
        ("a.pdf", pdf([[], []]), "Its 2 pages have no text: it is scanned"),
        ("a.docx", OLE, "It is encrypted, or in the form of Word 97"),
        ("a.docx", b"PK no zip", "It is no docx, or a broken one"),
        ("a.docx", docx("<w:p>", before=""), "Its text is broken"),
        ("a.docx", docx(paragraph("&"), before=ENTITIES), "Its XML defines entities"),
        *(("a.docx", damaged(packed), "It is no docx, or a broken one") for packed in PACKED),
        *(("a.docx", docx(paragraph("x"), encoding=each), "broken") for each in ENCODINGS),
        ("a.docx", docx(paragraph("x"), footnotes="<w:p>"), "Its text is broken"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used(tmp_path: Path, name: str, data: bytes | str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, name, data)
    assert why in str(error.value)


def test_limits(tmp_path: Path) -> None:
    for name, data, limits, why in (
        ("a.txt", "x" * 101, Limits(size=100), "too large: 101 B\nThe most is 100 B."),
        ("a.txt", "x" * 101, Limits(characters=100), "101 characters; the most is 100"),
        ("a.pdf", pdf([["a"], ["b"], ["c"]]), Limits(pages=2), "3 pages; the most is 2"),
        ("a.pdf", pdf([["abcdef"], ["b"]]), Limits(characters=5), "more than 5 characters"),
        ("a.json", "[1, 2, 3]", Limits(entries=2), "more than 2 entries"),
        ("a.docx", docx(paragraph("x" * 100_000) * 2), Limits(characters=10), "unpacks to more than 10 characters"),
        ("a.docx", docx("<w:p/>" * 50_000 + paragraph("x")), Limits(characters=100), "unpacks to more than 100 characters"),
    ):
        with pytest.raises(UsageError) as error:
            read(tmp_path, name, data, limits)
        assert why in str(error.value)


def test_a_zip_file_of_many_files_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(10_001):
            archive.writestr(str(number), "")
    with pytest.raises(Unreadable, match="more than 10,000 files"):
        read_docx(out.getvalue(), LIMITS)


def test_a_file_of_2_gb_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.pdf"
    with file.open("wb") as out:
        out.truncate(2 << 30)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was read"))
    with pytest.raises(UsageError, match="too large: 2 GiB"):
        read_document(file)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    (tmp_path / "b.txt").mkdir()
    for name, why in (("a.txt", "no regular file"), ("b.txt", "no regular file"), ("c.txt", "No such file")):
        with pytest.raises(UsageError) as error:
            read_document(tmp_path / name)
        assert why in str(error.value)


def test_pages_without_text_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf([["x"], [], []]))
    assert "no text on 2 of 3 pages (2, 3): scanned?" in read_document(tmp_path / "a.pdf").notes[0]


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_broken_bytes_end_in_a_sentence(data: bytes, place: int, byte: int) -> None:
    good = pdf([["x"]])
    changed = good[:place] + bytes([byte]) + good[place + 1 :]
    for reader, content in ((read_pdf, data), (read_pdf, changed), (read_docx, data), (read_json, data)):
        with suppress(Unreadable):
            reader(content, LIMITS)
