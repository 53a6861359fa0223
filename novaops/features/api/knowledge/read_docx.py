"""The text of a docx, by headings. A docx is a zip file with XML in it (ECMA-376); its tables become lines with bars between the cells.

The file may be anybody's. Its XML is read as a stream and only up to a limit, whatever the zip file says of its size, and a DTD, which
could define entities that grow without end, is refused. Word writes none.
"""

from __future__ import annotations

import io
import zipfile
from xml.parsers import expat

from novaops.features.api.knowledge.documents import SPLIT, Limits, Read, Unreadable
from novaops.features.api.knowledge.passages import LIMIT, Part

_DOCUMENT = "word/document.xml"
_NOTES = {"word/footnotes.xml": "footnotes", "word/endnotes.xml": "endnotes"}
"""With the place that their text has."""
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
_STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main "
_FALLBACK = "http://schemas.openxmlformats.org/markup-compatibility/2006 Fallback"
"""What an older Word shows in the place of something newer, which stands before it: a text box is there twice."""
_OLD = bytes.fromhex("d0cf11e0a1b11ae1")
_ANEW = "open it in Word and save it anew"
_CHARACTERS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
"""Elements that stand for one."""
_CHUNK = 1 << 16
_MARKUP = 20
"""Bytes of XML that a character of text may take."""
_MEMBERS = 10_000


def read_docx(data: bytes, limits: Limits) -> Read:
    if data.startswith(_OLD):
        raise Unreadable("It is encrypted, or in the form of Word 97.", "open it in Word and save it as .docx without a password")
    try:
        return Read(_all_parts(data, limits))
    except Unreadable:
        raise
    except expat.ExpatError as error:
        raise Unreadable(f"Its text is broken: {error}.", _ANEW) from None
    except Exception as error:  # noqa: BLE001 - a broken one fails anywhere in zipfile, in four decompressors and in the decoding of its XML
        raise Unreadable(f"It is no docx, or a broken one: {str(error) or type(error).__name__}.", _ANEW) from None


def _all_parts(data: bytes, limits: Limits) -> list[Part]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if len(archive.infolist()) > _MEMBERS:
            raise Unreadable(f"It is a zip file with more than {_MEMBERS:,} files in it, and no document.")
        notes = [name for name in _NOTES if name in archive.namelist()]
        return [part for name in (_DOCUMENT, *notes) for part in _parts(archive, name, limits)]


def _parts(archive: zipfile.ZipFile, name: str, limits: Limits) -> list[Part]:
    body = _Body(_NOTES.get(name, ""))
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.StartElementHandler = body.start
    parser.EndElementHandler = body.end
    parser.CharacterDataHandler = body.text
    read, most = 0, limits.characters * _MARKUP
    with archive.open(name) as file:
        while chunk := file.read(_CHUNK):
            read += len(chunk)
            if read > most or body.characters > limits.characters:
                raise Unreadable(f"It unpacks to more than {limits.characters:,} characters.", SPLIT)
            parser.Parse(chunk, False)  # noqa: FBT003 - expat takes it by place
        parser.Parse(b"", True)  # noqa: FBT003
    return body.parts()


def _no_doctype(*_: object) -> None:
    raise Unreadable("Its XML defines entities, which Word never does.")


class _Body:
    """The text as it comes."""

    def __init__(self, place: str = "") -> None:
        """`place`: where all of it stands; by headings without."""
        self.characters = 0
        self._place = place
        self._skipped = 0
        """Elements around that are not read."""
        self._found: list[tuple[str, int, str]] = []
        self._line: list[str] = []
        self._inside_text = self._is_heading = False
        self._heading = ""
        self._number = 0
        self._cells = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._skipped += tag == _FALLBACK
        name = "" if self._skipped else _local(tag)
        if name == "t":
            self._inside_text = True
        elif name in _CHARACTERS:
            self._line.append(_CHARACTERS[name])
        elif name == "pStyle":
            style = next((value for key, value in attributes.items() if _local(key) == "val"), "")
            self._is_heading = style.lower().startswith(("heading", "title", "berschrift")) or style.isdecimal()
        elif name == "tr":
            self._cells += 1

    def end(self, tag: str) -> None:
        name = "" if self._skipped else _local(tag)
        self._skipped -= tag == _FALLBACK
        if name == "t":
            self._inside_text = False
        elif name == "tc":
            self._line = ["".join(self._line).rstrip(), " | "]
        elif name == "tr":
            self._cells -= 1
            self._paragraph()
        elif name == "p" and self._cells:
            self._line.append("\n")
        elif name == "p":
            self._paragraph()

    def text(self, data: str) -> None:
        if self._inside_text:
            self.characters += len(data)
            self._line.append(data)

    def _paragraph(self) -> None:
        text = "".join(self._line).strip().removesuffix(" |").strip()
        self._line = []
        self._number += 1
        if self._is_heading and text:
            self._heading = text[:80]
        self._is_heading = False
        if text:
            self._found.append((self._heading, self._number, text))

    def parts(self) -> list[Part]:
        """Neighbours below one heading are one part, and so are neighbours without one, up to the size of a passage."""
        joined: list[tuple[str, list[str]]] = []
        for heading, number, text in self._found:
            place = self._place or (f"“{heading}”" if heading else f"from paragraph {number}")
            last = joined[-1] if joined else ("", [])
            if last[0] == place or (not heading and last[1] and sum(map(len, last[1])) + len(text) <= LIMIT):
                last[1].append(text)
            else:
                joined.append((place, [text]))
        return [Part("\n\n".join(texts), place) for place, texts in joined]


def _local(tag: str) -> str:
    """The name of an element of Word's own; "" for one of somebody else's."""
    for space in (_WORD, _STRICT):
        if tag.startswith(space):
            return tag.removeprefix(space)
    return ""
