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
_FAMILY = re.compile(rb"echo '(novaops-[0-9a-f]{32}) ([\w-]+)'; echo")
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
        families = _FAMILY.findall(script)
        lie = LIES[self.kind]
        for boundary, name in families or [(b"", b"")]:
            if name == b"end":
                channel.sendall(boundary + b" end\n")
                continue
            frame = (
                (boundary + b" " + name + b"\n", b"\n" + boundary + b" = " + dice.choice((b"0", b"0", b"1")) + b"\n")
                if name
                else (b"", b"\n")
            )
            channel.sendall(frame[0] + lie(script, dice) + frame[1])
            channel.sendall_stderr(frame[0] + ESCAPES.encode())


KINDS = (*LIES, "prints", "says that all is well", "drips", "cuts", "hangs up")
