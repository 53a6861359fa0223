"""The paths of the API: what is done for each, and what is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .labs import Lab
from .state import Eve, Failed

Route = tuple[str, str, Callable[..., Any]]


def _nodes(eve: Eve, lab: Lab) -> Any:
    return {str(number): eve.shown(lab, number) for number in lab.nodes} or []


def _all(eve: Eve, lab: Lab, action: str) -> None:
    """Start or stop every node at once. Only Community has it."""
    if eve.edition == "pro":
        raise Failed(404, "Not found")
    for number in lab.nodes:
        if action == "start":
            eve.start(lab, number)
        else:
            eve.running.stop(lab.path, number)


def _stop(eve: Eve, lab: Lab, number: int, mode: str | None) -> None:
    if (mode is None) == (eve.edition == "pro"):
        raise Failed(404, "Not found")
    eve.running.stop(lab.path, number)


def _node(lab: Lab, number: str) -> int:
    if int(number) not in lab.nodes:
        raise Failed(404, "Node does not exist (20024).")
    return int(number)


def _network(lab: Lab, number: str) -> int:
    if int(number) not in lab.networks:
        raise Failed(404, "Network does not exist (20025).")
    return int(number)


def _wire(lab: Lab, node: int, said: dict[str, Any]) -> None:
    for interface, network in said.items():
        if str(network) in {"", "0"}:
            lab.wires.pop((node, int(interface)), None)
        elif int(network) not in lab.networks or int(interface) not in lab.names(node):
            raise Failed(200, "Failed to link node: interface or network is not valid (20034).")
        else:
            lab.wires[node, int(interface)] = int(network)


def _made(number: int, what: str, code: str) -> tuple[int, str, Any]:
    return 201, f"{what} has been added to the lab ({code}).", {"id": number}


def _lab_record(lab: Lab) -> dict[str, Any]:
    return {"name": lab.name, "filename": f"{lab.name}.unl", "lock": 0, **lab.texts}


def _done(act: Callable[[], object], message: str, code: int = 200) -> tuple[int, str, Any]:
    act()
    return code, message, None


GENERAL: tuple[Route, ...] = (
    ("GET", "/auth/?", lambda _, __, user: (200, "User has been loaded (90002).", {"username": user, "role": "admin", "tenant": 1})),
    ("GET", "/status/?", lambda eve, _, __: (200, "Fetched system status (60001).", eve.status())),
    ("GET", "/list/templates/?", lambda eve, _, __: (200, "Successfully listed node templates (60003).", eve.templates())),
    ("GET", "/list/templates/([^/]+)", lambda eve, _, __, name: (200, "Successfully listed template (60032).", eve.template(name))),
    ("GET", "/list/networks/?", lambda eve, _, __: (200, "Successfully listed network types (60002).", eve.networks())),
    ("GET", "/folders(/.*|)", lambda eve, _, __, path: (200, "Successfully listed path (60007).", eve.folders(path or "/"))),
    ("GET", "/users/?", lambda eve, _, __: (200, "Users (60040).", {name: {"username": name} for name in eve.passwords})),
    (
        "PUT",
        "/users/([^/]+)",
        lambda eve, said, _, name: _done(lambda: eve.set_password(name, said["password"]), "User saved (60042).", 201),
    ),
    ("POST", "/labs/?", lambda eve, said, _: _done(lambda: eve.create_lab(said), "Lab has been created (60019).")),
)


ROUTES: tuple[Route, ...] = (
    ("GET", "", lambda _, lab, __: (200, "Lab has been loaded (60020).", _lab_record(lab))),
    ("DELETE", "", lambda eve, lab, _: _done(lambda: eve.delete_lab(lab), "Lab has been deleted (60022).")),
    ("GET", "/nodes", lambda eve, lab, _: (200, "Successfully listed nodes (60026).", _nodes(eve, lab))),
    ("POST", "/nodes", lambda eve, lab, said: _made(eve.add_node(lab, said), "Node", "60023")),
    ("GET", "/nodes/start", lambda eve, lab, _: _done(lambda: _all(eve, lab, "start"), "Nodes started (80048).")),
    ("GET", "/nodes/stop", lambda eve, lab, _: _done(lambda: _all(eve, lab, "stop"), "Nodes stopped (80050).")),
    ("GET", r"/nodes/(\d+)", lambda eve, lab, _, node: (200, "Node loaded (60025).", eve.shown(lab, _node(lab, node)))),
    ("GET", r"/nodes/(\d+)/start", lambda eve, lab, _, node: _done(lambda: eve.start(lab, _node(lab, node)), "Node started (80049).")),
    (
        "GET",
        r"/nodes/(\d+)/stop(?:/stopmode=(\d))?",
        lambda eve, lab, _, node, mode: _done(lambda: _stop(eve, lab, _node(lab, node), mode), "Node stopped (80051)."),
    ),
    ("GET", r"/nodes/(\d+)/interfaces", lambda _, lab, __, node: (200, "Interfaces (60030).", lab.interfaces(_node(lab, node)))),
    (
        "PUT",
        r"/nodes/(\d+)/interfaces",
        lambda _, lab, said, node: _done(lambda: _wire(lab, _node(lab, node), said), "Lab has been saved (60023).", 201),
    ),
    (
        "DELETE",
        r"/nodes/(\d+)",
        lambda eve, lab, _, node: _done(
            lambda: (eve.running.forget(lab.path, _node(lab, node)), lab.remove_node(int(node))), "Lab has been saved (60023)."
        ),
    ),
    ("GET", "/networks", lambda _, lab, __: (200, "Networks (60004).", {str(n): one for n, one in lab.networks.items()} or [])),
    ("POST", "/networks", lambda _, lab, said: _made(lab.add_network(said), "Network", "60006")),
    ("GET", r"/networks/(\d+)", lambda _, lab, __, network: (200, "Network (60005).", lab.networks[_network(lab, network)])),
    (
        "PUT",
        r"/networks/(\d+)",
        lambda _, lab, said, network: _done(lambda: lab.networks[_network(lab, network)].update(said), "Lab has been saved (60023).", 201),
    ),
    (
        "DELETE",
        r"/networks/(\d+)",
        lambda _, lab, __, network: _done(lambda: lab.remove_network(_network(lab, network)), "Lab has been saved (60023)."),
    ),
)
