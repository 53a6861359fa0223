"""As much of telnet as the consoles of nodes speak: RFC 854. Pure: bytes in, bytes out."""

from __future__ import annotations

_IAC, _DONT, _DO, _WONT, _WILL, _SB, _SE = 255, 254, 253, 252, 251, 250, 240
_BINARY, _ECHO, _GO_AHEAD = 0, 1, 3
_TAKEN = {_BINARY, _ECHO, _GO_AHEAD}
"""What the other end may do: echo what is typed, and send every byte at once."""
_GIVEN = {_BINARY, _GO_AHEAD}
_ANSWERS = {(_WILL, True): _DO, (_WILL, False): _DONT, (_DO, True): _WILL, (_DO, False): _WONT}


class Telnet:
    """One connection. Each option is answered once, so that two ends do not answer one another for ever."""

    def __init__(self) -> None:
        self._rest = b""
        self._settled: set[tuple[int, int]] = set()

    def received(self, data: bytes) -> tuple[bytes, bytes]:
        """What the node printed, and what is to be sent back."""
        data, self._rest = self._rest + data, b""
        text, reply = bytearray(), bytearray()
        at = 0
        while at < len(data):
            if data[at] != _IAC:
                text.append(data[at])
                at += 1
                continue
            length = _length(data, at)
            if not length:
                self._rest = data[at:]
                break
            command = data[at : at + length]
            if command[1] == _IAC:
                text.append(_IAC)
            elif command[1] in {_DO, _WILL}:
                reply += self._answer(command[1], command[2])
            at += length
        return bytes(text), bytes(reply)

    def _answer(self, verb: int, option: int) -> bytes:
        if (verb, option) in self._settled:
            return b""
        self._settled.add((verb, option))
        agreed = option in (_TAKEN if verb == _WILL else _GIVEN)
        return bytes((_IAC, _ANSWERS[verb, agreed], option))


def _length(data: bytes, at: int) -> int:
    """Bytes of the command that begins there; 0 while it is not complete."""
    if len(data) < at + 2:
        return 0
    if data[at + 1] == _SB:
        end = data.find(bytes((_IAC, _SE)), at)
        return end + 2 - at if end >= 0 else 0
    length = 3 if _WILL <= data[at + 1] <= _DONT else 2
    return length if len(data) >= at + length else 0


def typed(data: bytes) -> bytes:
    """What is typed, as it is sent."""
    return data.replace(b"\xff", b"\xff\xff")
