"""A client of EVE-NG's API, with the calls that novaops needs. What the API is like: docs/eve.md, "The API"."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Self

import httpx2

from novaops.errors import HostFailed, NovaopsError
from novaops.features.eve import api_paths
from novaops.features.eve.api_answer import NO_API, Answer, ApiFailed, LoginRefused, NotThere, SessionTaken, mapping_of, number_of
from novaops.features.eve.api_paths import Flavour
from novaops.formats.size import human
from novaops.secret import Secret

_NATIVE_CONSOLE = "-1"
"""`html5` is mandatory at login. -1: the consoles are the nodes' own ports, and not in the browser."""


class EveApi:
    """Logged in from `__enter__` to `__exit__`. Every call raises ApiFailed.

    EVE-NG keeps one session for each user: a login elsewhere ends this one. A call that finds itself logged out logs in once more.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: Secret,
        *,
        certificate: str = "",
        timeout: float = 30.0,
        warn: Callable[[str], None] = lambda _: None,
        trouble: Callable[[], NovaopsError | None] = lambda: None,
    ) -> None:
        """`certificate`: the only one that is accepted, as PEM. `trouble` says why the way to `url` is closed, if it knows."""
        self.user = user
        self._password = password
        self._warn = warn
        self._trouble = trouble
        self._timeout = timeout
        self._http = httpx2.Client(
            base_url=f"{url}/api", verify=pinned(certificate), timeout=timeout, follow_redirects=False, trust_env=False
        )

    def __enter__(self) -> Self:
        try:
            self.login()
        except BaseException:
            self._http.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._send("GET", "/auth/logout")
        except HostFailed:
            pass  # the session ends by itself
        finally:
            self._http.close()

    # -- the server ---------------------------------------------------------------------------------------------------

    def login(self) -> None:
        """Raises LoginRefused where user or password are wrong, ApiFailed where that is not known."""
        words = {"username": self.user, "password": self._password.reveal(), "html5": _NATIVE_CONSOLE}
        answer = self._send("POST", "/auth/login", words)
        try:
            answer.data()
        except ApiFailed as error:
            if not answer.denies_login:
                raise
            raise LoginRefused(f"EVE-NG did not let {self.user} log in", why=error.why, fix=_PASSWORD) from None

    def status(self) -> dict[str, Any]:
        """`version`, and how many nodes run of each kind: iol, dynamips, qemu, docker, vpcs."""
        return mapping_of(self.get("/status"))

    @cached_property
    def flavour(self) -> Flavour:
        return Flavour(str(self.status().get("version", "")))

    def templates(self) -> dict[str, str]:
        """Titles by name. A title that ends in `.missing` has no image."""
        return {str(name): str(title) for name, title in mapping_of(self.get("/list/templates/") or {}).items()}

    def template(self, name: str) -> dict[str, Any]:
        """What a node of it is made of: `options.image.list` has its images."""
        return mapping_of(self.get(f"/list/templates{api_paths.encoded(name)}"))

    # -- labs ---------------------------------------------------------------------------------------------------------

    def lab(self, path: str) -> dict[str, Any] | None:
        """None where there is none."""
        try:
            return mapping_of(self.get(api_paths.lab(path)))
        except NotThere:
            return None

    def create_lab(self, folder: str, name: str, **texts: str) -> None:
        self.post("/labs", {"path": folder, "name": name, "version": "1", "body": "", "scripttimeout": 300, **texts})

    def delete_lab(self, path: str) -> None:
        self.call("DELETE", api_paths.lab(path))

    def nodes(self, path: str) -> dict[int, dict[str, Any]]:
        return _by_number(self.get(api_paths.lab(path, "nodes")))

    def add_node(self, path: str, node: Mapping[str, Any]) -> int:
        """Its number."""
        made = self.post(api_paths.lab(path, "nodes"), node)
        number = made.get("id") if isinstance(made, dict) else None
        if number is None:
            raise ApiFailed(f"EVE-NG did not say which number {node.get('name')} has")
        return number_of(number)

    def delete_node(self, path: str, node: int) -> None:
        self.call("DELETE", api_paths.lab(path, "nodes", node))

    def start_node(self, path: str, node: int) -> None:
        """Asks for it. Whether it runs is known from `nodes` only."""
        self.get(api_paths.lab(path, "nodes", node, "start"))

    def stop_node(self, path: str, node: int) -> None:
        first, second = self.flavour.stop_paths(path, node)
        try:
            self.get(first)
        except NotThere:
            self.get(second)

    def interfaces(self, path: str, node: int) -> dict[int, dict[str, Any]]:
        """Its ethernet interfaces by the number that EVE-NG has for each, in its order: `name`, and `network_id`, 0 for none."""
        found = mapping_of(self.get(api_paths.lab(path, "nodes", node, "interfaces")) or {})
        ethernet = found.get("ethernet", [])
        return _by_number(dict(enumerate(ethernet)) if isinstance(ethernet, list) else mapping_of(ethernet))

    def connect(self, path: str, node: int, interface: int, network: int) -> None:
        self.put(api_paths.lab(path, "nodes", node, "interfaces"), {str(interface): str(network)})

    def networks(self, path: str) -> dict[int, dict[str, Any]]:
        return _by_number(self.get(api_paths.lab(path, "networks")))

    def add_network(self, path: str, name: str, kind: str, *, visible: bool = True) -> int:
        """Its number."""
        made = self.post(api_paths.lab(path, "networks"), {"name": name, "type": kind, "visibility": int(visible), "left": 50, "top": 50})
        return number_of(mapping_of(made).get("id"))

    def hide_network(self, path: str, network: int) -> None:
        """The page draws a link instead of a cloud."""
        self.put(api_paths.lab(path, "networks", network), {"visibility": 0})

    def delete_network(self, path: str, network: int) -> None:
        self.call("DELETE", api_paths.lab(path, "networks", network))

    # -- one call -----------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.call("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.call("PUT", path, body)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The data of the answer. Logs in once more where the session has ended."""
        answer = self._send(method, path, body)
        if answer.logged_out:
            self._warn(f"EVE-NG had ended the session of {self.user}: another login, or an hour has passed. Logged in again.")
            self.login()
            answer = self._send(method, path, body)
            if answer.logged_out:
                what = f"somebody else is logged in as {self.user}, and ends our session each time"
                raise SessionTaken(what, why="EVE-NG keeps one session for each user.", fix="log out there, or use another --web-user")
        return answer.data()

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        asked = f"{method} /api{path}"
        try:
            with self._http.stream(method, path, json=body if body is None else dict(body)) as came:
                content = self._content(came, asked)
        except httpx2.TimeoutException as error:
            what = f"EVE-NG did not answer {asked} within {self._timeout:g} s"
            raise ApiFailed(what, fix="--timeout gives it more time") from error
        except (httpx2.HTTPError, ssl.SSLError) as error:
            if known := self._trouble():
                raise known from error
            fix = "systemctl status apache2, on the host"
            raise ApiFailed(f"EVE-NG's web page cannot be asked: {asked}", why=str(error), fix=fix) from error
        if came.is_redirect:
            where = came.headers.get("location", "")
            raise ApiFailed(f"EVE-NG does not answer {asked}", why=f"It leads to {where} instead.", fix="give --web-port: where that is")
        return Answer(asked, came.status_code, came.headers.get("content-type", ""), content)

    def _content(self, came: httpx2.Response, asked: str) -> bytes:
        """All of it. A server may say a little each time before its silence would count."""
        content, until = bytearray(), time.monotonic() + self._timeout
        for part in came.iter_bytes():
            content += part
            if len(content) > _LARGEST:
                raise ApiFailed(f"EVE-NG's answer to {asked} is too large", why=f"It is larger than {human(_LARGEST)}.", fix=NO_API)
            if time.monotonic() > until:
                raise httpx2.ReadTimeout("its answer goes on and on")
        return bytes(content)


_LARGEST = 64 * 1024**2
"""Bytes of an answer. A lab of a thousand nodes has about one million."""

_PASSWORD = "give the password that is set there: --web-password env:NAME, or web_password of the section eve"  # noqa: S105 - advice


def pinned(certificate: str) -> ssl.SSLContext:
    """TLS that takes this certificate and no other; none at all for "". Neither its name nor its dates count: it was read on the host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if certificate:
        context.load_verify_locations(cadata=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    return context


_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for."""


def _by_number(found: Any) -> dict[int, dict[str, Any]]:
    """EVE-NG gives an empty list where there are none, and a mapping by number else."""
    return {number_of(number): mapping_of(one) for number, one in found.items()} if isinstance(found, dict) else {}
