"""How VPN servers are asked: the sh of server.sh, and how its answers are taken apart."""

from __future__ import annotations

import base64
import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

from novaops.facts.listening import OF_SOCKETS
from novaops.features.vpn.paths import SERVERS, SOCKETS
from novaops.formats.x509 import Certificate, Chain
from novaops.model.question import Answer, Missing, Question, Section
from novaops.shell import join, lines_of, quote, sh_file

TALK = """\
use IO::Socket::UNIX;
$SIG{ALRM} = sub { exit 3 }; alarm 8;
my ($path, @commands) = @ARGV;
my $socket = IO::Socket::UNIX->new(Peer => $path) or exit 2;
for my $command (@commands) {
  print $socket "$command\\n";
  while (my $line = <$socket>) {
    $line =~ s/\\r?\\n//;
    next if $line =~ /^>/;
    print "$line\\n";
    last if $line =~ /^(END$|SUCCESS:|ERROR:)/;
  }
}
print $socket "quit\\n";
"""
"""Perl that gives commands to OpenVPN's management socket and prints its answers. Every Debian has Perl, and no other tool for this."""


class ServerQuestion(Question[Answer]):
    """A question that one function of server.sh answers."""

    @property
    @abstractmethod
    def call(self) -> tuple[str, ...]:
        """The function's name and its arguments."""

    @abstractmethod
    def read(self, said: Mapping[str, str]) -> Answer | Missing:
        """The answer, from what was printed, by its keys. Raises ValueError."""

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        settings = f"TALK={quote(TALK)} SERVERS={SERVERS} SOCKETS={SOCKETS}\n"
        return settings + OF_SOCKETS + sh_file(__package__, "server.sh") + "".join(f"{join(question.call)}\n" for question in questions)

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Answer | Missing]:
        return {q: q.read(said) for q, said in zip(questions, _sections(section, len(questions)), strict=True)}


def _sections(section: Section, number: int) -> list[dict[str, str]]:
    """What was printed for each question, by its keys. Raises ValueError when something is missing."""
    found: list[dict[str, str]] = [{}]
    for line in lines_of(section.stdout):
        key, _, rest = line.partition(" ")
        if key == "end":
            found.append({})
        else:
            found[-1][key] = rest if key == "now" else base64.b64decode(rest, validate=True).decode("utf-8", "surrogateescape")
    if len(found) != number + 1 or any("now" not in one for one in found[:-1]):
        raise ValueError("the answer is cut off")
    return found[:-1]


def certificate_of(pem: str) -> Certificate | None:
    """None for a text that is no certificate."""
    try:
        return Chain.read(pem).leaf
    except ValueError:
        return None


def has_key(certificate: Certificate | None, pem: str) -> bool:
    """Whether that is its public key."""
    return certificate is not None and certificate.public_key != "" and key_of(certificate.public_key) == key_of(pem)


def key_of(pem: str) -> str:
    """The sha256 of a public key's PEM, without the white space at its ends."""
    return hashlib.sha256(pem.strip().encode()).hexdigest()
