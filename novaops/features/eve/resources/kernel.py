"""The kernel of EVE-NG: booted once, and for good only when novaops has logged in on it. Else the host boots the other one again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed
from novaops.facts.file import FileAt
from novaops.features.eve.facts.kernels import ENTRIES, TRIED, KernelFacts, Kernels
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.resources.file import File
from novaops.shell import quote, sh_file

GRUB = "/etc/default/grub.d/99-novaops-eve.cfg"
UNIT = "novaops-eve-kernel.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"

MINUTES = 10
"""How long a host waits on its new kernel for novaops. Without it, it boots the old one again."""

_GRUB = """\
# managed by novaops (novaops eve install)
GRUB_DEFAULT=saved
GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT panic=30"
"""
"""After a panic the host boots again, and GRUB has forgotten what was chosen for one boot."""

_BOOT_ONCE = f"{ENTRIES}{sh_file(__package__, 'boot_once.sh')}"

_FORGET = 'grub-editenv - unset next_entry; systemctl disable --quiet --now "$2"; rm -f -- "$1"'

_KEEP = f"{ENTRIES}{sh_file(__package__, 'keep_kernel.sh')}"


@dataclass(frozen=True)
class EveKernel(Resource):
    reboot: bool
    """Whether the host may be rebooted."""
    retry: bool
    """Whether one that did not come up before is booted again."""

    @property
    def id(self) -> str:
        return "eve:kernel"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Kernels(), FileAt(GRUB), FileAt(UNIT_FILE))

    def plan(self, facts: Facts) -> Iterator[Step]:
        found = facts.known(Kernels())
        if not found.eve:
            return
        if found.running == found.eve:
            yield from self._keep(found, facts)
        elif self.reboot and found.grub and (self.retry or found.tried != found.eve):
            yield self._boot(found, facts)

    def verify_works(self, facts: Facts) -> None:
        """Not refused beforehand: the rest of the plan must not wait for a kernel."""
        found = facts.known(Kernels())
        if not found.eve or found.running == found.eve:
            return
        if not found.grub:
            raise HostFailed(
                f"the host runs {found.running}, and not {found.eve}, and it is not GRUB that chooses",
                fix="choose the kernel at the provider, or write kernel: as-is",
            )
        if found.tried == found.eve:
            raise HostFailed(
                f"the kernel {found.eve} was booted, and nobody could log in on it: the host is back on {found.running}",
                why=f"It was booted once. After a panic, or {MINUTES} minutes without a login of novaops, the old one is booted again.",
                fix="look at the host's serial console and at journalctl -b -1 there; then --retry-kernel, or --kernel as-is to stay",
            )

    def notes(self, facts: Facts) -> Iterable[str]:
        found = facts.known(Kernels())
        if not found.eve:
            yield "there is no kernel of EVE-NG in /boot: the host stays on its own"
        elif found.running != found.eve and not self.reboot:
            yield f"a reboot is needed: the host runs {found.running}, and not {found.eve}. Run it again without --no-reboot"

    def _keep(self, found: KernelFacts, facts: Facts) -> Iterator[Step]:
        if not found.grub or not found.entry or (found.saved == found.entry and found.by_saved and not found.tried):
            return
        undo = Command(
            ("grub-set-default", found.saved or "0"), holds=f"! grub-editenv list | grep -qxF {quote(f'saved_entry={found.entry}')}"
        )
        words = ("sh", "-c", _KEEP, "keep-kernel", TRIED, UNIT, found.entry, "" if found.by_saved else "update")
        files = () if found.by_saved else _written(File(GRUB, _GRUB), facts)
        before = found.saved if found.by_saved else "what GRUB has first"
        yield Step(self.id, (Change("default", before or None, found.eve),), (*files, Command(words, undo=undo)))

    def _boot(self, found: KernelFacts, facts: Facts) -> Step:
        files = [*_written(File(GRUB, _GRUB), facts), *_written(File(UNIT_FILE, _unit(found.eve)), facts)]
        undo = Command(("sh", "-c", _FORGET, "forget-kernel", TRIED, UNIT), holds=f"[ ! -e {quote(TRIED)} ]")
        once = Command(("sh", "-c", _BOOT_ONCE, "boot-once", found.eve, found.running, TRIED, UNIT), undo=undo)
        changes = (
            Change("kernel", found.running, found.eve),
            Change("reboot", None, f"into it; {found.running} is booted again if it does not come up"),
        )
        return Step(f"{self.id}-boot", changes, (*files, once), cannot_undo="the reboot", reboots=True)


def _written(file: File, facts: Facts) -> list[Action]:
    return [action for step in file.plan(facts) for action in step.actions]


def _unit(release: str) -> str:
    """For the first boot of that kernel."""
    return f"""\
# managed by novaops (novaops eve install)
[Unit]
Description=The kernel {release} is booted for the first time: without a login of novaops the other one is booted again
ConditionPathExists={TRIED}

[Service]
ExecStart=/bin/sh -c '[ "$(uname -r)" = {release} ] || exit 0; sleep {MINUTES * 60}; exec systemctl reboot'

[Install]
WantedBy=multi-user.target
"""
