"""The world around a lab host, on the bridge of its containers: an API, backends, a name server, and those who certify."""

from tests.support.world.acme import Acme
from tests.support.world.api import FakeApi
from tests.support.world.authority import Authority, Leaf
from tests.support.world.backend import Backend
from tests.support.world.name_server import NameServer
from tests.support.world.web import Behaviour, Request, WebServer
from tests.support.world.websocket import echo

__all__ = ["Acme", "Authority", "Backend", "Behaviour", "FakeApi", "Leaf", "NameServer", "Request", "WebServer", "echo"]
