"""What is seen of sites: requests from here to the host, under each site's name, and what the host's logs and files say of them."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from novaops.features.proxy.observe import site_files
from novaops.features.proxy.observe.certificate import Trust
from novaops.features.proxy.observe.client import SiteClient
from novaops.features.proxy.observe.credentials import SiteSecrets
from novaops.features.proxy.observe.site import ExpectedSite, ObservedSite, Pool, Rebooted
from novaops.features.proxy.observe.site_files import After, Before, Logged
from novaops.features.proxy.upstreams import Location
from novaops.verify import reach
from novaops.verify.http_answer import HttpAnswer, Request
from novaops.verify.reach import LOOPBACK, Reach

if TYPE_CHECKING:
    from testinfra.host import Host

MOST_REQUESTS = 60
"""With which every server behind a site should be seen."""

ON_ONE = 4
"""Requests to an API on one connection: all but the first should find a connection to the API."""

_ODD = frozenset({0, 401, 403, 502, 503, 504})
"""Statuses that no server of an app site should answer."""

_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"novaops verifies").decode(),
}


def observe(host: Host, entries: Sequence[ExpectedSite]) -> list[ObservedSite]:
    """Three execs, and a dozen requests for each site. Raises HostFailed where the host cannot be seen, UsageError for a secret."""
    here, server = reach.addresses(host.backend.session)
    kept = [SiteSecrets.of(wanted) for wanted in entries]
    before = site_files.before(
        host,
        files=[path for wanted in entries for path in wanted.paths],
        certificates=[wanted.certificate[0] for wanted in entries if wanted.certificate[0]],
        passwords=[wanted.password_file for wanted in entries],
        logs=[wanted.log for wanted in entries],
        names={
            each.host for wanted in entries for pool in wanted.pools for each in pool.upstreams if each.is_name or each.host == "localhost"
        },
        apis=[f"{wanted.site.name}={wanted.asked_at(api)}" for wanted in entries if wanted.present for api in wanted.apis],
        renewals=[wanted.renewal for wanted in entries if wanted.renewal],
    )
    observers = [
        _Observer(wanted, _reach(host, here, wanted, on_host=bool(wanted.only_on) and server not in wanted.only_on), before, known)
        for wanted, known in zip(entries, kept, strict=True)
    ]
    seen = [observer.observe() for observer in observers]
    after = site_files.after(
        host,
        [(observer.wanted.log, before.sizes.get(observer.wanted.log, 0), observer.marks) for observer in observers],
        [(f"{known.wanted.site.name}: {name}", secret) for known in kept for name, secret in known.by_name.items()],
        {f"{one.wanted.site.name} {each.name}": each.chain for one in seen for each in one.shown if not each.known_here},
    )
    return [observer.with_logs(one, after) for observer, one in zip(observers, seen, strict=True)]


def before_reboot(host: Host, seen: Sequence[ObservedSite]) -> None:
    """Leaves nothing on the host: nothing has to be recognised afterwards."""


def after_reboot(host: Host, seen: Sequence[ObservedSite]) -> list[Rebooted]:
    return [Rebooted(_again(one, _reach(host, one.here, one.wanted, on_host=bool(one.on_host)))) for one in seen]


def _again(seen: ObservedSite, to: Reach) -> HttpAnswer:
    """The stranger's request once more."""
    if "stranger" not in seen.tried:
        return HttpAnswer(trouble="it did not answer before the reboot either")
    client = SiteClient(seen.wanted, to, Trust())
    if seen.shown:
        first = seen.shown[0]
        client.context = client.trust.here() if first.known_here else Trust(first.chain[0]).pinned()
    return client.ask(Request(seen.wanted.probe, seen.wanted.host))


def _reach(host: Host, here: str, wanted: ExpectedSite, *, on_host: bool) -> Reach:
    return Reach(host.backend.session, here, wanted.only_on[0] if wanted.only_on else LOOPBACK, on_host=on_host)


@dataclass
class _Observer:
    """One site, and how it is observed."""

    wanted: ExpectedSite
    reach: Reach
    before: Before
    secrets: SiteSecrets

    def __post_init__(self) -> None:
        self._mark = f"novaops-verify-{secrets.token_hex(8)}"
        self._client = SiteClient(self.wanted, self.reach, Trust(self.before.texts.get(self.wanted.certificate[0], "")))

    @property
    def marks(self) -> tuple[str, ...]:
        """By these the log's lines about the requests made here are found."""
        if not self.wanted.present:
            return ()
        exact = [f" {pool.path} " for pool in self.wanted.pools if pool.exact]
        known = [f'"GET {self.wanted.probe_path} '] if self.wanted.apis else []
        return (f"/{self._mark}", *exact, *known, *([f'"POST {self.wanted.stream_path} '] if self.wanted.stream else []))

    def observe(self) -> ObservedSite:
        wanted, site, before = self.wanted, self.wanted.site, self.before
        seen = ObservedSite(
            wanted,
            self.reach.comes_from,
            self.reach.address,
            f"it listens on {', '.join(wanted.only_on)}" if self.reach.on_host else "",
            listening=before.ports,
            rivals=before.rivals,
            own_page=before.own_page,
            files={path: file for path, file in before.files.items() if path in wanted.paths},
            hashes=before.hashes.get(wanted.password_file, ()),
            workers=before.workers,
            version=before.version,
            timer=before.timers.get(site.name, ("", "")),
            apis=before.apis.get(site.name, {}),
            renewals=before.renewals,
            left_out=wanted.renewal in before.leaves,
        )
        if not wanted.present:
            return seen
        seen = replace(seen, ports={port: self.reach.closed(port) for port in site.ports})
        if not wanted.names or seen.ports[site.port]:
            return seen
        seen = replace(
            seen,
            shown=self._client.certificates() if site.encrypted else (),
            http=dict(self._http_requests()) if site.encrypted and not seen.ports[site.http_port] else {},
            unknown=dict(self._unknown_name(seen.ports)),
        )
        if site.encrypted and self._client.context is None:
            return seen
        pools = [self._pool(n, pool) for n, pool in enumerate(wanted.pools)] if seen.inside else []
        seen = replace(seen, tried=dict(self._tries()), pools=tuple(pools))
        if wanted.apis and seen.inside:
            list(self._client.repeat(Request(wanted.probe, wanted.host, headers=self.secrets.headers()), ON_ONE))
        return seen

    def with_logs(self, seen: ObservedSite, after: After) -> ObservedSite:
        """With what the host's logs and files say of it."""
        logged = after.logged.get(self.wanted.log, ())
        name, key = self.wanted.site.name, self.secrets.by_name.get("key")
        leaks = [(path, what.partition(": ")[2]) for path, what in after.open if what.partition(": ")[0] == name]
        if key is not None:
            leaks += [
                (f"the answer to the request of {who}", "key")
                for who, answer in seen.tried.items()
                if key.reveal().encode() in answer.whole
            ]
        streamed = seen.tried.get("stream", HttpAnswer())
        lines = [line for line in logged if line.path == self.wanted.stream_path and line.total is not None]
        ours = [line for line in logged if line.path == self.wanted.probe_path and line.upstreams and line.text.startswith(f"{seen.here} ")]
        return replace(
            seen,
            taken=tuple(scheme for scheme in seen.unknown if any(f"/{self._unknown_path(scheme)}" == line.path for line in logged)),
            leaks=tuple(leaks),
            # Other clients may stream at the same time: this stream's line is the one that lasted as long.
            api=min(lines, key=lambda line: abs((line.total or 0) - streamed.seconds), default=None),
            connects=tuple(line.connect for line in ours[-ON_ONE:]),
            pools=tuple(self._with_log(n, pool, logged) for n, pool in enumerate(seen.pools)),
            verified={each.name: after.verified[f"{name} {each.name}"] for each in seen.shown if f"{name} {each.name}" in after.verified},
        )

    # -- requests -------------------------------------------------------------------------------------------------------------

    def _tries(self) -> Iterator[tuple[str, HttpAnswer]]:
        wanted = self.wanted
        path, host, known = wanted.probe, wanted.host, self.secrets.headers()
        yield "stranger", self._client.ask(Request(path, host))
        if wanted.guard:
            yield "wrong", self._client.ask(Request(path, host, headers=self.secrets.headers(wrong=True)))
        if wanted.guard or wanted.provider:
            yield "known", self._client.ask(Request(path, host, headers=known))
        for who, origin in (("preflight", next(iter(wanted.site.cors), "")), ("other page", "https://novaops-verify.invalid")):
            if wanted.site.cors:
                asks = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
                yield who, self._client.ask(Request(path, host, "OPTIONS", asks))
        if wanted.auth.addresses and wanted.inside(self.reach.comes_from) and not wanted.inside(self.reach.inner):
            yield "outsider", self._client.ask(Request(path, host, headers=known), on_host=True)
        if wanted.provider and wanted.provider.stream and wanted.key_is_known and wanted.inside(self.reach.comes_from):
            body = json.dumps(wanted.provider.stream.body).encode()
            headers = {"Content-Type": "application/json", "Accept": "text/event-stream", **known}
            yield "stream", self._client.ask(Request(wanted.stream, host, "POST", headers, body))

    def _http_requests(self) -> Iterator[tuple[str, tuple[HttpAnswer, HttpAnswer]]]:
        site, path = self.wanted.site, f"/{self._mark}/plain?x=1&y=%2F"
        for name in self.wanted.names:
            asked = [Request(path, self.wanted.named(name, site.http_port, 80), method) for method in ("GET", "POST")]
            got, posted = (self._client.ask(one, port=site.http_port) for one in asked)
            yield f"https://{self.wanted.named(name, site.port, 443)}{path}", (got, posted)

    def _unknown_name(self, ports: Mapping[int, str]) -> Iterator[tuple[str, HttpAnswer]]:
        """Requests for a name that no site has. Over TLS only the site's own certificate is accepted: no other could be verified."""
        site, name = self.wanted.site, f"{self._mark}.invalid"
        if not ports[site.http_port]:
            yield "http", self._client.ask(Request(f"/{self._unknown_path('http')}", name), port=site.http_port)
            yield "http, at /", self._client.ask(Request("/", name), port=site.http_port)
        own = self._client.trust.pinned() if site.encrypted else None
        if own is not None:
            own.check_hostname = False
            yield "https", self._client.ask(Request(f"/{self._unknown_path('https')}", name), context=own, name=name)

    def _unknown_path(self, scheme: str) -> str:
        return f"{self._mark}/nobody/{scheme}"

    def _pool(self, number: int, location: Location) -> Pool:
        headers = {} if location.auth == "off" else self.secrets.headers()
        weights = sum(upstream.weight for upstream in location.upstreams if not upstream.backup)
        count = min(MOST_REQUESTS, max(4, 2 * weights))
        answers = list(self._client.repeat(Request(self._pools_path(number, location), self.wanted.host, headers=headers), count))
        odd = next((answer for answer in answers if answer.status in _ODD), answers[-1])
        upgrade, direct = HttpAnswer(), HttpAnswer()
        if self.wanted.site.websockets:
            upgrade = self._client.ask(Request(location.path, self.wanted.host, headers={**headers, **_UPGRADE}))
            if upgrade.status != 101:  # noqa: PLR2004 - HTTP
                direct = self._directly(location)
        names = {upstream.address: self._logged_as(upstream.address, upstream.host) for upstream in location.upstreams}
        return Pool(location, len(answers), odd, (), names, upgrade, direct)

    def _pools_path(self, number: int, location: Location) -> str:
        return location.path if location.exact else f"{location.path.rstrip('/')}/{self._mark}/{number}"

    def _directly(self, location: Location) -> HttpAnswer:
        """A websocket asked of the first server that takes connections, from the host."""
        answer = HttpAnswer(trouble="it is a socket, or speaks TLS")
        for upstream in location.upstreams:
            if not upstream.is_socket and not upstream.tls and not answer.status:
                port = int(upstream.address.rpartition(":")[2])
                answer = self._client.ask_server(upstream.host, port, Request(location.path, self.wanted.host, headers=_UPGRADE))
        return answer

    def _with_log(self, number: int, pool: Pool, logged: Sequence[Logged]) -> Pool:
        path = self._pools_path(number, pool.location)
        return replace(pool, logged=tuple(line for line in logged if line.path == path))

    def _logged_as(self, address: str, host: str) -> frozenset[str]:
        """How the log may name a server: by any of its addresses."""
        port = address.rpartition(":")[2]
        known = self.before.addresses.get(host, frozenset())
        return frozenset({address, *(f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in known)})
