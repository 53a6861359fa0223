"""eve: EVE-NG, installed so that nobody is locked out and no password that everybody knows is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from novaops.engine.desired import HostView, Peers
from novaops.engine.secret_source import resolve
from novaops.errors import Refused
from novaops.features.disk.entry import entry_resources
from novaops.features.disk.resources.filesystem import MAKERS
from novaops.features.eve.editions import packages
from novaops.features.eve.paths import CONFIGURED, KEYRING, RULES
from novaops.features.eve.resources.admin import AdminPassword, hash_of
from novaops.features.eve.resources.after_install import AfterInstall
from novaops.features.eve.resources.database import DatabasePasswords
from novaops.features.eve.resources.host import EveHost
from novaops.features.eve.resources.hostname import Hostname
from novaops.features.eve.resources.kernel import EveKernel
from novaops.features.eve.resources.management import ManagementBridge
from novaops.features.eve.resources.packages import EvePackages
from novaops.features.eve.resources.page import PageAnswers
from novaops.features.eve.resources.ports import Ports, is_eves
from novaops.features.eve.resources.repository import PinnedKey, Sources
from novaops.features.eve.resources.root_login import RootLogin
from novaops.features.eve.resources.root_password import RootPassword
from novaops.features.eve.resources.time_servers import TimeServers
from novaops.features.eve.settings import DataDisk, Eve, Settings
from novaops.formats.passwords import weakness
from novaops.model.plan import Resource
from novaops.resources.directory import Directory
from novaops.resources.file import File
from novaops.resources.open_port import OpenPort
from novaops.resources.package import Package
from novaops.resources.unit import Unit
from novaops.secret import Secret

__all__ = ["Settings", "desired", "prepare"]

SERVICES = ("apache2.service", "mysql.service")


@dataclass(frozen=True)
class Resolved:
    """The section with its password."""

    settings: Eve
    admin: Secret


def prepare(host: HostView, settings: Eve) -> Resolved:
    """Read the password of admin. Raises UsageError, or Refused for one that is too weak."""
    del host
    admin = resolve(settings.web_password)
    if weak := weakness(admin.reveal(), "admin"):
        raise Refused(f"the password of EVE-NG's admin {weak}", fix="choose a longer one, such as: openssl rand -base64 15")
    return Resolved(settings, admin)


def desired(host: HostView, resolved: Resolved, peers: Peers) -> Iterator[Resource]:
    """What can refuse comes before the packages, and so does what keeps them from opening anything."""
    del host, peers
    settings, admin = resolved.settings, hash_of(resolved.admin)
    repository = settings.repository
    names = (repository.package,) if repository.package else packages()
    opened = tuple((one.port, one.addresses) for one in settings.open)

    yield EveHost(names, settings.nested == "required", settings.room * 1024**3, settings.release)
    if settings.data:
        yield from _disk(settings.data)
    yield from (Package(name, settings.lock_wait) for name in ("nftables", "curl"))
    yield from (Directory(path.rpartition("/")[0]) for path in (RULES, KEYRING))
    yield RootLogin(settings.root_login)
    yield RootPassword()
    yield Ports("closed", names)
    yield PinnedKey(repository.key, repository.fingerprint)
    yield Sources(repository.url, repository.suite, repository.component)
    yield Directory(CONFIGURED.rpartition("/")[0])
    yield File(CONFIGURED, "")
    yield EvePackages(names, repository.package, settings.lock_wait)

    yield from (AfterInstall(Unit(name), names) for name in SERVICES)
    yield AfterInstall(AdminPassword(admin), names)
    yield AfterInstall(DatabasePasswords(), names)
    if settings.hostname:
        yield AfterInstall(Hostname(settings.hostname, settings.domain or ""), names)
    if settings.ntp:
        yield TimeServers(settings.ntp)
    if settings.network == "pnet0":
        yield AfterInstall(ManagementBridge(), names, refuses_before=True)
    yield AfterInstall(PageAnswers(), names)
    yield Ports("opened", names, opened, admin)
    yield from (AfterInstall(OpenPort(port), names) for port, networks in dict(opened).items() if is_eves(port) or not networks)
    if settings.kernel == "eve":
        yield AfterInstall(EveKernel(settings.reboot, settings.retry_kernel), names)


def _disk(data: DataDisk) -> Iterator[Resource]:
    if data.filesystem != "ext4":
        yield Package(MAKERS[data.filesystem])
    yield from entry_resources(data)
