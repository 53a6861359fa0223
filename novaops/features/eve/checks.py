"""eve: the page lets its admin in, no password that everybody knows does, and no port is open that was not asked for. Tried from here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from novaops.features.eve.observe import ObservedEve, after_reboot, before_reboot, observe
from novaops.features.eve.paths import ADDONS, CONFIGURED, DEFAULT_PASSWORD, SSHD
from novaops.features.eve.settings import Eve
from novaops.verify import applies

__all__ = ["after_reboot", "before_reboot", "entries", "observe"]


def entries(settings: Eve) -> Iterator[tuple[str, Eve]]:
    yield "EVE-NG", settings


def test_page(seen: ObservedEve) -> None:
    """Lets admin in with the password of the inventory"""
    assert not seen.page, f"the page should let admin in with the password of web_password, but it says: {seen.page}"


def test_default_web_password(seen: ObservedEve) -> None:
    """Does not let admin in with the password that everybody knows"""
    assert seen.default_web, f"the page should turn admin away with the password {DEFAULT_PASSWORD}, but it let him in"


def test_default_root_password(seen: ObservedEve) -> None:
    """Does not let root in with the password that everybody knows"""
    assert seen.default_root, f"sshd should turn root away with the password {DEFAULT_PASSWORD}, but it let him in"


def test_default_database_password(seen: ObservedEve) -> None:
    """Does not let anybody into its database with the password that everybody knows"""
    known = ", ".join(seen.inside.known)
    assert not known, f"the database should turn everybody away with its default password, but it let in {known}"


def test_root_login(seen: ObservedEve) -> None:
    """Has sshd treat root as before the packages came"""
    as_is = seen.wanted.root_login == "as-is"
    wanted = seen.inside.kept if as_is else seen.wanted.root_login
    found = seen.inside.root.replace("without-password", "prohibit-password")
    assert wanted, f"{SSHD} should say what PermitRootLogin was before the packages, but it does not"
    assert found == wanted, f"sshd should have PermitRootLogin {wanted}, but it has {found or 'nothing'}"


def test_services(seen: ObservedEve) -> None:
    """Has its web server and its database running"""
    stopped = [f"{unit} is {state or 'unknown'}" for unit, state in seen.inside.services.items() if state != "active"]
    assert not stopped, f"apache2 and mysql should be active, but {' and '.join(stopped)}"


def test_ports(seen: ObservedEve) -> None:
    """Has only those ports open that were asked for"""
    unasked = sorted(set(seen.open) - _asked_for(seen))
    assert not unasked, f"from {seen.here} only the ports that were asked for should be open, but so are {', '.join(map(str, unasked))}"


def _asked_for(seen: ObservedEve) -> set[int]:
    """The ports that are to be open to this machine."""
    return {one.port for one in seen.wanted.open if one.lets_in(seen.here)}


@applies(lambda wanted: bool(wanted.open))
def test_open_ports(seen: ObservedEve) -> None:
    """Has the ports open that were asked for"""
    if not (asked := _asked_for(seen)):
        pytest.skip(f"none was asked for from {seen.here}")
    closed = sorted(asked - set(seen.open))
    assert not closed, f"from {seen.here} these ports should be open, and they are not: {', '.join(map(str, closed))}"


def test_wizard(seen: ObservedEve) -> None:
    """Leaves the next login of root alone"""
    assert seen.inside.configured, f"{CONFIGURED} should be there, but it is not: the wizard would make new ssh host keys"


@applies(lambda wanted: wanted.data is not None)
def test_images_disk(seen: ObservedEve) -> None:
    """Has its disk for images mounted where nodes see it"""
    assert not seen.inside.is_link, f"{ADDONS} should be a mount point, but it is a link, which leads nowhere in the chroot of nodes"
    assert seen.inside.addons, f"the disk for images should be mounted at {ADDONS}, but nothing is"


@applies(lambda wanted: wanted.kernel == "eve")
def test_kernel(seen: ObservedEve) -> None:
    """Runs the kernel of EVE-NG"""
    if not seen.inside.newest:
        pytest.skip("there is no kernel of EVE-NG in /boot")
    assert seen.inside.kernel == seen.inside.newest, f"the kernel should be {seen.inside.newest}, but {seen.inside.kernel} runs"


@applies(lambda wanted: wanted.kernel == "eve")
def test_kernel_stays(seen: ObservedEve) -> None:
    """Boots that kernel by itself"""
    if not seen.inside.newest or not seen.inside.default:
        pytest.skip("there is no kernel of EVE-NG in /boot, or it is not GRUB that chooses")
    right = seen.inside.newest in seen.inside.default
    assert right, f"GRUB should boot {seen.inside.newest} by itself, but its default is {seen.inside.default}"


@applies(lambda wanted: wanted.network == "pnet0")
def test_bridge(seen: ObservedEve) -> None:
    """Is reached through the bridge pnet0"""
    assert seen.inside.way == "pnet0", f"the default route should lead through pnet0, but it leads through {seen.inside.way or 'nothing'}"
    assert seen.inside.has_member, "the network card should be in the bridge pnet0, but it is not"


def test_survives_reboot(seen: ObservedEve, rebooted: ObservedEve) -> None:
    """Is the same after a reboot"""
    before, after = seen.inside, rebooted.inside
    assert after == before, f"after the reboot the host should say the same of itself, but it says {after}"
    assert rebooted.open == seen.open, f"after the reboot the same ports should be open, but they are {rebooted.open}"
    assert not rebooted.page, f"after the reboot the page should let admin in, but it says: {rebooted.page}"
