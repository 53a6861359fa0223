"""proxy: web sites of nginx that pass requests on, to the API of a provider or to servers of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from novaops.engine.desired import HostView, Peers
from novaops.features.proxy.default_server import (
    addresses_files,
    default_server,
    no_conflicting_default,
    no_conflicting_site,
    shared_conf,
)
from novaops.features.proxy.facts.in_use import InUse
from novaops.features.proxy.resources.api_addresses import ApiAddresses, ApiTimers
from novaops.features.proxy.resources.default_page import NoDefaultPage
from novaops.features.proxy.resources.nginx_capacity import NginxCapacity
from novaops.features.proxy.resources.nginx_files import DEFAULT, OWN, SHARED
from novaops.features.proxy.resources.nginx_in_use import NginxInUse
from novaops.features.proxy.resources.nginx_reload import BeforeReload, NginxReload, Settled
from novaops.features.proxy.resources.nginx_service import NginxService
from novaops.features.proxy.resources.selinux import HttpdMayConnect, HttpPort
from novaops.features.proxy.resources.site_preconditions import SitePreconditions
from novaops.features.proxy.resources.site_removed import LineageRemoved, OtherTlsRemoved, site_removed
from novaops.features.proxy.settings import Site, distinct
from novaops.features.proxy.site import NginxSite
from novaops.features.proxy.site_conf import WEBROOT
from novaops.model.plan import ListensAt, Resource
from novaops.resources.directory import Directory
from novaops.resources.open_port import OpenPort
from novaops.resources.package import Package

Settings = Annotated[list[Site], AfterValidator(distinct)]


@dataclass(frozen=True)
class Prepared:
    """The section, and its present sites with their secrets and their API's data."""

    settings: Settings
    sites: list[NginxSite]


def prepare(host: HostView, settings: Settings) -> Prepared:
    """Read secrets and providers' files. Raises UsageError, or Refused for a password that is too weak."""
    sites = [NginxSite(entry, host, tuple(settings)) for entry in settings if entry.state == "present"]
    for site in sites:
        site.resolve()
    return Prepared(settings, sites)


def desired(host: HostView, prepared: Prepared, peers: Peers) -> Iterator[Resource]:
    del peers
    settings, sites = prepared.settings, prepared.sites
    if sites:
        yield from _needed(sites, tuple(entry.name for entry in settings))
        yield shared_conf(host, settings)
        yield addresses_files(host, settings)
        # Before a site may start nginx, which does not start where something else has the page's port.
        yield BeforeReload(NoDefaultPage())
        yield no_conflicting_default(sites)
    yield from (kept for site in sites if (kept := site.access_kept))
    yield from (site.http_files for site in sites)
    if streams := sum(site.entry.streams for site in sites):
        yield BeforeReload(NginxCapacity(streams))
    certified = [site for site in sites if site.entry.tls == "letsencrypt"]
    if certified:
        yield no_conflicting_site(settings, certified)
        # Where the authority looks. It goes again where there is no certificate, which stays where nginx does not take the site.
        yield NginxReload(": plain http", settles=False)
        for site in certified:
            yield from site.certificates()
        yield Settled(": plain http")
    for site in sites:
        if site not in certified:
            yield from site.certificates()
    yield from (site.files for site in sites)
    apis = tuple((site.entry.name, site.apis) for site in sites if site.apis)
    without = tuple(entry.name for entry in settings if entry.name not in dict(apis))
    yield ApiTimers(apis, without, start=False)
    yield BeforeReload(ApiAddresses(apis, without))
    # It uses the sites' certificates: it comes after they are made, and before they are removed.
    yield default_server(host, settings, sites)
    absent = [entry.name for entry in settings if entry.state == "absent"]
    yield from map(site_removed, absent)
    if not sites:
        yield shared_conf(host, settings)
    # After all that the run itself changes for nginx.
    if sites:
        yield NginxInUse("(shared)", tuple(map(InUse, (SHARED, DEFAULT))))
    yield from (site.in_use for site in sites)
    yield NginxReload(serves=bool(sites))
    yield ApiTimers(apis, without)
    yield addresses_files(host, settings, gone=True)
    for site in sites:
        yield OtherTlsRemoved(site.entry.name, site.entry.tls or "off", site.certificate if site.entry.encrypted else ("", ""))
    yield from map(LineageRemoved, absent)
    if sites:
        places = tuple(ListensAt("nginx", port, at) for site in sites for port in site.entry.ports for at in site.entry.listen or ("",))
        yield NginxService("nginx.service", comes_with_package="nginx", or_command="nginx", places=places)
    yield from (site.proof for site in sites)


def _needed(sites: list[NginxSite], deployed: tuple[str, ...]) -> Iterator[Resource]:
    """What must be so before the first site."""
    entries = [site.entry for site in sites]
    for site, entry in zip(sites, entries, strict=True):
        groups = [entry.upstreams, *(location.upstreams for location in entry.locations)]
        pooled = [upstream.address for group in groups if len(group) > 1 for upstream in group if upstream.is_name]
        needs_resolver = entry.is_api or any(upstream.is_name for upstream in entry.all_upstreams)
        pooled_name = pooled[0] if pooled else ""
        yield SitePreconditions(
            *(entry.name, entry.domain, entry.ports, deployed, needs_resolver, pooled_name, entry.listen),
            listens=site.listens,
            tls_ports=tuple(port for port in entry.ports if entry.is_tls(port)),
            secured=entry.is_api or any(upstream.tls for upstream in entry.all_upstreams),
        )
    yield from (Package("ca-certificates"), Package("curl", command="curl"), Package("nginx", command="nginx"))
    if any(entry.tls == "letsencrypt" for entry in entries):
        yield Package("certbot", command="certbot")
        yield Directory(WEBROOT)
    yield Directory(OWN)
    ports = sorted({port for entry in entries for port in entry.ports})
    yield HttpdMayConnect()
    yield from (HttpPort(port) for port in ports)
    yield from (OpenPort(port) for port in sorted({port for entry in entries if not _is_loopback(entry) for port in entry.ports}))


def _is_loopback(entry: Site) -> bool:
    return bool(entry.listen) and all(address == "::1" or address.startswith("127.") for address in entry.listen)
