"""A guest that boots in a second: a boot sector which talks on its serial line. And the qcow2 that holds it."""

from __future__ import annotations

import struct

BANNER = "novaops node ready"
REPLY = "1 packets received"
"""What it prints for each line that is typed, as a ping does that was answered."""

_LOADED = 0x7C00
_SECTOR = 512
_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_COPIED = 1 << 63
"""QCOW_OFLAG_COPIED: the cluster is referred to once."""


def boot_sector() -> bytes:
    """Print the banner and a prompt, then echo what comes; after a carriage return print the reply and a prompt."""
    greet, prompt = f"\r\n{BANNER}\r\n# ".encode() + b"\0", f"\r\n{REPLY}\r\n# ".encode() + b"\0"
    code = bytearray.fromhex(
        "fa 31c0 8ed8 8ed0 bc007c fb"  # cli; ax, ds, ss = 0; sp = 7c00; sti
        "be0000"  # mov si, greet                     patched below
        "ac 84c0 7405 e82200 ebf6"  # print: lodsb; while al: call putc
        "bafd03 ec a801 7503 f4 ebf5"  # wait: until the line status says a byte came: hlt
        "baf803 ec e80c00"  # in al, 3f8; call putc
        "3c0d 75ea"  # cmp al, CR; jne wait
        "be0000 ebe0"  # mov si, prompt; jmp print   patched below
        "50 bafd03 ec a820 74fb 58 baf803 ee c3"  # putc: wait until it can be sent; out; ret
    )
    code = _patched(code, greet, prompt)
    return bytes(code).ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"


def _patched(code: bytearray, greet: bytes, prompt: bytes) -> bytearray:
    """With the jumps and addresses computed: the parts are found by their first bytes."""
    start = code.index(bytes.fromhex("ac84c0"))
    wait = code.index(bytes.fromhex("bafd03eca801"))
    putc = code.index(bytes.fromhex("50bafd03"))
    for call in (at for at in range(len(code)) if code[at] == 0xE8):
        struct.pack_into("<h", code, call + 1, putc - (call + 3))
    struct.pack_into("<b", code, start + 4, wait - (start + 5))
    struct.pack_into("<b", code, start + 9, start - (start + 10))
    compare = code.index(bytes.fromhex("3c0d75"))
    struct.pack_into("<b", code, compare + 3, wait - (compare + 4))
    struct.pack_into("<b", code, compare + 8, start - (compare + 9))
    texts = _LOADED + len(code)
    struct.pack_into("<H", code, start - 2, texts)
    struct.pack_into("<H", code, compare + 5, texts + len(greet))
    return code + greet + prompt


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
