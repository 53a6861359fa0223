"""Whether /dev/kvm runs a guest's instructions in time: proven by a guest of one loop. Some modules emulate each instruction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of

ITERATIONS = 5_000_000
"""Measured on two cores: a KVM that emulates each instruction needs 1.2 µs for a round, so six seconds for all. Twice as many took
0.56 s under KVM inside a VM that is itself emulated, and 0.18 s under qemu's software emulation."""

SECONDS = 2
"""How long the loop may take."""

_LOOP = bytes.fromhex("66b9") + ITERATIONS.to_bytes(4, "little") + bytes.fromhex("6649 75fc")
"""Real mode: mov ecx, ITERATIONS; again: dec ecx; jnz again."""

GUEST = _LOOP + bytes.fromhex("f4")
"""It ends with hlt."""

_END = bytes.fromhex("b02a e6f4 f4 ebfd")
"""mov al, 42; out 0xf4, al; and hlt for ever where nothing listens on that port."""

_RESET = bytes.fromhex("ea000000f0")
"""jmp f000:0000, at the processor's first address. Old Intel processors emulate all that comes before a far jump."""

_CODE = _LOOP + _END
FIRMWARE = _CODE.ljust(0xFFF0, b"\0") + _RESET.ljust(16, b"\0")
"""The same loop as a firmware of 64 KiB for qemu."""

FIRMWARE_STATUS = 42 << 1 | 1
"""What qemu's isa-debug-exit makes of the 42."""

_WHOLE_S = 4
"""For the program that runs the guest, its own start included."""

_PERL = f"""\
$| = 1; $SIG{{ALRM}} = sub {{ }};
sub bad {{ print "failed\\t$_[0]: $!\\n"; exit }}
sub now {{ my $t = "\\0" x 16; syscall(228, 1, $t); my ($s, $n) = unpack "q2", $t; $s + $n / 1e9 }}
open(my $kvm, "+<", "/dev/kvm") or ($!{{EACCES}} ? print "unproven\\tthis login may not open /dev/kvm\\n" : bad("open")) && exit;
my $fd = ioctl($kvm, 0xAE01, 0) or bad("KVM_CREATE_VM"); open(my $vm, "+<&=", $fd + 0) or bad("KVM_CREATE_VM");
ioctl($vm, 0xAE47, 0x10000000); # KVM_SET_TSS_ADDR: Intel processors without unrestricted guests want it
my $memory = "\\0" x 8192; my $start = unpack "J", pack "P", $memory; my $page = ($start + 4095) & ~4095;
substr($memory, $page - $start, {len(GUEST)}) = pack "H*", "{GUEST.hex()}";
defined ioctl($vm, 0x4020AE46, my $slot = pack "L2 Q3", 0, 0, 0, 4096, $page) or bad("KVM_SET_USER_MEMORY_REGION");
$fd = ioctl($vm, 0xAE41, 0) or bad("KVM_CREATE_VCPU"); open(my $cpu, "+<&=", $fd + 0) or bad("KVM_CREATE_VCPU");
my $size = ioctl($kvm, 0xAE04, 0) or bad("KVM_GET_VCPU_MMAP_SIZE");
my $run = syscall(9, 0, $size + 0, 3, 1, $fd + 0, 0); $run != -1 or bad("mmap");
defined ioctl($cpu, 0x8138AE83, my $special = "\\0" x 312) or bad("KVM_GET_SREGS");
substr($special, 0, 8) = "\\0" x 8; substr($special, 12, 2) = "\\0\\0"; # the code segment begins at 0
defined ioctl($cpu, 0x4138AE84, $special) or bad("KVM_SET_SREGS");
defined ioctl($cpu, 0x4090AE82, my $registers = pack "Q18", (0) x 17, 2) or bad("KVM_SET_REGS");
print "running\\n"; my $began = now(); alarm {SECONDS};
my $status = ioctl($cpu, 0xAE80, 0); my $seconds = now() - $began;
if (!defined $status) {{ $!{{EINTR}} ? print("slow\\n") : bad("KVM_RUN"); exit }}
ioctl($cpu, 0x8090AE81, $registers); my ($count, $at) = (unpack "Q18", $registers)[2, 16];
my $why = unpack "L", unpack "P4", pack "J", $run + 8;
$why == 5 && $count == 0 && $at == {len(GUEST)} ? printf("ran\\t%.6f\\n", $seconds) : print "failed\\tKVM_RUN ended with exit reason $why\\n";
"""

_PYTHON = f"""\
import array, errno, fcntl, mmap, os, signal, struct, sys, time
def say(*words):
    os.write(1, "\\t".join(words).encode() + b"\\n")
def slow(*_):
    say("slow")
    os._exit(0)
signal.signal(signal.SIGALRM, slow)
doing = "open"
try:
    kvm = os.open("/dev/kvm", os.O_RDWR)
    doing = "KVM_CREATE_VM"
    vm = fcntl.ioctl(kvm, 0xAE01, 0)
    try:
        fcntl.ioctl(vm, 0xAE47, 0x10000000)
    except OSError:
        pass
    doing = "KVM_SET_USER_MEMORY_REGION"
    guest = bytes.fromhex("{GUEST.hex()}")
    memory = array.array("B", bytes(8192))
    start = memory.buffer_info()[0]
    page = (start + 4095) & ~4095
    memory[page - start:page - start + len(guest)] = array.array("B", guest)
    fcntl.ioctl(vm, 0x4020AE46, struct.pack("=2L3Q", 0, 0, 0, 4096, page))
    doing = "KVM_CREATE_VCPU"
    cpu = fcntl.ioctl(vm, 0xAE41, 0)
    run = mmap.mmap(cpu, fcntl.ioctl(kvm, 0xAE04, 0))
    doing = "KVM_SET_SREGS"
    special = bytearray(312)
    fcntl.ioctl(cpu, 0x8138AE83, special)
    special[0:8], special[12:14] = bytes(8), bytes(2)
    fcntl.ioctl(cpu, 0x4138AE84, bytes(special))
    doing = "KVM_SET_REGS"
    registers = bytearray(struct.pack("=18Q", *[0] * 17, 2))
    fcntl.ioctl(cpu, 0x4090AE82, bytes(registers))
    doing = "KVM_RUN"
    say("running")
    began = time.monotonic()
    signal.alarm({SECONDS})
    fcntl.ioctl(cpu, 0xAE80, 0)
    seconds = time.monotonic() - began
    signal.alarm(0)
    fcntl.ioctl(cpu, 0x8090AE81, registers)
    values = struct.unpack("=18Q", registers)
    why = struct.unpack("=L", run[8:12])[0]
    if (why, values[2], values[16]) == (5, 0, len(guest)):
        say("ran", "%.6f" % seconds)
    else:
        say("failed", "KVM_RUN ended with exit reason %d" % why)
except OSError as error:
    if doing == "open" and error.errno == errno.EACCES:
        say("unproven", "this login may not open /dev/kvm")
    else:
        say("failed", doing + ": " + error.strerror)
"""

_QEMU = f"""\
{{ printf '{"".join(f"{chr(92)}{byte:03o}" for byte in _CODE)}'; head -c {0xFFF0 - len(_CODE)} /dev/zero
  printf '{"".join(f"{chr(92)}{byte:03o}" for byte in _RESET)}'; head -c {16 - len(_RESET)} /dev/zero; }} >"$folder/firmware"
"$qemu" --version >/dev/null 2>&1 # from the disk into memory, before the clock runs
echo running
read -r began rest </proc/uptime
timeout -s KILL {SECONDS} "$qemu" -nodefaults -no-user-config -no-reboot -display none -machine q35 -accel kvm -m 32 \\
  -bios "$folder/firmware" -device isa-debug-exit,iobase=0xf4,iosize=1 2>"$folder/words"
status=$?
read -r ended rest </proc/uptime
case $status in
  {FIRMWARE_STATUS}) awk -v began="$began" -v ended="$ended" 'BEGIN {{ printf "ran\\t%.6f\\n", ended - began }}' ;;
  124 | 137) echo slow ;;
  *) if grep -q 'Permission denied' "$folder/words"; then printf 'unproven\\tthis login may not open /dev/kvm\\n'
    else printf 'failed\\tqemu ended with status %s: %s\\n' "$status" "$(head -n 1 "$folder/words")"; fi ;;
esac
"""


@dataclass(frozen=True)
class Ran:
    """How the loop ended."""

    outcome: Literal["fast", "slow", "failed", "unproven"]
    """slow: not within SECONDS. failed: KVM could not run it. unproven: there is nothing to run it with, or it is not allowed."""
    seconds: float = 0
    """How long it took, where it came to its end."""
    why: str = ""


class GuestRun(Singleton[Ran]):
    """ABSENT where /dev/kvm is no character device. Costs up to five seconds where KVM is bad: for `host check` and `host facts`."""

    family: ClassVar[str] = "guest-run"

    @classmethod
    def script_one(cls) -> str:
        """A program stuck in KVM_RUN may not die of SIGKILL: it is left alone after a while, and nothing here waits for its end."""
        return f"""\
unproven() {{ printf 'unproven\\t%s\\n' "$1"; exit; }}
[ -c /dev/kvm ] || {{ echo absent; exit; }}
[ "$(uname -m)" = x86_64 ] || unproven 'novaops has a test guest for x86_64 only'
command -v timeout >/dev/null || unproven 'there is no timeout to end a test guest with'
tool= qemu=
for one in perl python3 qemu-system-x86_64 qemu-kvm /usr/libexec/qemu-kvm; do
  ! command -v "$one" >/dev/null || {{ tool=$one; break; }}
done
[ -n "$tool" ] || unproven 'there is no perl, python3 or qemu to run a test guest with'
folder=$(mktemp -d) || unproven 'there is no room for a temporary file'
trap 'rm -rf "$folder"' EXIT
with_perl() {{ timeout -s KILL {_WHOLE_S} perl -e '{_quoted(_PERL)}'; }}
with_python() {{ timeout -s KILL {_WHOLE_S} python3 -c '{_quoted(_PYTHON)}'; }}
with_qemu() {{
{_QEMU}}}
(
  case $tool in
    perl) with_perl ;;
    python3) with_python ;;
    *) qemu=$tool; with_qemu ;;
  esac >"$folder/said" 2>/dev/null
  : >"$folder/ended"
) </dev/null >/dev/null 2>&1 &
tries=0
until [ -e "$folder/ended" ] || [ $tries -ge {(_WHOLE_S + 1) * 10} ]; do tries=$((tries + 1)); sleep 0.1; done
cat "$folder/said"
"""

    @classmethod
    def parse_one(cls, section: Section) -> Ran | Missing:
        return _answer(lines_of(section.stdout))


def _answer(lines: Sequence[str]) -> Ran | Missing:
    match lines[-1].split("\t") if lines else []:
        case ["absent"]:
            return Missing.ABSENT
        case ["ran", seconds]:
            return Ran("fast" if float(seconds) <= SECONDS else "slow", float(seconds))
        case ["slow"] | ["running"]:  # the second was killed before it could say more
            return Ran("slow")
        case ["failed", why]:
            return Ran("failed", why=why)
        case ["unproven", why]:
            return Ran("unproven", why=why)
    return Ran("unproven", why="the test guest's program did not come to its beginning")


def _quoted(text: str) -> str:
    """For the inside of single quotes of sh."""
    return text.replace("'", "'\\''")
