"""The web page over HTTP, and over TLS for Pro."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .routes import GENERAL, ROUTES
from .state import Eve, Failed, Fault

LOGGED_OUT = {"community": 412, "pro": 401}
PAGE = b"<!DOCTYPE html><html><head><title>EVE | Login</title></head><body></body></html>"


class Handler(BaseHTTPRequestHandler):
    """One connection. `server.eve` is what it serves; `server.leads_to` is the port of TLS, where this one leads there only."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        eve = self.server.eve
        path = self.path.partition("?")[0]
        if self.server.leads_to:
            host = (self.headers.get("host") or "127.0.0.1").partition(":")[0]
            self._send(301, b"", "text/html", location=f"https://{host}:{self.server.leads_to}{self.path}")
            return
        eve.calls.append(f"{method} {path}")
        fault = next((one for one in eve.faults if one.due(f"{method} {path}")), None)
        if fault is not None and self._misbehaves(fault):
            return
        if not path.startswith("/api/"):
            self._send(200, PAGE, "text/html")
            return
        try:
            with eve.lock:
                self._answer(method, path.removeprefix("/api"), body)
        except Failed as error:
            self._json(error.status, {"code": error.status, "status": error.word, "message": error.message})

    def _misbehaves(self, fault: Fault) -> bool:
        """Whether that was the answer."""
        if fault.kind == "slow":
            fault.until.wait(30)
            return False
        if fault.kind == "html":
            self._send(200, PAGE, "text/html")
        elif fault.kind == "fail":
            self._json(200, {"code": 200, "status": "fail", "message": "Failed to do that (12)."})
        elif fault.kind == "logged-out":
            self._logged_out()
        elif fault.kind == "drop":
            self.close_connection = True
        return True

    def _answer(self, method: str, path: str, body: bytes) -> None:
        eve = self.server.eve
        said = json.loads(body) if body else {}
        if (method, path) == ("POST", "/auth/login"):
            cookie = eve.login(said)
            answer = {"code": 200, "status": "success", "message": "User logged in (90013)."}
            self._json(200, answer, **{"set-cookie": f"unetlab_session={cookie}; Path=/api/"})
            return
        user = eve.user_of(self._cookie())
        if user is None:
            self._logged_out()
            return
        if path == "/auth/logout":
            del eve.sessions[user]
            self._json(200, {"code": 200, "status": "success", "message": "User logged out (90019)."})
            return
        found = self._elsewhere(method, path, said, user) or self._in_a_lab(method, path, said)
        if found is None:
            raise Failed(404, "Not found")
        code, message, data = found
        self._json(code, {"code": code, "status": "success", "message": message, **({} if data is None else {"data": data})})

    def _elsewhere(self, method: str, path: str, said: dict[str, Any], user: str) -> tuple[int, str, Any] | None:
        for wanted, pattern, act in GENERAL:
            if wanted == method and (found := re.fullmatch(pattern, path)):
                answer: tuple[int, str, Any] = act(self.server.eve, said, user, *(unquote(part) for part in found.groups()))
                return answer
        return None

    def _in_a_lab(self, method: str, path: str, said: dict[str, Any]) -> tuple[int, str, Any] | None:
        found = re.fullmatch(r"/labs(/.*?\.unl)((?:/.*)?)", path)
        if found is None:
            return None
        eve = self.server.eve
        lab = eve.lab("/".join(unquote(part) for part in found[1].split("/")))
        for wanted, pattern, act in ROUTES:
            if wanted == method and (inside := re.fullmatch(pattern, found[2])):
                code, message, data = act(eve, lab, said, *inside.groups())
                if method != "GET" and lab.path in eve.labs:
                    lab.write(eve.root)
                return code, message, data
        return None

    def _cookie(self) -> str:
        cookie = SimpleCookie(self.headers.get("cookie") or "").get("unetlab_session")
        return cookie.value if cookie else ""

    def _logged_out(self) -> None:
        code = LOGGED_OUT[self.server.eve.edition]
        message = "User is not authenticated or session timed out (90001)."
        self._json(code, {"code": code, "status": "unauthorized", "message": message})

    def _json(self, status: int, body: dict[str, Any], **headers: str) -> None:
        self._send(status, json.dumps(body).encode(), "application/json", **headers)

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Serves from its construction to `close`."""

    daemon_threads = True

    def __init__(
        self, eve: Eve, port: int = 0, *, tls: tuple[Path, Path] | None = None, leads_to: int = 0, address: str = "127.0.0.1"
    ) -> None:
        """`tls`: the files of the certificate and its key."""
        super().__init__((address, port), Handler)
        self.eve = eve
        self.leads_to = leads_to
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is nobody's concern."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


def serve_for_ever() -> None:
    while True:
        time.sleep(3600)
