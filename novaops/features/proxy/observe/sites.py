"""What is seen of sites: requests from here to the host, under each site's name, and what the host's logs and files say of them."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from novaops.features.proxy.auth import Auth
from novaops.features.proxy.observe import site_files
from novaops.features.proxy.observe.certificate import Shown, Trust
from novaops.features.proxy.observe.site import ExpectedSite, ObservedSite, Pool, Rebooted
from novaops.features.proxy.observe.site_files import After, Before, Logged
from novaops.features.proxy.upstreams import Location
from novaops.secret import Secret
from novaops.secret_source import resolve
from novaops.verify import reach as way
from novaops.verify.http import FAILURES, HttpAnswer, HttpConnection, Request, trouble
from novaops.verify.reach import LOOPBACK, Reach

if TYPE_CHECKING:
    from testinfra.host import Host

MOST_REQUESTS = 60
"""With which every server behind a site should be seen."""

_ODD = frozenset({0, 401, 403, 502, 503, 504})
"""What no server of an app site is to answer."""

_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"novaops verifies").decode(),
}


def observe(host: Host, entries: Sequence[ExpectedSite]) -> list[ObservedSite]:
    """Three execs, and a dozen requests for each site. Raises HostFailed where the host cannot be seen, UsageError for a secret."""
    here, server = way.addresses(host.backend.session)
    kept = [_secrets(wanted) for wanted in entries]
    before = site_files.before(
        host,
        [path for wanted in entries for path in wanted.paths],
        [wanted.certificate[0] for wanted in entries if wanted.certificate[0]],
        [wanted.password_file for wanted in entries],
        [wanted.log for wanted in entries],
        {each.host for wanted in entries for pool in wanted.pools for each in pool.upstreams if each.is_name or each.host == "localhost"},
    )
    askers = []
    for wanted, known in zip(entries, kept, strict=True):
        outside = not wanted.only_on or server in wanted.only_on
        to = Reach(host.backend.session, here, wanted.only_on[0] if wanted.only_on else LOOPBACK, on_host=not outside)
        askers.append(_Asker(wanted, to, before, known))
    seen = [asker.observe() for asker in askers]
    after = site_files.after(
        host,
        [(asker.wanted.log, before.sizes.get(asker.wanted.log, 0), asker.marks) for asker in askers],
        [(f"{wanted.site.name}: {what}", secret) for wanted, known in zip(entries, kept, strict=True) for what, secret in known.items()],
        {f"{one.wanted.site.name} {each.name}": each.chain for one in seen for each in one.shown if not each.known_here},
    )
    return [asker.with_logs(one, after) for asker, one in zip(askers, seen, strict=True)]


def before_reboot(host: Host, seen: Sequence[ObservedSite]) -> None:
    """Nothing has to be left there."""


def after_reboot(host: Host, seen: Sequence[ObservedSite]) -> list[Rebooted]:
    found = []
    for one in seen:
        inner = one.wanted.only_on[0] if one.wanted.only_on else LOOPBACK
        to = Reach(host.backend.session, one.here, inner, on_host=bool(one.way))
        found.append(Rebooted(_Asker(one.wanted, to, Before(), {}).again(one)))
    return found


def _secrets(wanted: ExpectedSite) -> Mapping[str, Secret]:
    """All that the site knows and nobody else is to know, by what it is."""
    auth = wanted.auth if wanted.present else Auth()
    references = {f"password of {user}": reference for user, reference in auth.basic.items()}
    references |= {f"token of {who}": reference for who, reference in auth.token.items()}
    references |= {"key": auth.inject} if auth.inject else {}
    references |= {"test_key": wanted.site.test_key} if wanted.present and wanted.site.test_key else {}
    found = {what: resolve(reference) for what, reference in references.items()}
    return {**found, **{f"login of {user}": _login(user, found[f"password of {user}"]) for user in auth.basic}}


def _login(user: str, password: Secret) -> Secret:
    """As it travels."""
    return Secret(base64.b64encode(f"{user}:{password.reveal()}".encode()).decode())


@dataclass
class _Asker:
    """One site, and how it is asked."""

    wanted: ExpectedSite
    way: Reach
    before: Before
    secrets: Mapping[str, Secret]

    def __post_init__(self) -> None:
        self._mark = f"novaops-verify-{secrets.token_hex(8)}"
        self._trust = Trust(self.before.texts.get(self.wanted.certificate[0], ""))
        self._context: ssl.SSLContext | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """What the lines of the log have that come of these requests."""
        if not self.wanted.present:
            return ()
        exact = [f" {pool.path} " for pool in self.wanted.pools if pool.exact]
        return (f"/{self._mark}", *exact, *([f'"POST {self.wanted.stream} '] if self.wanted.stream else []))

    def observe(self) -> ObservedSite:
        wanted, site, before = self.wanted, self.wanted.site, self.before
        seen = ObservedSite(
            wanted,
            self.way.comes_from,
            self.way.address,
            f"it listens on {', '.join(wanted.only_on)}" if self.way.on_host else "",
            listening=before.ports,
            files={path: file for path, file in before.files.items() if path in wanted.paths},
            hashes=before.hashes.get(wanted.password_file, ()),
            workers=before.workers,
        )
        if not wanted.present:
            return seen
        seen = replace(seen, ports={port: self.way.closed(port) for port in site.ports})
        if not wanted.names or seen.ports[site.port]:
            return seen
        shown = self._certificates()
        seen = replace(
            seen,
            shown=shown,
            plain=dict(self._plain_requests()) if site.encrypted and not seen.ports[site.http_port] else {},
            unknown=dict(self._for_nobody(seen.ports)),
        )
        if site.encrypted and self._context is None:
            return seen
        pools = [self._pool(n, pool) for n, pool in enumerate(wanted.pools)] if seen.inside else []
        return replace(seen, tried=dict(self._tries()), pools=tuple(pools))

    def with_logs(self, seen: ObservedSite, after: After) -> ObservedSite:
        """What was seen, and what the host says of it."""
        logged = after.logged.get(self.wanted.log, ())
        name, key = self.wanted.site.name, self.secrets.get("key")
        leaks = [(path, what.partition(": ")[2]) for path, what in after.open if what.partition(": ")[0] == name]
        if key is not None:
            told = (who for who, answer in seen.tried.items() if key.reveal().encode() in answer.whole)
            leaks += [(f"the answer to the request of {who}", "key") for who in told]
        streamed = seen.tried.get("stream", HttpAnswer())
        lines = [line for line in logged if line.path == self.wanted.stream and line.total is not None]
        return replace(
            seen,
            taken=tuple(scheme for scheme in seen.unknown if any(f"/{self._nobodys(scheme)}" == line.path for line in logged)),
            leaks=tuple(leaks),
            # Others may stream at the same time: it is the line that lasted as long.
            api=min(lines, key=lambda line: abs((line.total or 0) - streamed.seconds), default=None),
            pools=tuple(self._with_log(n, pool, logged) for n, pool in enumerate(seen.pools)),
            verified={each.name: after.verified[f"{name} {each.name}"] for each in seen.shown if f"{name} {each.name}" in after.verified},
        )

    def again(self, seen: ObservedSite) -> HttpAnswer:
        """The stranger's request once more."""
        if "stranger" not in seen.tried:
            return HttpAnswer(trouble="it did not answer before the reboot either")
        first = seen.shown[0] if seen.shown else None
        self._context = None if first is None else self._trust.here() if first.known_here else Trust(first.chain[0]).pinned()
        return self._ask(Request(self.wanted.probe, self.wanted.host))

    # -- requests -------------------------------------------------------------------------------------------------------------

    def _certificates(self) -> tuple[Shown, ...]:
        """Of each name; what the first one was verified with is used from then on."""
        site = self.wanted.site
        if not site.encrypted:
            return ()
        found = [self._trust.look(name, lambda: self.way.open(site.port)) for name in self.wanted.names]
        self._context = found[0][1]
        return tuple(shown for shown, _ in found)

    def _tries(self) -> Iterator[tuple[str, HttpAnswer]]:
        wanted = self.wanted
        path, host, known = wanted.probe, wanted.host, self._credentials()
        yield "stranger", self._ask(Request(path, host))
        if wanted.guard:
            yield "wrong", self._ask(Request(path, host, headers=self._credentials(wrong=True)))
        if wanted.guard or wanted.provider:
            yield "known", self._ask(Request(path, host, headers=known))
        if wanted.auth.addresses and wanted.inside(self.way.comes_from) and not wanted.inside(self.way.inner):
            yield "outsider", self._ask(Request(path, host, headers=known), on_host=True)
        if wanted.provider and wanted.provider.stream and wanted.key_is_known and wanted.inside(self.way.comes_from):
            body = json.dumps(wanted.provider.stream.body).encode()
            headers = {"Content-Type": "application/json", "Accept": "text/event-stream", **known}
            yield "stream", self._ask(Request(wanted.stream, host, "POST", headers, body))

    def _plain_requests(self) -> Iterator[tuple[str, tuple[HttpAnswer, HttpAnswer]]]:
        site, path = self.wanted.site, f"/{self._mark}/plain?x=1&y=%2F"
        for name in self.wanted.names:
            asked = [Request(path, self.wanted.named(name, site.http_port, 80), method) for method in ("GET", "POST")]
            got, posted = (self._ask(one, port=site.http_port) for one in asked)
            yield f"https://{self.wanted.named(name, site.port, 443)}{path}", (got, posted)

    def _for_nobody(self, ports: Mapping[int, str]) -> Iterator[tuple[str, HttpAnswer]]:
        """Over TLS only the site's own certificate is taken: what anyone else says there could not be verified."""
        site, name = self.wanted.site, f"{self._mark}.invalid"
        if not ports[site.http_port]:
            yield "http", self._ask(Request(f"/{self._nobodys('http')}", name), port=site.http_port)
            yield "http, at /", self._ask(Request("/", name), port=site.http_port)
        own = self._trust.pinned() if site.encrypted else None
        if own is not None:
            own.check_hostname = False
            yield "https", self._ask(Request(f"/{self._nobodys('https')}", name), context=own, name=name)

    def _nobodys(self, scheme: str) -> str:
        return f"{self._mark}/nobody/{scheme}"

    def _pool(self, number: int, location: Location) -> Pool:
        headers = {} if location.auth == "off" else self._credentials()
        weights = sum(upstream.weight for upstream in location.upstreams if not upstream.backup)
        count = min(MOST_REQUESTS, max(4, 2 * weights))
        answers = list(self._several(Request(self._pools_path(number, location), self.wanted.host, headers=headers), count))
        odd = next((answer for answer in answers if answer.status in _ODD), answers[-1])
        upgrade, direct = HttpAnswer(), HttpAnswer()
        if self.wanted.site.websockets:
            upgrade = self._ask(Request(location.path, self.wanted.host, headers={**headers, **_UPGRADE}))
            if upgrade.status != 101:  # noqa: PLR2004 - HTTP
                direct = self._directly(location)
        names = {upstream.address: self._logged_as(upstream.address, upstream.host) for upstream in location.upstreams}
        return Pool(location, len(answers), odd, (), names, upgrade, direct)

    def _pools_path(self, number: int, location: Location) -> str:
        return location.path if location.exact else f"{location.path.rstrip('/')}/{self._mark}/{number}"

    def _directly(self, location: Location) -> HttpAnswer:
        """A websocket asked of the first server that takes connections, from the host."""
        last = HttpAnswer(trouble="it is a socket")
        for upstream in location.upstreams:
            if upstream.is_socket:
                continue
            port = int(upstream.address.rpartition(":")[2])
            try:
                with HttpConnection(self.way.through(upstream.host, port)) as line:
                    return line.ask(Request(location.path, self.wanted.host, headers=_UPGRADE))
            except FAILURES as error:
                last = HttpAnswer(trouble=trouble(error))
        return last

    def _with_log(self, number: int, pool: Pool, logged: Sequence[Logged]) -> Pool:
        path = self._pools_path(number, pool.location)
        return replace(pool, logged=tuple(line for line in logged if line.path == path))

    def _logged_as(self, address: str, host: str) -> frozenset[str]:
        """How the log may name a server: by an address."""
        port = address.rpartition(":")[2]
        known = self.before.addresses.get(host, frozenset())
        return frozenset({address, *(f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in known)})

    def _credentials(self, *, wrong: bool = False) -> dict[str, str]:
        """What the site lets in: the first user or token. A `wrong` one has the user's name and nobody's password."""
        wanted, nobody = self.wanted, secrets.token_hex(16)
        headers: dict[str, str] = {}
        if wanted.provider and "test_key" in self.secrets:
            headers[wanted.provider.key.header] = wanted.provider.key.value(self.secrets["test_key"].reveal())
        if wanted.guard == "basic":
            user = next(iter(wanted.auth.basic))
            login = _login(user, Secret(nobody)) if wrong else self.secrets[f"login of {user}"]
            headers["Authorization"] = f"Basic {login.reveal()}"
        if wanted.guard == "token":
            headers[wanted.auth.header] = nobody if wrong else self.secrets[f"token of {next(iter(wanted.auth.token))}"].reveal()
        return headers

    # -- asking ---------------------------------------------------------------------------------------------------------------

    def _ask(
        self, request: Request, *, port: int = 0, on_host: bool = False, context: ssl.SSLContext | None = None, name: str = ""
    ) -> HttpAnswer:
        """One connection and one request. The site's own port, and what it was verified with, unless another one is given."""
        own = self.wanted.site.port
        chosen = context or (self._context if port in {0, own} else None)
        try:
            plain = self.way.through(self.way.inner, port or own) if on_host else self.way.open(port or own)
            with HttpConnection(plain, chosen, name or self.wanted.names[0]) as line:
                return line.ask(request)
        except FAILURES as error:
            return HttpAnswer(trouble=trouble(error))

    def _several(self, request: Request, count: int) -> Iterator[HttpAnswer]:
        """On one connection, as long as it lasts: so one of nginx's workers gives its servers their turns."""
        left = count
        while left:
            answers: list[HttpAnswer] = []
            with suppress(*FAILURES), HttpConnection(self.way.open(self.wanted.site.port), self._context, self.wanted.names[0]) as line:
                while len(answers) < left:
                    answers.append(line.ask(request))
                    if "close" in answers[-1].header("Connection").lower():
                        break
            if not answers:
                answers = [HttpAnswer(trouble="the connection is closed without an answer")]
            left -= len(answers)
            yield from answers
