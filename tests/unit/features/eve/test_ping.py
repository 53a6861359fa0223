"""What each kind of node prints for `ping 10.0.0.2`."""

from __future__ import annotations

import re

import pytest

from novaops.features.eve.topology import Assertion

LINUX = "PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.\n"
IOS = "Type escape sequence to abort.\nSending 5, 100-byte ICMP Echos to 10.0.0.2, timeout is 2 seconds:\n"
MIKROTIK = "  SEQ HOST                                     SIZE TTL TIME       STATUS\n"
ANSWERED = {
    "Linux": f"{LINUX}64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.532 ms\n",
    "Linux with a name": f"{LINUX}64 bytes from r2.lab (10.0.0.2): icmp_seq=1 ttl=64 time=0.532 ms\n",
    "BusyBox": "PING 10.0.0.2 (10.0.0.2): 56 data bytes\n64 bytes from 10.0.0.2: seq=0 ttl=64 time=0.080 ms\n",
    "Junos": "PING 10.0.0.2 (10.0.0.2): 56 data bytes\r\n64 bytes from 10.0.0.2: icmp_seq=0 ttl=64 time=1.2 ms\r\n",
    "VPCS": "\r\n84 bytes from 10.0.0.2 icmp_seq=1 ttl=64 time=0.486 ms\r\n",
    "IOS": f"{IOS}.!!!!\nSuccess rate is 80 percent (4/5), round-trip min/avg/max = 1/2/4 ms\n",
    "MikroTik": f"{MIKROTIK}    0 10.0.0.2                                   56  64 0ms463us\n",
    "VRP": "  PING 10.0.0.2: 56  data bytes, press CTRL_C to break\n    Reply from 10.0.0.2: bytes=56 Sequence=1 ttl=255 time=10 ms\n",
    "the second": f"{LINUX}From 10.0.0.1 icmp_seq=1 Destination Host Unreachable\n64 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=1 ms\n",
}
NOT_ANSWERED = {
    "nothing": "",
    "Linux": f"{LINUX}From 10.0.0.1 icmp_seq=1 Destination Host Unreachable\n3 packets transmitted, 0 received, +1 errors\n",
    "Linux, on the way": f"{LINUX}From 10.0.0.1 icmp_seq=1 Time to live exceeded\n",
    "Linux, none": f"{LINUX}\n--- 10.0.0.2 ping statistics ---\n10 packets transmitted, 0 received, 100% packet loss, time 9001ms\n",
    "Junos": "36 bytes from 10.0.0.1: Destination Host Unreachable\nVr HL TOS  Len   ID Flg  off TTL Pro  cks      Src      Dst\n",
    "Junos, itself": "36 bytes from 10.0.0.2: Destination Port Unreachable\n",
    "BSD": "10 packets transmitted, 0 packets received, 100.0% packet loss\n",
    "NX-OS": "36 bytes from 10.0.0.1: Destination Host Unreachable\nRequest 0 timed out\n5 packets transmitted, 0 packets received\n",
    "VPCS": "*10.0.0.1 icmp_seq=1 ttl=255 (ICMP type:3, code:1, Destination host unreachable)\nhost (10.0.0.2) not reachable\n",
    "VPCS, late": "10.0.0.2 icmp_seq=1 timeout\n",
    "IOS": f"{IOS}.....\nSuccess rate is 0 percent (0/5)\n",
    "IOS, on the way": f"{IOS}U.U.U\nSuccess rate is 0 percent (0/5)\n",
    "IOS, another": f"{IOS}!!!!!\nSuccess rate is 100 percent (5/5)\n".replace("10.0.0.2", "10.0.0.22"),
    "MikroTik": f"{MIKROTIK}    0 10.0.0.2                                               timeout\n    sent=3 received=0 packet-loss=100%\n",
    "MikroTik, on the way": f"{MIKROTIK}    0 10.0.0.1                                   84  64 1ms463us  host unreachable\n",
    "MikroTik, itself": f"{MIKROTIK}    0 10.0.0.2                                   84  64 1ms463us  port unreachable\n",
    "MikroTik, another": f"{MIKROTIK}    0 10.0.0.1                                   56  64 0ms463us\n",
    "Windows": "Reply from 10.0.0.1: Destination host unreachable.\n",
    "another that is asked still": "64 bytes from 10.0.0.1: icmp_seq=7 ttl=64\n64 bytes from 10.0.0.22: icmp_seq=7 ttl=64\n",
    "half a line": "64 bytes from 10.0.0.2: icmp_seq=1 ttl",
}


def holds(address: str, printed: str) -> bool:
    return bool(re.search(Assertion.model_validate({"from": "r1", "ping": address}).pattern, printed))


@pytest.mark.parametrize("kind", ANSWERED)
def test_an_answer(kind: str) -> None:
    assert holds("10.0.0.2", ANSWERED[kind])
    assert holds("r2", ANSWERED[kind]), "a name: any address may be its"
    assert not holds("10.0.0.3", ANSWERED[kind])


@pytest.mark.parametrize("kind", NOT_ANSWERED)
def test_no_answer(kind: str) -> None:
    assert not holds("10.0.0.2", NOT_ANSWERED[kind])


@pytest.mark.parametrize("asked", ["2001:db8::2", "2001:DB8:0::2", "2001:0db8:0000:0000:0000:0000:0000:0002"])
@pytest.mark.parametrize(
    "line", ["64 bytes from 2001:db8::2: icmp_seq=1 ttl=64", "16 bytes from 2001:db8::2, icmp_seq=0 hlim=64 time=1 ms"]
)
def test_an_address_of_ipv6_in_any_form(asked: str, line: str) -> None:
    assert holds(asked, f"{line}\n")
    assert not holds("2001:db8::1", f"{line}\n")
