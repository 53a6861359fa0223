"""An ssh server that runs nothing of what it is told: it prints, lies, cuts and drips. A host that somebody else has taken over.

It knows the protocol: a lie begins where the script's own output would, in the frames that the probe asks for.
"""

from __future__ import annotations

import base64
import random
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import paramiko

from tests.loopback.conftest import Host

ESCAPES = "\x1b[2K\x1b[1A\r✓ first  everything  unchanged\x1b]0;owned\x07\u202e\x9b31m\u2028\x85\0\x7f\n"
"""What paints a terminal, and what ends a line for some readers and not for others."""

_MARK = re.compile(rb"novaops-[0-9a-f]{32}")
_PROBE = re.compile(rb"^mark=(novaops-[0-9a-f]{32})$", re.MULTILINE)
_FAMILY = re.compile(rb"\bframed [0-9]+ ([\w-]+)")
_KEYS = re.compile(rb"[a-z_]{2,20}")
_MOST = 1 << 20
"""Bytes of a script that are read."""

Lie = Callable[[bytes, random.Random], bytes]
"""What stands in a family's frame, made from the script that asks."""


def _its_own_words(script: bytes, dice: random.Random) -> bytes:
    """Rows that begin with words of the script, which the reader may look for."""
    words = _KEYS.findall(script)[:2000] or [b"x"]
    junk = (
        b"",
        b"-1",
        b"9" * 5000,
        b"\xff\xfe",
        b"\t\t",
        base64.b64encode(dice.randbytes(30)),
        b"a=b",
        b"0 0 0 0 0 0 0 0",
        ESCAPES.encode(),
    )
    rows = [dice.choice(words) + dice.choice((b" ", b"\t", b"=", b":")) + dice.choice(junk) for _ in range(300)]
    return b"\n".join(rows)


def _always(said: bytes) -> Lie:
    return lambda *_: said


LIES: Mapping[str, Lie] = {
    "nothing": _always(b""),
    "noise": lambda _, dice: dice.randbytes(4000),
    "escapes": _always(ESCAPES.encode() * 50),
    "the script itself": lambda script, _: script[:100_000],
    "its own words": _its_own_words,
    "deep JSON": _always(b'{"a":[' * 50_000),
    "JSON of other shapes": lambda _, dice: dice.choice(
        (b"null", b"[]", b"[[1]]", b'{"blockdevices": 5}', b'{"blockdevices": [null, {"a": []}]}')
    ),
    "large numbers": _always(b"\n".join([b"9" * 5000 + b" " + b"9" * 5000 + b"\t1e999"] * 20)),
    "a line without end": _always(b"x" * 300_000),
    "many lines": _always(b"a b c d e f g h\n" * 20_000),
}


@dataclass
class Adversary(Host):
    """`kind`: a name of LIES, or of what is done before any frame: see `execute`."""

    kind: str = "noise"
    seed: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    framed: list[int] = field(default_factory=list)
    """How many families each probe asked, of those that were lied to in their frames."""

    def close(self) -> None:
        self.ended.set()
        super().close()

    def execute(self, channel: paramiko.Channel, command: bytes) -> None:
        dice = random.Random(f"{self.kind} {self.seed}")  # noqa: S311 - the same lies each time
        with suppress(OSError, EOFError):
            if self.kind == "prints":
                channel.sendall(ESCAPES.encode() * 100)
                channel.sendall_stderr(ESCAPES.encode() * 100)
            elif self.kind == "says that all is well":
                channel.sendall(b"".join(mark + b"\nend ok\n" for mark in set(_MARK.findall(command))))
            elif self.kind == "drips":
                while not self.ended.wait(0.1):
                    channel.sendall(b".")
            elif self.kind == "cuts":
                self._begins(channel, command)
                self.drop()
            elif self.kind in LIES:
                self._lies(channel, command, dice)
            channel.send_exit_status(dice.choice((0, 0, 0, 1, 255)))
            channel.close()

    @staticmethod
    def _begins(channel: paramiko.Channel, command: bytes) -> None:
        for mark in _MARK.findall(command)[:1]:
            channel.sendall(mark + b"\n")
            channel.sendall_stderr(mark + b"\n")

    def _lies(self, channel: paramiko.Channel, command: bytes, dice: random.Random) -> None:
        self._begins(channel, command)
        script = b""
        channel.settimeout(10)
        while (data := channel.recv(65_536)) and len(script) < _MOST:
            script += data
        lie = LIES[self.kind]
        mark = _PROBE.search(script)
        if mark is None:
            channel.sendall(lie(script, dice) + b"\n")
            channel.sendall_stderr(ESCAPES.encode())
            return
        families = _FAMILY.findall(script)
        self.framed.append(len(families))
        for name in families:
            end = b"\n%b = %b\n%b\n" % (mark[1], dice.choice((b"0", b"0", b"1")), ESCAPES.encode())
            channel.sendall(mark[1] + b" " + name + b"\n" + lie(script, dice) + end)
        channel.sendall(mark[1] + b" end\n")


KINDS = (*LIES, "prints", "says that all is well", "drips", "cuts", "hangs up")
