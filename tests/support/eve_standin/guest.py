"""A guest that boots in a second: a boot sector which talks on its serial line. And the qcow2 that holds it."""

from __future__ import annotations

import struct

BANNER = "novaops node ready"
REPLY = "that was read"
"""What it prints for each line that is typed, but for a ping."""
DEAD = "9"
"""A ping of an address that ends with it is not answered."""

_LOADED = 0x7C00
_LINE = 0x7E00
"""Where what is typed is kept."""
_SECTOR = 512
_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_COPIED = 1 << 63
"""QCOW_OFLAG_COPIED: the cluster is referred to once."""

_CODE = f"""
fa 31c0 8ed8 8ec0 8ed0 bc007c fb    cli; ax, ds, es, ss = 0; sp = 7c00; sti
be @greet e8 >print
prompt:
be @prompt_text e8 >print
bf {struct.pack("<H", _LINE).hex()}  di = the line
wait:
bafd03 ec a801 75 +read f4 eb +wait  until the line status says that a byte came: hlt
read:
baf803 ec 3c03 74 +prompt           Ctrl-C: a new line
e8 >putc 3c0d 74 +line aa eb +wait   its echo; CR ends the line, another byte is kept
line:
c60500 be @reply
803e {struct.pack("<H", _LINE).hex()} 70 75 +say     another line than one that begins with p
be @dead 807dff {DEAD.encode().hex()} 74 +say
be @alive e8 >print be {struct.pack("<H", _LINE + 5).hex()} e8 >print be @answer
say:
e8 >print eb +prompt
print:
ac 84c0 74 +end e8 >putc eb +print
end:
c3
putc:
50 bafd03 ec a820 74fb 58 baf803 ee c3    until it can be sent; out
"""
"""A line: bytes, a label's address (@), its distance in a byte (+) or a word (>), and after two spaces what it does. LABEL: alone."""

_TEXTS = {
    "greet": f"\r\n{BANNER}",
    "prompt_text": "\r\n# ",
    "reply": f"\r\n{REPLY}",
    "dead": "\r\nFrom 10.0.0.1 icmp_seq=1 Destination Host Unreachable",
    "alive": "\r\n64 bytes from ",
    "answer": ": icmp_seq=1 ttl=64",
}


def boot_sector() -> bytes:
    """Print the banner and a prompt, then echo what comes; after a carriage return the reply, or what a ping prints, and a prompt."""
    words = [word for line in _CODE.splitlines() for word in line.split("  ")[0].split()]
    labels: dict[str, int] = {}
    at = 0
    for word in words:
        labels |= {word[:-1]: at} if word.endswith(":") else {}
        at += _length(word)
    texts = b""
    for name, text in _TEXTS.items():
        labels[name] = _LOADED + at + len(texts)
        texts += text.encode() + b"\0"
    code = b""
    for word in words:
        end = len(code) + _length(word)
        if word[0] in _FORMS and not word.endswith(":"):
            code += struct.pack(_FORMS[word[0]], labels[word[1:]] - (0 if word[0] == "@" else end))
        elif not word.endswith(":"):
            code += bytes.fromhex(word)
    return (code + texts).ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"


_FORMS = {"@": "<H", "+": "<b", ">": "<h"}


def _length(word: str) -> int:
    return 0 if word.endswith(":") else struct.calcsize(_FORMS[word[0]]) if word[0] in _FORMS else len(word) // 2


def qcow2(content: bytes, size: int = 1 << 20) -> bytes:
    """An image of `size` bytes that begins with `content`: header, refcounts, L1, L2 and the data, a cluster each."""
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, _CLUSTER_BITS, size, 0, 1, 3 * _CLUSTER, _CLUSTER, 1, 0, 0)
    table = struct.pack(">Q", 2 * _CLUSTER)
    counts = struct.pack(">6H", *[1] * 6)
    first_level = struct.pack(">Q", 4 * _CLUSTER | _COPIED)
    second_level = struct.pack(">Q", 5 * _CLUSTER | _COPIED)
    return b"".join(part.ljust(_CLUSTER, b"\0") for part in (header, table, counts, first_level, second_level, content))


def disk() -> bytes:
    """A qcow2 that boots the guest."""
    return qcow2(boot_sector())
