"""A reboot within one command, and the kernel to fall back to, on a container.

A container has no kernel of its own. So a unit does at its boot what GRUB does at that of a machine: it takes the entry that was
chosen for one boot, forgets it, and `uname` says that release. The programs of GRUB are Debian's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Done, Novaops
from tests.support.things import write_inventory

OLD, NEW = "6.1.0-cloud", "99.1.1-eve"

PLAYBOOK = """\
from novaops.features.eve.resources import kernel
from novaops.features.eve.resources.kernel import EveKernel

Settings = dict[str, bool]


def desired(host, settings, peers):
    kernel.MINUTES = 0.1 if settings.get("soon") else kernel.MINUTES
    yield EveKernel(settings.get("reboot", True), settings.get("retry", False))
"""

HEADER = """\
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
else
   set default="%s"
fi
"""

GRUB = HEADER % "0" + "".join(
    f"menuentry '{release}' $menuentry_id_option 'gnulinux-{release}' {{\n\tlinux /boot/vmlinuz-{release} ro\n}}\n"
    for release in (NEW, OLD)
)

LOADER = f"""\
#!/bin/sh
# A panic of the new kernel ends in a second boot, in which nothing is chosen any more.
value() {{ grub-editenv list | sed -n "s/^$1=gnulinux-//p"; }}
release=$(value next_entry); grub-editenv - unset next_entry
grep -q saved_entry /boot/grub/grub.cfg && saved=$(value saved_entry) || saved={NEW}
[ "$release" ] && [ ! -e /etc/panic ] || release=$saved
echo "${{release:-{OLD}}}" >/etc/kernel-now; cat /etc/kernel-now >>/etc/booted
"""

UNIT = """\
[Unit]
DefaultDependencies=no
After=local-fs.target systemd-remount-fs.service
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/loader
[Install]
WantedBy=sysinit.target
"""

UNAME = """\
#!/bin/sh
[ "$*" != -r ] || exec cat /etc/kernel-now
exec /usr/bin/uname "$@"
"""

UPDATE_GRUB = """\
#!/bin/sh
# Of what Debian's makes, only the default: where the settings say that it is the saved entry, it is.
for file in /etc/default/grub.d/*.cfg; do [ ! -e "$file" ] || . "$file"; done
[ "$GRUB_DEFAULT" != saved ] || GRUB_DEFAULT='${saved_entry}'
sed -i "s/default=\\"[^n]*\\"/default=\\"${GRUB_DEFAULT:-0}\\"/" /boot/grub/grub.cfg
"""

NO_LOGIN = f"""\
[Service]
ExecCondition=/bin/sh -c '[ ! -e /etc/no-login ] || [ "$(cat /etc/kernel-now)" != {NEW} ]'
"""
"""With /etc/no-login the new kernel comes up, and its sshd does not."""

FILES = {
    "/boot/grub/grub.cfg": GRUB,
    f"/boot/vmlinuz-{OLD}": "",
    f"/boot/vmlinuz-{NEW}": "",
    "/usr/local/sbin/loader": LOADER,
    "/usr/local/sbin/uname": UNAME,
    "/usr/local/sbin/update-grub": UPDATE_GRUB,
    "/etc/systemd/system/loader.service": UNIT,
    "/etc/kernel-now": f"{OLD}\n",
    "/etc/systemd/system/ssh.service.d/no-login.conf": NO_LOGIN,
}

ENVIRONMENT = (
    "grub-editenv list | sort; [ ! -e /var/lib/novaops/eve-kernel ] || echo tried; systemctl is-enabled novaops-eve-kernel || true"
)

Apply = Callable[..., Done]


def boot(host: LabHost) -> str:
    return host.run("cat /proc/sys/kernel/random/boot_id")


@pytest.fixture(scope="module")
def _made(lab: Lab) -> Iterator[LabHost]:
    host = lab.up("kernel", "container")
    try:
        yield host
    finally:
        lab.down(host.name)


@pytest.fixture
def host(lab: Lab, _made: LabHost) -> LabHost:
    lab.reset(_made.name)
    _made.run(
        "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends grub2-common grub-common",
        timeout_s=300,
    )
    _made.run("mkdir -p /boot/grub /etc/default/grub.d && grub-editenv create")
    for path, text in FILES.items():
        _made.run(f"mkdir -p {path.rpartition('/')[0]}; cat >{path} <<'END'\n{text}END\n")
    _made.run("chmod 755 /usr/local/sbin/*; systemctl enable --quiet loader.service")
    return _made


@pytest.fixture
def apply(host: LabHost, novaops: Novaops, tmp_path: Path) -> Apply:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/kernel.py").write_text(PLAYBOOK)

    def run(verb: str = "apply", **settings: bool) -> Done:
        return novaops(verb, "--json", inventory=write_inventory(tmp_path, host, kernel=settings), timeout=400)

    return run


def test_one_that_runs_already_becomes_the_default(host: LabHost, apply: Apply) -> None:
    """It was the first of GRUB's menu. A newer one of Ubuntu's would be booted the next time."""
    host.run(f"echo {NEW} >/etc/kernel-now; echo GRUB_DEFAULT=0 >/etc/default/grub.d/zz.cfg")
    done = apply()
    assert (done.code, done.host["status"]) == (1, "failed"), done.text
    assert "a later file of /etc/default/grub.d sets GRUB_DEFAULT" in done.text
    host.run("rm /etc/default/grub.d/zz.cfg")
    done = apply()
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert host.run("grep -c saved_entry /boot/grub/grub.cfg").strip() == "1"
    assert host.run("grub-editenv list").split() == [f"saved_entry=gnulinux-{NEW}"]
    again = apply()
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text


@pytest.mark.long
def test_the_new_kernel_is_booted_in_one_command_and_stays(host: LabHost, apply: Apply) -> None:
    waits = apply(reboot=False)
    assert (waits.code, waits.host["status"]) == (0, "unchanged"), waits.text
    assert "a reboot is needed" in waits.text
    before = boot(host)
    done = apply()
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert boot(host) != before
    assert host.run("uname -r").strip() == NEW
    assert host.run(ENVIRONMENT).split() == [f"saved_entry=gnulinux-{NEW}", "disabled"]
    again = apply()
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text


@pytest.mark.long
def test_one_that_does_not_come_up_is_left_and_said(host: LabHost, apply: Apply) -> None:
    host.run("touch /etc/panic")
    done = apply()
    assert done.code == 1, done.text
    assert f"the kernel {NEW} was booted, and nobody could log in on it: the host is back on {OLD}" in done.text
    assert host.run("uname -r").strip() == OLD
    assert host.run(ENVIRONMENT).split() == [f"saved_entry=gnulinux-{OLD}", "tried", "enabled"]
    before = boot(host)
    assert apply().code == 1
    assert boot(host) == before
    host.run("rm /etc/panic")
    assert apply(retry=True).code == 0
    assert host.run("uname -r").strip() == NEW


@pytest.mark.long
def test_one_on_which_nobody_can_log_in_gives_way_by_itself(host: LabHost, apply: Apply) -> None:
    host.run("touch /etc/no-login; systemctl daemon-reload")
    done = apply(soon=True)
    assert done.code == 1, done.text
    assert f"the kernel {NEW} was booted, and nobody could log in on it: the host is back on {OLD}" in done.text
    assert host.run("uname -r").strip() == OLD
    assert host.run("cat /etc/booted").split() == [NEW, OLD]
    host.run("rm /etc/no-login")
    assert apply(retry=True).code == 0
    assert host.run("uname -r").strip() == NEW
