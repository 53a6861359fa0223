"""Texts and questions as FTS5 indexes them and can look for them. Pure.

Chinese, Japanese and Korean are written without blanks, and most words of Chinese have two characters. So a run of them is indexed as
pairs: 挂载磁盘 is kept as 挂载 载磁 磁盘 盘. (As Lucene's CJK analyzer does it.) FTS5's own tokenizers do the rest: words of letters and
digits, whatever their capitals and accents, and English ones by their stem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from novaops.features.api.knowledge.passages import clean

TOKENIZER = "porter unicode61"
_WORD = re.compile(r"[^\W_]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+")


def indexed(text: str) -> str:
    """What the index gets of a text."""
    return _CJK.sub(lambda run: f" {' '.join(_pairs(run[0]))} {run[0][-1]} ", clean(text))


def _pairs(run: str) -> Iterator[str]:
    yield from (run[start : start + 2] for start in range(max(1, len(run) - 1)))


def expressions(text: str, *, begins: bool = False) -> list[str]:
    """For each of a text's terms an expression of FTS5 that finds it, or words that begin with it."""
    return [f'"{term}"{"*" if begins or _one_character(term) else ""}' for term in dict.fromkeys(_terms(clean(text)))]


def _terms(text: str) -> Iterator[str]:
    """Letters and digits only, so that nothing in them means anything to FTS5 between quotation marks."""
    for word in _WORD.findall(text):
        end = 0
        for run in _CJK.finditer(word):
            yield from filter(None, [word[end : run.start()]])
            yield from _pairs(run[0])
            end = run.end()
        yield from filter(None, [word[end:]])


def _one_character(term: str) -> bool:
    """A single Chinese character is looked for at the beginning of pairs."""
    return len(term) == 1 and bool(_CJK.match(term))


def normal(text: str) -> str:
    """A key, or a question, as the two are compared: small letters, single blanks."""
    return " ".join(clean(text).casefold().split())


def names(question: str, key: str) -> bool:
    """Whether a question has the key in it as words of its own. Both are `normal`. Digits alone are a key only where they are all of it."""
    if question == key:
        return True
    if len(key) < 2 or key.isdecimal():  # noqa: PLR2004 - one character stands in every text
        return False
    start = question.find(key)
    while start >= 0:
        end = start + len(key)
        if not (_glued(question[:start][-1:], key[0]) or _glued(key[-1], question[end : end + 1])):
            return True
        start = question.find(key, start + 1)
    return False


def _glued(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to one word. Chinese words have no borders."""
    return all(_WORD.fullmatch(each) and not _CJK.fullmatch(each) for each in (left, right))
