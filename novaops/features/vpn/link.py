"""What an entry of `vpn:` for a link asks of its host; the profile is read and examined here, on the operator's machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from errno import EACCES
from pathlib import Path

from novaops.engine.desired import HostView
from novaops.engine.secret_source import resolve
from novaops.errors import Refused, UsageError
from novaops.facts.nearby import PROTOCOL
from novaops.features.vpn.configuration import SecretFiles, configuration
from novaops.features.vpn.credentials import checked_login, proxy_file
from novaops.features.vpn.findings import Examined, Given
from novaops.features.vpn.lint import examine
from novaops.features.vpn.paths import LINKS, UNITS, LinkPaths
from novaops.features.vpn.profile import Profile, ProfileError
from novaops.features.vpn.resources.link import VpnLink
from novaops.features.vpn.settings import Link
from novaops.model.plan import Resource
from novaops.resources.directory import Directory
from novaops.resources.package import Package
from novaops.secret import Secret

EVERY = 20
"""Seconds after which the names are resolved again."""

PAUSE = 900
"""Seconds to the next try after the server has turned user and password down."""

_REPORTED = ("mended", "left out", "warning")


def resources(link: VpnLink) -> Iterator[Resource]:
    """What a host needs for the link, and the link."""
    yield from (Package("ca-certificates"), Package("curl", command="curl"), Package("openvpn"))
    yield from (Directory("/etc/novaops"), Directory(LINKS), Directory(LinkPaths(link.name).drop_ins))
    yield link


def read_profile(file: Path) -> Profile:
    """The profile, with the files beside it as blocks. Raises UsageError."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"the profile {file} cannot be read", why=error.strerror or str(error)) from None
    try:
        return Profile.read(content).filled(lambda name: _beside(file.parent, name))
    except ProfileError as error:
        where = f"{file}:{error.line}" if error.line else str(file)
        raise UsageError(f"the profile {file.name} cannot be used: {error}", why=where) from None


def _beside(folder: Path, name: str) -> bytes:
    """A file in or below the profile's folder: no profile may send other files of this machine anywhere. Raises OSError."""
    found = (folder / name).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise PermissionError(EACCES, "it is not in the profile's folder: move it there")
    return found.read_bytes()


def password_files(profile: Profile, folder: Path) -> dict[str, bytes | str]:
    """The files beside a profile that hold users and passwords, by their names: the content, or why one cannot be read."""
    options = [*profile.all("auth-user-pass", "askpass"), *profile.all("http-proxy", "socks-proxy")]
    named = [proxy_file(option) if option.name.endswith("-proxy") else option.parameter for option in options if option.block is None]
    found: dict[str, bytes | str] = {}
    for name in {*named} - {"", "[inline]"}:
        try:
            found[name] = _beside(folder, name)
        except OSError as error:
            found[name] = error.strerror or str(error)
    return found


def lint_file(file: Path) -> Examined:
    """What `vpn lint` says of a profile. Raises UsageError."""
    profile = read_profile(file)
    found = examine(profile, Given(int(time.time()), later=True), password_files(profile, file.parent))
    _check_writable(found)
    return found


def _check_writable(found: Examined) -> None:
    """Raises UsageError where an option fits in no line of a configuration."""
    try:
        configuration(found, head=(), device="tun", address="true", up="true")
    except ValueError as error:
        raise UsageError("the profile cannot be used", why=str(error)) from None


def link_of(entry: Link, host: HostView) -> VpnLink:
    """The link of an entry, from its profile and its passwords. Raises UsageError, and Refused where no link can come of the profile."""
    assert entry.profile is not None
    file = Path(host.folder, Path(entry.profile).expanduser())
    profile = read_profile(file)
    login = _login(entry)
    key_password = resolve(entry.key_password) if entry.key_password else None
    given = Given(int(time.time()), user=login is not None, key_password=key_password)
    found = examine(profile, given, password_files(profile, file.parent))
    if found.refusals:
        first, *others = found.refusals
        more = "".join(f"\n{_where(file, other.line)}: {other.what}" for other in others)
        raise Refused(f"{entry.name}: {_where(file, first.line)}: {first.what}{more}", fix=first.fix)
    _check_writable(found)
    login = (login or found.login) if found.wants_login else None
    opens = (key_password or found.key_password) if found.encrypted else None
    paths = LinkPaths(entry.name)
    return VpnLink(
        *(entry.name, entry.device),
        contents=_contents(entry, host, found, login, opens),
        modes=dict.fromkeys(paths.started_with[:4], "0600") | {paths.script: "0755"},
        networks=entry.networks,
        servers=tuple(dict.fromkeys(server for server, _, _ in profile.remotes)),
        said=tuple(
            f"{_where(file, finding.line)}: {finding.option}{' left out' if finding.weight == 'left out' else ''}: {finding.what}"
            for finding in found.findings
            if finding.weight in _REPORTED
        ),
    )


def _where(file: Path, line: int) -> str:
    return f"{file.name}:{line}" if line else file.name


def _login(entry: Link) -> tuple[str, Secret] | None:
    if entry.user is None or entry.password is None:
        return None
    try:
        return checked_login(entry.user, resolve(entry.password))
    except ValueError as error:
        raise UsageError(f"{entry.name}: user and password cannot be used: {error}") from None


def _contents(
    entry: Link, host: HostView, found: Examined, login: tuple[str, Secret] | None, opens: Secret | None
) -> dict[str, str | Secret | None]:
    """The content of each file, by its path; None for one that is not needed. `opens` is the private key's password."""
    paths = LinkPaths(entry.name)
    conf, auth, key_password, proxy, drop_in, routes = paths.started_with
    values = {"name": entry.name, "protocol": PROTOCOL, "every": EVERY, "pause": PAUSE}
    templates = {
        drop_in: "drop-in.conf",
        paths.script: "link.sh",
        f"{UNITS}/{paths.routes_service}": "routes.service",
        f"{UNITS}/{paths.routes_timer}": "routes.timer",
        f"{UNITS}/{paths.hold}": "hold.service",
    }
    return {
        conf: configuration(
            found,
            head=("managed by novaops: novaops vpn up writes it anew",),
            device=entry.device,
            address=f"/bin/sh {paths.script} {entry.name} address",
            up=f"/usr/bin/systemctl --no-block restart {paths.routes_service}",
            files=SecretFiles(auth if login else "", key_password if opens else "", proxy if found.proxy_login else ""),
            persist=entry.when_down == "unreachable",
        ),
        auth: _two_lines(login),
        proxy: _two_lines(found.proxy_login),
        key_password: None if opens is None else Secret(f"{opens.reveal()}\n"),
        routes: _routes(entry, found),
        **{path: str(host.templates.render(f"vpn/{template}.j2", **values)) for path, template in templates.items()},
    }


def _two_lines(login: tuple[str, Secret] | None) -> Secret | None:
    """A file with a user and a password, as OpenVPN reads it."""
    return None if login is None else Secret(f"{login[0]}\n{login[1].reveal()}\n")


def _routes(entry: Link, found: Examined) -> str:
    """The settings that the host's script reads."""
    lines = [
        "# managed by novaops",
        f"device {entry.device}",
        f"keep {entry.keep * 3600}",
        f"when_down {entry.when_down}",
        f"check {entry.url}",
        *(f"server {' '.join(remote)}" for remote in Profile(tuple(found.kept)).remotes),
        *(f"name {name}" for name in entry.hosts),
        *(f"network {network}" for network in entry.networks),
    ]
    return "".join(f"{line}\n" for line in lines)
