"""Whether EVE-NG and its nodes can run on a host, how many, and at what price. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from novaops.features.eve.advice import providers
from novaops.features.eve.budget import budget
from novaops.features.eve.candidate import Candidate, Wish
from novaops.features.eve.editions import Edition, editions
from novaops.features.eve.networks import collisions, taken_networks
from novaops.features.eve.paths import ADDONS
from novaops.features.eve.prices import cheapest
from novaops.features.eve.sizing import GIB, SHOWN, Capacity, ImageClass, needed, sizes
from novaops.formats.size import human
from novaops.model.finding import Finding

NODES_CAN_RUN = "nodes can run"
"""The subject of the finding whether the host can run virtual machines of its own."""


def judge(host: Candidate, wish: Wish) -> Iterator[Finding]:
    """What a person should know who wants EVE-NG there. A problem is why the wish cannot be had there as it is."""
    yield _system(host)
    yield _nested(host)
    yield from _room(host, wish)
    yield from _limit(host.edition, wish)
    yield from _networks(host)
    yield from _cost(host, wish)


def _system(host: Candidate) -> Finding:
    system, edition = host.machine.os, host.edition
    if host.installed:
        remark = f", {edition.remark}" if edition and edition.remark else ""
        return Finding("system", "ok", f"{system} with {host.site.package} {host.site.version}{remark}")
    if host.machine.architecture != "x86_64":
        text = f"EVE-NG is for x86_64, and this is {host.machine.architecture or 'an unknown processor'}"
        return Finding("system", "problem", text, "take a machine with an Intel processor")
    if edition is None or edition.support == "recognised":
        is_for = f"{system} is for {edition.title}, which novaops does not install: {edition.remark}" if edition else ""
        wanted = " or ".join(f"{one.os.title()} (for {one.title})" for one in editions() if one.support == "installed")
        fix = f"make the VM from an image of {wanted}"
        return Finding("system", "problem", is_for or f"EVE-NG is not made for {system}", fix)
    remark = f", {edition.remark}" if edition.remark else ""
    return Finding("system", "ok", f"{system}: for {edition.title} ({edition.newest}{remark})")


def _nested(host: Candidate) -> Finding:
    """Only a guest that has just run in time is proof."""
    nested = host.nested
    if nested.verdict == "yes":
        return Finding(NODES_CAN_RUN, "ok", nested.text)
    provider = providers().get(host.machine.cloud)
    fix = f"{provider.title}: {provider.rule}" if nested.at_provider and provider else nested.fix
    return Finding(NODES_CAN_RUN, "problem", nested.text, fix)


def _room(host: Candidate, wish: Wish) -> Iterator[Finding]:
    machine, site, least = host.machine, host.site, sizes().least
    fits = host.capacities()
    each = ", ".join(f"{name} {one.nodes}" for name, one in fits.items())
    has = f"{machine.processors} processors, {human(machine.memory)} of memory, {human(site.disk_free)} free at {site.disk_path}"
    yield Finding("room", "ok", f"{has}: nodes of each class that fit: {each}")
    enough = machine.processors >= least.processors and machine.memory >= least.memory_gib * GIB * SHOWN
    if not enough or site.disk_size < least.disk_gib * GIB * SHOWN:
        text = (
            f"less than EVE-NG should have: {least.processors} processors, {least.memory_gib} GB of memory, a disk of {least.disk_gib} GB"
        )
        yield Finding("room", "note", text)
    if wish.nodes is not None:
        yield _fit(wish.nodes, wish.kind, fits[wish.kind.name], host_has_it=host.installed)


def _fit(nodes: int, kind: ImageClass, fits: Capacity, *, host_has_it: bool) -> Finding:
    what = f"{nodes} of class {kind.name} (such as {', '.join(kind.examples)})"
    if nodes <= fits.nodes:
        return Finding("nodes", "ok", f"{what} fit")
    text = f"{what} do not fit: the {fits.scarce} {'is' if fits.scarce != 'processors' else 'are'} enough for {fits.nodes}"
    if fits.scarce == "disk":
        fix = f"a blank disk for the images: novaops disk mount HOST --path {ADDONS}"
        larger_disk = "a larger disk at the provider, then: novaops disk grow HOST --path PATH; novaops eve image rm takes images away"
        return Finding("nodes", "problem", text, larger_disk if host_has_it else fix)
    larger = cheapest(needed(kind, nodes))
    fix = f"a VM like Google's {larger.name} ({larger.processors} processors, {larger.memory_gib:g} GB)" if larger else "fewer nodes"
    return Finding("nodes", "problem", text, fix)


def _limit(edition: Edition | None, wish: Wish) -> Iterator[Finding]:
    """How many nodes the edition lets run at once."""
    if edition is None:
        return
    licence = f"a licence costs about {edition.licence_usd_a_year:g} USD a year" if edition.licence_usd_a_year else ""
    if wish.licensed and licence:
        yield Finding("node limit", "ok", f"{edition.title} with a licence: not the {edition.nodes} nodes of one without")
        return
    text = f"{edition.title} runs {edition.nodes} nodes at once{' without a licence' if licence else ''}"
    if wish.nodes is None or wish.nodes <= edition.nodes:
        yield Finding("node limit", "ok", f"{text}; {licence}" if licence else text)
        return
    others = [one for one in editions() if one.support == "installed" and one != edition]
    ways = [
        *([licence] if licence else []),
        *(f"{one.title} on {one.os.title()} runs {one.nodes}" for one in others if one.nodes >= wish.nodes),
        *(
            f"{one.title} on {one.os.title()} with a licence (about {one.licence_usd_a_year:g} USD a year)"
            for one in others
            if one.licence_usd_a_year
        ),
    ]
    yield Finding("node limit", "problem", f"{text}, not {wish.nodes}", "; or ".join(ways))


def _networks(host: Candidate) -> Iterator[Finding]:
    if host.near is None:
        yield Finding("networks", "note", "which networks the host reaches is not known")
        return
    edition = host.edition.name if host.edition else None
    found = list(collisions(host.near, host.caller, edition))
    for taken, what in found:
        text = f"EVE-NG takes {taken.network} for {taken.device}, and the host reaches {what}"
        yield Finding("networks", "problem", text, "give the other network another range first, or the host loses it")
    if not found:
        takes = ", ".join(str(one.network) for one in taken_networks() if edition is None or edition in one.editions)
        yield Finding("networks", "ok", f"none that EVE-NG takes for itself ({takes}) is in use")


def _cost(host: Candidate, wish: Wish) -> Iterator[Finding]:
    estimate = budget(host, wish)
    if estimate is None:
        return
    over = estimate.credit is not None and estimate.cost.total > estimate.credit
    yield Finding("cost", "note" if over else "ok", estimate.text, f"cheaper: {estimate.cheaper_text}" if over else "")
