"""The world around a lab host, on the bridge of its containers: an API, backends, a name server, and those who certify."""

from tests.lab.world.acme import Acme
from tests.lab.world.api import FakeApi
from tests.lab.world.authority import Authority, Leaf
from tests.lab.world.backend import Backend
from tests.lab.world.name_server import NameServer
from tests.lab.world.web import Behaviour, Request, WebServer
from tests.lab.world.websocket import echo

__all__ = ["Acme", "Authority", "Backend", "Behaviour", "FakeApi", "Leaf", "NameServer", "Request", "WebServer", "echo"]
