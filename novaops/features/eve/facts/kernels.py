"""The kernels of a host: which one runs, which there are, and which one GRUB boots next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, quote, sh_file

TRIED = "/var/lib/novaops/eve-kernel"
"""The release of the kernel that was chosen for one boot, until it is known to work."""

ENTRIES = sh_file(__package__, "grub_entries.sh")


@dataclass(frozen=True)
class KernelFacts:
    running: str
    eve: str
    """The newest release in /boot with `eve` in its name; "" for none."""
    grub: bool
    """Whether GRUB chooses the kernel: its menu and its programs are there."""
    entry: str
    """The entry of `eve` in GRUB's menu; "" for none."""
    saved: str
    """The entry that is booted where none is chosen for one boot, with `by_saved`."""
    tried: str
    """The release that was chosen for one boot, and is not known to work; "" for none."""
    by_saved: bool
    """Whether GRUB's menu goes by the saved entry: not with GRUB_DEFAULT=0, which is usual."""


class Kernels(Singleton[KernelFacts]):
    family: ClassVar[str] = "eve-kernels"

    @classmethod
    def script_one(cls) -> str:
        return f"""\
{ENTRIES}
echo "running $(uname -r)"
eve=$(ls /boot | sed -n 's/^vmlinuz-\\([A-Za-z0-9.+~_-]*\\)$/\\1/p' | grep -e eve | sort -V | tail -n 1)
echo "eve $eve"
if [ -e /boot/grub/grub.cfg ] && command -v grub-reboot >/dev/null && command -v update-grub >/dev/null; then
  echo grub yes
  entries | while read -r release entry; do [ "$release" != "$eve" ] || echo "entry $entry"; done
  ! by_saved || echo by_saved
  echo "saved $(grub-editenv list 2>/dev/null | sed -n 's/^saved_entry=//p')"
fi
[ ! -e {quote(TRIED)} ] || echo "tried $(cat {quote(TRIED)})"
"""

    @classmethod
    def parse_one(cls, section: Section) -> KernelFacts | Missing:
        said = dict(line.partition(" ")[::2] for line in lines_of(section.stdout))
        if not said.get("running"):
            return Missing.UNKNOWN
        texts = {key: said.get(key, "") for key in ("running", "eve", "entry", "saved", "tried")}
        return KernelFacts(**texts, grub="grub" in said, by_saved="by_saved" in said)
