"""The key that a repository's owner offers. Only while the host has no keyring of novaops's for it: fetching takes time."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.features.eve.paths import KEYRING
from novaops.model.question import Missing, Question, Section
from novaops.shell import join, lines_of, quote

SECONDS = 15
"""How long the host's answer may take. apt's own program is asked, with apt's proxy and certificates."""


@dataclass(frozen=True)
class OfferedKey:
    content: bytes
    complaint: str
    """Why there is none; "" where there is."""


@dataclass(frozen=True)
class SigningKey(Question[OfferedKey]):
    """ABSENT where the keyring is there already, or the host has no apt."""

    url: str
    family: ClassVar[str] = "eve-signing-key"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"""\
helper=/usr/lib/apt/apt-helper
for url in {join(q.url for q in questions)}; do
  if [ -e {quote(KEYRING)} ] || [ ! -x $helper ]; then echo absent; continue; fi
  folder=$(mktemp -d) || exit
  if said=$(timeout {SECONDS * 2} $helper -o Acquire::Retries=0 -o Acquire::http::Timeout={SECONDS} -o Acquire::https::Timeout={SECONDS} \\
    -o APT::Sandbox::User=root download-file "$url" "$folder/key" 2>&1)
  then echo "key $(head -c 65536 "$folder/key" | base64 | tr -d '\\n')"
  else echo "failed $(printf '%s' "$said" | grep -e '^ ' -e '^E:' | head -n 1 | sed 's/^ *//' | base64 | tr -d '\\n')"
  fi
  rm -rf "$folder"
done
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, OfferedKey | Missing]:
        found: dict[Self, OfferedKey | Missing] = {}
        for question, line in zip(questions, lines_of(section.stdout), strict=False):
            word, _, text = line.partition(" ")
            if word == "absent":
                found[question] = Missing.ABSENT
                continue
            try:
                content = base64.b64decode(text, validate=True)
            except binascii.Error:
                continue
            why = content.decode("utf-8", "replace").strip() or "apt's downloader did not say why"
            found[question] = OfferedKey(content, "") if word == "key" else OfferedKey(b"", why)
        return found
