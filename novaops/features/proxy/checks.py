"""proxy: each site answers the clients that it should and no others, with the right TLS, and without delay. Seen by requests to it.

A real API may think before it answers. So the first event is timed from the moment when the API began to answer the site, which is in
the site's log. A late first event that came alone, and was followed by others one by one, was late at the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from novaops.errors import HostFailed
from novaops.features.proxy.observe.conditions import (
    has_a_name,
    lets_this_machine_in,
    own_error,
    pools,
    streamed,
    takes_connections,
    was_asked,
)
from novaops.features.proxy.observe.events import APART, bursts
from novaops.features.proxy.observe.site import ExpectedSite, ObservedSite, Rebooted
from novaops.features.proxy.observe.sites import after_reboot, before_reboot, observe
from novaops.features.proxy.settings import Site
from novaops.providers.proof import ApiAnswer, Asked, judge
from novaops.verify import applies

__all__ = ["after_reboot", "before_reboot", "entries", "observe"]

FIRST_EVENT = 1.0
"""Seconds by which the site may delay the first event, at the most."""
ARRIVALS = 3
"""The fewest arrivals that show that events are passed on one by one."""

RESOLVES = (1, 27, 3)
"""The nginx that looks names up itself."""

_BCRYPT = frozenset({"$2a$", "$2b$", "$2y$"})
_REDIRECTS = {"GET": frozenset({301, 308}), "POST": frozenset({307, 308})}
"""The statuses of a redirect. 301 would turn a POST into a GET."""
_STAYS = frozenset({"enabled", "static", "cron"})
"""What runs again after a boot, in the words of `Before.renewals`."""
_WELCOME = "Welcome to nginx!"
_FILTERED = "though the host listens there: open it in the cloud's network (a security list or group of the VCN) and in the host's firewall"


def entries(settings: Iterable[Site], folder: Path) -> Iterator[tuple[str, ExpectedSite]]:
    for site in settings:
        yield site.name, ExpectedSite(site, site.api(folder) if site.state == "present" else None)


# -- claims: the way in -------------------------------------------------------------------------------------------------------


@applies(lambda wanted: wanted.present)
def test_open(seen: ObservedSite) -> None:
    """Takes connections at its ports"""
    for port, why in seen.ports.items():
        if why and seen.on_host:
            raise HostFailed(
                f"{seen.wanted.site.name} could not be asked on the host itself ({seen.on_host}): {why}",
                fix="let sshd forward connections (AllowTcpForwarding local), and see whether nginx runs",
            )
        what = _FILTERED if port in seen.listening else "and nothing on the host listens there"
        assert not why, f"port {port} of {seen.address} should take connections from here, but {why}, {what}"


@applies(lambda wanted: wanted.present)
def test_alone_at_boot(seen: ObservedSite) -> None:
    """Will not have to share its ports with another web server when the host boots"""
    for unit, places in seen.rivals.items():
        for address, _, port in (place.rpartition(":") for place in places):
            meets = not seen.wanted.only_on or address.strip("[]") in {"", "*", *seen.wanted.only_on}
            expected = f"nobody else should want port {port} at the next boot"
            found = f"{unit}, which does not run now, is enabled and has Listen {address and f'{address}:'}{port}"
            assert not (meets and int(port) in seen.wanted.site.ports), f"{expected}, but {found}"
    if unknown := [unit for unit, places in seen.rivals.items() if not places]:
        pytest.skip(f"{' and '.join(unknown)} will run after the next boot, and does not now: where it listens is not known")


@applies(lambda wanted: wanted.encrypted and wanted.site.redirect)
def test_redirect(seen: ObservedSite) -> None:
    """Leads from plain http to https, with path and query"""
    has_a_name(seen)
    for url, (got, posted) in seen.http.items():
        for answer, (method, statuses) in zip((got, posted), _REDIRECTS.items(), strict=True):
            expected = f"{method} http://{url.removeprefix('https://')} should lead to {url} ({' or '.join(map(str, sorted(statuses)))})"
            assert answer.status in statuses, f"{expected}, but {answer}"
            assert answer.header("Location") == url, f"{expected}, but it leads to {answer.header('Location') or 'nowhere'}"
    if not seen.http:
        pytest.skip(f"port {seen.wanted.site.http_port} takes no connections")


@applies(lambda wanted: wanted.encrypted and not wanted.site.redirect)
def test_nothing_in_the_clear(seen: ObservedSite) -> None:
    """Serves nothing in plain http"""
    has_a_name(seen)
    for url, answers in seen.http.items():
        for answer in answers:
            served = 0 < answer.status < HTTPStatus.BAD_REQUEST
            assert not served, f"http://{url.removeprefix('https://')} should not be served, but {answer}"


@applies(lambda wanted: wanted.present)
def test_nobody_elses_name(seen: ObservedSite) -> None:
    """Does not answer for a name that nobody has, and neither does nginx's welcome page"""
    has_a_name(seen)
    assert not seen.taken, f"a name that nobody has should not be answered by this site, but it is, by {' and '.join(seen.taken)}"
    for scheme, answer in seen.unknown.items():
        if _WELCOME in answer.text:
            welcome = f"a name that nobody has should not be answered by nginx's welcome page, but it is, by {scheme}"
            assert not seen.own_page, f"{welcome}: {seen.own_page} is enabled"
            pytest.skip(f"this site does not, but a welcome page does, by {scheme}: another server of this nginx is the default one there")


# -- claims: TLS --------------------------------------------------------------------------------------------------------------


@applies(lambda wanted: wanted.encrypted)
def test_certificate(seen: ObservedSite) -> None:
    """Shows a certificate for each of its names that clients take"""
    takes_connections(seen)
    for shown in seen.shown:
        expected = f"clients should take the certificate that is shown for {shown.name}"
        also = f" (and this machine says: {shown.unknown})" if shown.unknown and shown.error else ""
        assert not shown.error, f"{expected}, but {shown.error}{also}"


@applies(lambda wanted: wanted.encrypted and wanted.site.tls != "self-signed")
def test_trusted_here(seen: ObservedSite) -> None:
    """Has a certificate of an authority that this machine trusts"""
    was_asked(seen)
    for shown in seen.shown:
        if shown.error or not shown.known_here:
            file = seen.wanted.certificate[0]
            pytest.skip(f"this machine does not know {shown.issuer or 'the authority'}; exactly the host's {file} was trusted instead")


@applies(lambda wanted: wanted.encrypted and wanted.site.tls != "self-signed")
def test_chain(seen: ObservedSite) -> None:
    """Shows the certificates between its own and the authority's"""
    was_asked(seen)
    for shown in seen.shown:
        if not shown.error and not shown.known_here and seen.verified.get(shown.name):
            expected = f"the intermediate certificates should be shown for {shown.name}, after its own in {seen.wanted.certificate[0]}"
            assert len(shown.chain) > 1, f"{expected}, but there are none, and nobody here knows {shown.issuer}, who issued it"
            pytest.skip(f"neither this machine nor the host knows who is above {shown.issuer}")


@applies(lambda wanted: wanted.encrypted)
def test_days(seen: ObservedSite) -> None:
    """Has a certificate that lasts: two weeks, or a sixth of its life"""
    was_asked(seen)
    for shown in seen.shown:
        expected = f"the certificate for {shown.name} should last {_days(shown.soon)} days more, as nobody seems to renew it"
        assert shown.error or shown.days_left >= shown.soon, f"{expected}, but it has {_days(shown.days_left)} left"


@applies(lambda wanted: bool(wanted.renewal))
def test_renewed(seen: ObservedSite) -> None:
    """Has a certificate that the host renews by itself, also after a reboot"""
    stays = [what for what, state in seen.renewals.items() if state in _STAYS]
    found = " and ".join(f"{what} is {state}" for what, state in seen.renewals.items()) or "nothing there does"
    assert stays, f"a timer that is enabled, or cron, should run certbot on the host, but {found}"
    assert not seen.left_out, f"certbot should renew the certificate, but {seen.wanted.renewal} says that it should not (autorenew)"


@applies(lambda wanted: wanted.encrypted)
def test_strict_transport(seen: ObservedSite) -> None:
    """Says Strict-Transport-Security as it should, and once"""
    was_asked(seen)
    wanted = seen.wanted.site.strict_transport
    for who, answer in seen.tried.items():
        if who not in {"stranger", "known"} or not answer.status:
            continue
        found = answer.all("Strict-Transport-Security")
        expected = f"Strict-Transport-Security should be {wanted}" if wanted else "there should be no Strict-Transport-Security"
        assert found == ((wanted,) if wanted else ()), f"{expected}, but the answer to the {who} has {' and '.join(found) or 'none'}"


# -- claims: who is let in ----------------------------------------------------------------------------------------------------


@applies(lambda wanted: wanted.present and bool(wanted.guard))
def test_stranger(seen: ObservedSite) -> None:
    """Answers 401 to who shows nothing"""
    lets_this_machine_in(seen)
    _refused(seen, "stranger", "who shows nothing")


@applies(lambda wanted: wanted.present and bool(wanted.guard))
def test_wrong(seen: ObservedSite) -> None:
    """Answers 401 to a wrong password or token"""
    lets_this_machine_in(seen)
    _refused(seen, "wrong", f"who shows a wrong {'password' if seen.wanted.guard == 'basic' else 'token'}")


@applies(lambda wanted: wanted.present and bool(wanted.auth.addresses))
def test_only_from(seen: ObservedSite) -> None:
    """Answers 403 to who comes from elsewhere"""
    was_asked(seen)
    networks = ", ".join(seen.wanted.auth.addresses)
    if not seen.inside:
        answer, where = seen.tried.get("known") or seen.tried["stranger"], seen.here
    elif "outsider" in seen.tried:
        answer, where = seen.tried["outsider"], "the host itself"
    else:
        pytest.skip(f"this machine and the host itself both come from {networks}")
    assert answer.status == HTTPStatus.FORBIDDEN, f"who comes from {where}, and not from {networks}, should get 403, but {answer}"


@applies(lambda wanted: wanted.present and bool(wanted.site.cors))
def test_cors(seen: ObservedSite) -> None:
    """Lets the scripts of the pages in cors: use it, and of no others"""
    lets_this_machine_in(seen)
    origin, answer = seen.wanted.site.cors[0], seen.tried["preflight"]
    expected = f"a script of {origin} should be told that it may use the site"
    assert answer.status == HTTPStatus.NO_CONTENT, f"{expected}, but {answer}"
    assert answer.all("Access-Control-Allow-Origin") == (origin,), f"{expected}, but the answer does not name it"
    assert "authorization" in answer.header("Access-Control-Allow-Headers"), f"{expected} with its key, but it may not send that"
    others = seen.tried["other page"].all("Access-Control-Allow-Origin")
    assert not others, f"scripts of other pages should not be let in, but the answer names {', '.join(others)}"


@applies(lambda wanted: wanted.is_api)
def test_api(seen: ObservedSite) -> None:
    """Passes who may use it on to the API, which answers"""
    lets_this_machine_in(seen)
    wanted, answer = seen.wanted, seen.tried["known"]
    whose = wanted.site.api_name
    expected = f"{wanted.probe} should be answered by {whose}"
    assert answer.status, f"{expected}, but {answer.trouble}"
    own = own_error(answer)
    assert own is None, f"{expected}, but the site itself answers {answer.status}: {own}"
    assert wanted.provider is not None
    asked = Asked(
        wanted.probe,
        has_key=wanted.key_is_known,
        injects=bool(wanted.auth.inject),
        speaks_json=wanted.site.speaks_json,
        described=bool(wanted.site.provider),
        without_key=wanted.provider.without_key,
        closed=bool(wanted.site.provider),
        reached="it is reached",
        region="the region of the host",
    )
    verdict = judge(asked, ApiAnswer(answer.status, answer.header("Content-Type"), answer.text, answer.header("Location")))
    assert verdict.works, f"{expected}: {verdict.text}"


@applies(lambda wanted: bool(wanted.apis))
def test_followed(seen: ObservedSite) -> None:
    """Follows the addresses of the API, also after a reboot"""
    if seen.version >= RESOLVES:
        pytest.skip(f"nginx {'.'.join(map(str, seen.version))} looks its name up itself")
    unit = f"novaops-proxy@{seen.wanted.site.name}.timer"
    assert seen.timer == ("enabled", "active"), f"{unit} should be enabled and active, but it is {' and '.join(filter(None, seen.timer))}"
    for api, found in seen.apis.items():
        names = ", ".join(sorted(found.answered))
        expected = f"nginx should ask {api} at {names or 'an address that it had'}"
        asked = ", ".join(sorted(found.asked)) or "none"
        assert found.asked & found.answered or (found.asked and not found.answered), f"{expected}, but it knows {asked}"


@applies(lambda wanted: bool(wanted.apis))
def test_kept(seen: ObservedSite) -> None:
    """Keeps its connections to the API, instead of making one for each request"""
    lets_this_machine_in(seen)
    if not seen.wanted.site.keepalive:
        pytest.skip("keepalive: 0 says that it should not")
    if not all(found.keeps for found in seen.apis.values()):
        pytest.skip("the API itself ends each connection after one answer")
    if len(seen.connects) < 2:  # noqa: PLR2004 - to compare
        pytest.skip("the log has too few of the requests made here")
    times = ", ".join(f"{each or 0:.3f}" for each in seen.connects)
    expected = f"of {len(seen.connects)} requests one after the other, those after the first should find a connection to the API"
    assert 0 in seen.connects[1:], f"{expected}, but it took them {times} s to make one"


# -- claims: events -----------------------------------------------------------------------------------------------------------


@applies(lambda wanted: wanted.is_api)
def test_first_event(seen: ObservedSite) -> None:
    """Passes the first event on within a second"""
    arrived = bursts(streamed(seen))
    assert arrived, f"{seen.wanted.stream} should stream, but no event came"
    began = seen.api.first if seen.api and seen.api.first is not None else 0.0
    at, events = arrived[0]
    late = at - began
    if late >= FIRST_EVENT and len(arrived) >= ARRIVALS and events <= 2:  # noqa: PLR2004 - a role and a word
        pytest.skip(f"the API itself took {at:.1f} s to its first event; the next ones then came one by one")
    expected = f"the first event of {seen.wanted.stream} should come within {FIRST_EVENT:g} s of the API's"
    assert late < FIRST_EVENT, f"{expected}, but it came after {late:.1f} s, and {events} at once"


@applies(lambda wanted: wanted.is_api)
def test_events_apart(seen: ObservedSite) -> None:
    """Passes events on as they come, and not all at once"""
    arrived = bursts(streamed(seen))
    events = sum(count for _, count in arrived)
    if events < ARRIVALS:
        pytest.skip(f"the API sent {events} events: too few to tell")
    if seen.api and seen.api.lasted is not None and seen.api.lasted < ARRIVALS * APART * 2:
        pytest.skip("the API sent all of its events at once")
    expected = f"the events of {seen.wanted.stream} should come in {ARRIVALS} arrivals or more"
    assert len(arrived) >= ARRIVALS, f"{expected}, but {events} came in {len(arrived)}: something on the way holds them back"


# -- claims: secrets ----------------------------------------------------------------------------------------------------------


@applies(lambda wanted: wanted.present)
def test_no_secret_lies_open(seen: ObservedSite) -> None:
    """Keeps its secrets out of answers, of logs, and of files that others may read"""
    found = [f"the {what} is in {where}" for where, what in seen.leaks]
    assert not found, f"nobody should see the secrets of {seen.wanted.site.name}, but {'; '.join(found)}"


@applies(lambda wanted: wanted.present and bool(wanted.auth.basic or wanted.auth.token or wanted.auth.keys or wanted.encrypted))
def test_secret_files(seen: ObservedSite) -> None:
    """Has its secrets in files of root's: the workers read the passwords' hashes, and nobody anything else"""
    wanted = seen.wanted
    used = (
        (wanted.auth.basic, wanted.password_file, 0o137),
        (wanted.auth.inject or wanted.auth.token, wanted.secrets_file, 0o177),
        (wanted.auth.keys, wanted.keys_file, 0o177),
        (wanted.encrypted, wanted.certificate[1], 0o177 if wanted.site.tls == "self-signed" else 0o007),
    )
    for path, forbidden in ((path, forbidden) for is_used, path, forbidden in used if is_used):
        file = seen.files.get(path)
        assert file is not None, f"there should be a file {path}, but there is none"
        assert file.owner == "root", f"{path} should be root's, but it is {file}"
        assert not file.mode & forbidden, f"{path} should be readable for fewer ({0o777 & ~forbidden:04o} at the most), but it is {file}"
        groups = {"root", *seen.workers}
        fits = path != wanted.password_file or file.group in groups
        assert fits, f"{path} should be of the group {' or '.join(sorted(groups))}, but it is {file}"


@applies(lambda wanted: wanted.present and bool(wanted.auth.basic))
def test_bcrypt(seen: ObservedSite) -> None:
    """Knows the passwords of its users as bcrypt, and of nobody else"""
    users, wanted, file = {user for user, _ in seen.hashes}, set(seen.wanted.auth.basic), seen.wanted.password_file
    assert users == wanted, f"{file} should have {', '.join(sorted(wanted))}, but it has {', '.join(sorted(users)) or 'nobody'}"
    weak = [user for user, start in seen.hashes if start not in _BCRYPT]
    assert not weak, f"{file} should have bcrypt hashes, but that of {', '.join(weak)} is another kind"


# -- claims: servers of one's own ---------------------------------------------------------------------------------------------


@applies(lambda wanted: wanted.is_app)
def test_served(seen: ObservedSite) -> None:
    """Is answered by a server behind it"""
    for pool in pools(seen):
        expected = f"{pool.location.path} should be answered by one of {pool.servers}"
        assert pool.logged, f"{expected}, but {pool.answer}, and {seen.wanted.log} knows nothing of it: another site may have the name"
        assert pool.serving, f"{expected}, but {pool.answer}"


@applies(lambda wanted: any(len(pool.upstreams) > 1 for pool in wanted.pools))
def test_all_serve(seen: ObservedSite) -> None:
    """Lets each server behind it serve"""
    skipped = ""
    for pool in pools(seen):
        weights = [upstream.weight for upstream in pool.expected]
        if pool.location.balance == "ip_hash":
            skipped = f"with ip_hash all that comes from {seen.here} goes to one server"
            continue
        unseen = [upstream.address for upstream in pool.expected if not pool.served(upstream)]
        if unseen and pool.requests < sum(weights) and pool.serving:
            skipped = f"{pool.requests} requests are too few to see {', '.join(unseen)} with their weights"
            continue
        expected = f"each of {pool.servers} should answer at {pool.location.path}"
        assert not unseen, f"{expected}, but {' and '.join(unseen)} answered none of {pool.requests} requests"
    if skipped:
        pytest.skip(skipped)


@applies(lambda wanted: any(pool.response_headers for pool in wanted.pools))
def test_response_headers(seen: ObservedSite) -> None:
    """Answers with the headers that its locations say, each once"""
    for pool in pools(seen):
        for name, value in pool.location.response_headers.items():
            found, wanted = pool.answer.all(name), (value,) if value else ()
            expected = f"{name} at {pool.location.path} should be {value}" if value else f"{pool.location.path} should have no {name}"
            assert found == wanted, f"{expected}, but the answer has {' and '.join(found) or 'none'}"


@applies(lambda wanted: wanted.is_app and wanted.site.websockets)
def test_websockets(seen: ObservedSite) -> None:
    """Passes websockets on"""
    switched = HTTPStatus.SWITCHING_PROTOCOLS
    untried = ""
    for pool in pools(seen):
        spoken = f"a websocket at {pool.location.path} should be passed on, as a server behind it speaks them"
        assert pool.upgrade.status == switched or pool.direct.status != switched, f"{spoken}, but {pool.upgrade}"
        if pool.upgrade.status != switched:
            untried = f"no server behind {pool.location.path} speaks websockets there ({pool.direct})"
    if untried:
        pytest.skip(untried)


# -- claims: later ------------------------------------------------------------------------------------------------------------


@applies(lambda wanted: not wanted.present)
def test_gone(seen: ObservedSite) -> None:
    """Is gone, with its passwords and keys"""
    assert not seen.files, f"nothing should be left of {seen.wanted.site.name}, but there is {', '.join(seen.files)}"


@applies(lambda wanted: wanted.present)
def test_after_reboot(seen: ObservedSite, rebooted: Rebooted) -> None:
    """Answers after a reboot as before"""
    was_asked(seen)
    before = seen.tried["stranger"]
    assert rebooted.answer.status == before.status, f"it should answer {before.status} after a reboot, but {rebooted.answer}"


# -- in words -----------------------------------------------------------------------------------------------------------------


def _days(days: float) -> str:
    return f"{days:.0f}" if days >= 2 else f"{days:.1f}"  # noqa: PLR2004 - of a certificate that lasts hours


def _refused(seen: ObservedSite, who: str, whom: str) -> None:
    wanted, answer = seen.wanted, seen.tried[who]
    assert answer.status == HTTPStatus.UNAUTHORIZED, f"{wanted.probe} should answer 401 to {whom}, but {answer}"
    if wanted.guard == "basic":
        asks = any(f'realm="{wanted.site.name}"' in value for value in answer.all("WWW-Authenticate"))
        assert asks, f"the site itself should ask {whom} for a password, but it has passed the request on, or another site has answered"
    if wanted.provider:
        own = own_error(answer) is not None
        assert own, f"the site itself should answer 401 to {whom}, but the answer is another's: {answer.text[:200]}"
