"""An EVE-NG host as it is, for people and for machines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from novaops.errors import HostFailed, NovaopsError
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.eve.editions import Edition, edition_of
from novaops.features.eve.facts.database import Database, DatabaseFacts
from novaops.features.eve.facts.images import Image, ImagesThere
from novaops.features.eve.facts.installation import EveInstallation, Installation
from novaops.features.eve.facts.site import EveSite, EveSiteAt
from novaops.features.eve.image_status import trouble
from novaops.formats.size import human
from novaops.model.finding import Finding
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote

PAGE = "apache2"
DATABASES = ("mysql", "mariadb")
"""Names of one service: which of them depends on the release."""
OTHERS = ("guacd", "tomcat9", "tomcat10", "docker")
"""Consoles in the browser and nodes in containers. Not every EVE-NG has them."""

LITTLE = 0.1
"""The part of a disk that is little room."""


@dataclass(frozen=True)
class Web:
    """What the API says. None, and empty: it was not asked, or did not say."""

    version: str = ""
    running: int | None = None
    """Nodes that run."""
    templates: Mapping[str, bool] | None = None
    """By name whether it has an image."""
    default_password: bool | None = None
    """Whether the user admin still has the one that the packages set."""
    trouble: NovaopsError | None = None
    """Why it says no more."""


NO_PASSWORD = NovaopsError(
    "nothing was asked of the API: no password is known for it",
    fix="--web-password env:NAME, or the password in the section eve of the host",
)
"""The only trouble that is none of EVE-NG's."""


@dataclass(frozen=True)
class EveHost:
    site: EveSite
    installation: Installation
    images: tuple[Image, ...]
    database: DatabaseFacts | None
    """None: it does not answer."""
    units: Mapping[str, UnitFacts]
    """The services that are there, by name. Empty: systemd could not be asked."""

    @property
    def edition(self) -> Edition | None:
        return edition_of(self.site.package, self.site.version)


def questions() -> tuple[Question[Any], ...]:
    return EveSiteAt(), EveInstallation(), ImagesThere(), Database(), *(UnitNamed(name) for name in (PAGE, *DATABASES, *OTHERS))


def eve_host(facts: Facts) -> EveHost | None:
    """None where EVE-NG is not installed. Raises HostFailed where the host does not say."""
    site = facts.known(EveSiteAt())
    if not site.package:
        return None
    images, database = facts[ImagesThere()], facts[Database()]
    units = {name: unit for name in (PAGE, *DATABASES, *OTHERS) if (unit := _unit(facts, name))}
    return EveHost(
        site,
        facts.known(EveInstallation()),
        () if images is Missing.ABSENT else images.images,
        None if database is Missing.ABSENT else database,
        units,
    )


def _unit(facts: Facts, name: str) -> UnitFacts | None:
    try:
        found = facts[UnitNamed(name)]
    except HostFailed:
        return None
    return None if found is Missing.ABSENT else found


NOT_INSTALLED = Finding("edition", "problem", "EVE-NG is not installed", "novaops eve check HOST, and then novaops eve install HOST")


def judge(host: EveHost, web: Web) -> Iterator[Finding]:
    """A problem is what keeps labs from running, or lets others in."""
    yield _edition(host, web)
    yield from _passwords(host, web)
    yield from _wizard(host)
    yield from _kernel(host)
    yield from _services(host)
    yield _images(host)
    yield from _templates(host, web)
    yield _disk(host)
    yield from _nodes(host, web)
    if web.trouble is not None:
        text = f"{web.trouble.what}. {web.trouble.why}".rstrip(" .")
        yield Finding("api", "note" if web.trouble is NO_PASSWORD else "problem", text, web.trouble.fix)


def _edition(host: EveHost, web: Web) -> Finding:
    edition = host.edition
    title = edition.title if edition else "an edition that novaops does not know"
    remark = f", {edition.remark}" if edition and edition.remark else ""
    api = f"; its API says {web.version}" if web.version else ""
    return Finding("edition", "ok", f"{title}: {host.site.package} {host.site.version}{remark}{api}")


def _passwords(host: EveHost, web: Web) -> Iterator[Finding]:
    change = "novaops eve install HOST sets the one of the inventory"
    if web.default_password:
        yield Finding("passwords", "problem", "the web's user admin has its default password: everybody knows it", change)
    if host.installation.root == "default":
        known = "the system's root has the default password of EVE-NG: everybody knows it"
        yield Finding("passwords", "problem", known, "novaops eve install HOST takes it away; or passwd root, there")
    yield from _database(host.database)
    tried = {
        "web": web.default_password is not None,
        "system": host.installation.root != "unknown",
        "database": host.database is not None,
    }
    if unknown := [name for name, is_known in tried.items() if not is_known]:
        yield Finding("passwords", "note", f"whether a default password stands is not known: {', '.join(unknown)}")
    if web.default_password is False and host.installation.root == "other":
        yield Finding("passwords", "ok", "no default password lets anybody in, neither at the page nor as root")


def _database(database: DatabaseFacts | None) -> Iterator[Finding]:
    if database is None:
        return
    change = "novaops eve install HOST changes it"
    if database.defaults:
        text = f"the database lets in {_few(list(database.defaults))} with its default password: everybody knows it"
        yield Finding("passwords", "problem", text, change)
    if wrong := [name for name, user in database.users.items() if user.place == "wrong"]:
        text = f"EVE-NG's programs have a password of the database's user {_few(wrong)} that is not taken: an upgrade brings its files back"
        yield Finding("passwords", "problem", text, change)


def _wizard(host: EveHost) -> Iterator[Finding]:
    if not host.installation.configured:
        text = "the wizard of the first login is still to come: it makes new ssh host keys, and asks for an address"
        yield Finding(
            "wizard", "problem", text, "novaops eve install HOST does what it would; to skip it: touch /opt/ovf/.configured, there"
        )


def _kernel(host: EveHost) -> Iterator[Finding]:
    kernel = host.installation.kernel
    if "eve" in kernel:
        yield Finding("kernel", "ok", f"Linux {kernel}")
    else:
        yield Finding("kernel", "note", f"Linux {kernel} runs, which is not EVE-NG's own", "novaops eve install HOST boots that")


def _services(host: EveHost) -> Iterator[Finding]:
    if not host.units:
        yield Finding("services", "note", "systemd does not say which services run")
        return
    databases = [name for name in DATABASES if name in host.units] or [DATABASES[0]]
    wanted = [PAGE, databases[0], *(name for name in OTHERS if name in host.units)]
    states = {name: unit.active if (unit := host.units.get(name)) else "not installed" for name in wanted}
    down = {name: state for name, state in states.items() if state != "active"}
    for name, state in down.items():
        needed = name in {PAGE, *DATABASES}
        yield Finding("services", "problem" if needed else "note", f"{name} is {state}", f"systemctl status {name}, there")
    if not down:
        yield Finding("services", "ok", f"{', '.join(states)} are active")


def _images(host: EveHost) -> Finding:
    if not host.images:
        return Finding("images", "note", "there is none, so no node can be made", "novaops eve image add FILE HOST")
    text = f"{len(host.images)} with {human(sum(one.size for one in host.images))}: {_few([one.name for one in host.images])}"
    if wrong := [one.name for one in host.images if trouble(one)]:
        return Finding("images", "note", f"{text}; nodes cannot use {_few(wrong)}", "novaops eve image ls HOST says why")
    return Finding("images", "ok", text)


def templates(host: EveHost, web: Web) -> dict[str, bool]:
    """By name whether it has an image: as the API says, else by the names of the images."""
    if web.templates is not None:
        return dict(web.templates)
    names = [one.name for one in host.images if one.kind == "qemu"]
    return {template: any(name.startswith(f"{template}-") for name in names) for template in host.installation.templates}


def _templates(host: EveHost, web: Web) -> Iterator[Finding]:
    found = templates(host, web)
    if not found:
        return
    having = [name for name, image in found.items() if image]
    text = f"{len(having)} with an image{f' ({_few(having)})' if having else ''}, {len(found) - len(having)} without"
    yield Finding("templates", "ok", text if web.templates is not None else f"{text}, by the images' names")


def _disk(host: EveHost) -> Finding:
    site = host.site
    text = f"{human(site.disk_free)} of {human(site.disk_size)} free at {site.disk_path}"
    if site.disk_free >= site.disk_size * LITTLE:
        return Finding("disk", "ok", text)
    grow = f"novaops disk grow HOST --path {quote(site.mount_point)}"
    return Finding("disk", "note", text, f"novaops eve image rm NAME HOST removes an image; {grow} takes what a larger disk has")


def licence(host: EveHost, web: Web) -> str:
    """The API does not say it. "not needed" by the edition; "there" where more nodes run than without one; "" where it is not known."""
    edition = host.edition
    if edition is None:
        return ""
    if not edition.licence_usd_a_year:
        return "not needed"
    return "there" if (web.running or 0) > edition.nodes else ""


def node_limit(host: EveHost, web: Web) -> int | None:
    """How many nodes run at once. Without a known licence: as many as without one. None where it is not known."""
    edition = host.edition
    if edition is None:
        return None
    return edition.nodes_licensed if licence(host, web) == "there" else edition.nodes


def _nodes(host: EveHost, web: Web) -> Iterator[Finding]:
    edition, state, limit = host.edition, licence(host, web), node_limit(host, web)
    if edition and state == "not needed":
        yield Finding("licence", "ok", f"{edition.title} needs none")
    elif edition and state == "there":
        yield Finding("licence", "ok", f"there is one: without it {edition.nodes} nodes run at once, and here {web.running} do")
    elif edition:
        text = f"the API does not tell whether {edition.title} has one; its page does. {edition.nodes} nodes run at once without one"
        yield Finding("licence", "note", text, f"one costs about {edition.licence_usd_a_year:g} USD a year")
    if web.running is None:
        return
    said = f", of {limit}{'' if state else ' without a licence'}" if limit else ""
    full = limit is not None and web.running >= limit
    yield Finding("nodes", "note" if full else "ok", f"{web.running} run{said}", "novaops eve lab down frees some" if full else "")


def _few(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def details(host: EveHost | None, web: Web) -> dict[str, Any]:
    """What `eve status --json` says of a host."""
    if host is None:
        return {"installed": None, "findings": [asdict(NOT_INSTALLED)]}
    return {
        "installed": {"package": host.site.package, "version": host.site.version},
        "findings": [asdict(one) for one in judge(host, web)],
        "api_version": web.version or None,
        "kernel": host.installation.kernel,
        "services": {name: unit.active for name, unit in host.units.items()},
        "images": [{"image": one.name, "kind": one.kind, "bytes": one.size, "trouble": trouble(one)} for one in host.images],
        "templates": templates(host, web),
        "default_passwords": {
            "web": web.default_password,
            "system": _is_default(host.installation.root),
            "database": None if host.database is None else bool(host.database.defaults),
        },
        "licence": licence(host, web) or None,
        "nodes": {"running": web.running, "limit": node_limit(host, web)},
        "disk": {"path": host.site.disk_path, "size": host.site.disk_size, "free": host.site.disk_free},
    }


def _is_default(password: str) -> bool | None:
    return None if password == "unknown" else password == "default"  # noqa: S105 - words for a state
