"""An application's server behind a proxy, one of several: it says which one it is."""

from __future__ import annotations

import json

from tests.support.world.authority import Leaf
from tests.support.world.web import Exchange, WebServer


class Backend(WebServer):
    """GET answers NAME and a line feed, POST and PUT answer JSON with `name`, `size` and `sha256`; a websocket echoes; `/events` streams.

    Every answer has the header `X-Backend: NAME`.
    """

    def __init__(self, name: str, address: str, port: int = 0, leaf: Leaf | None = None) -> None:
        super().__init__(address, port, leaf)
        self.name = name

    async def respond(self, exchange: Exchange) -> None:
        request = exchange.request
        named = (("X-Backend", self.name),)
        if (request.header("Upgrade") or "").lower() == "websocket":
            await exchange.echo_websocket(named)
        elif request.method in {"POST", "PUT"}:
            said = {"name": self.name, "size": request.size, "sha256": request.sha256}
            await exchange.answer(200, json.dumps(said).encode(), "application/json", named)
        elif request.path.endswith("/events"):
            await exchange.events([f"{self.name} {number}" for number in range(exchange.behaviour.events)], named)
        else:
            await exchange.answer(200, f"{self.name}\n".encode(), "text/plain", named)
