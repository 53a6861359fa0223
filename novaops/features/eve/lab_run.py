"""Doing it: a lab made, started, asked and taken away through EVE-NG's API. What is right already is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from novaops.engine.report import ReportLine
from novaops.errors import HostFailed, Refused
from novaops.features.eve import console, lab_plan
from novaops.features.eve.api_answer import mapping_of, number_of
from novaops.features.eve.api_client import EveApi
from novaops.features.eve.api_paths import Flavour
from novaops.features.eve.editions import editions
from novaops.features.eve.lab_plan import AUTHOR, FoundLab, FoundNetwork, FoundNode, FoundServer, Interface
from novaops.features.eve.topology import Topology
from novaops.model.plan import Change, Note
from novaops.shell import quote
from novaops.ssh.session import Session

_START_SECONDS = 30.0
"""How long a node may take from its start to status 2. One that has no disk to boot from stays at 0 for ever."""
_POLL = 0.5
_UNLIMITED = 1024
"""EVE-NG's own numbers of nodes end there."""

Tell = Callable[[str], None]


@dataclass
class LabRun:
    """One lab on one host."""

    session: Session
    api: EveApi
    topology: Topology
    tell: Tell = lambda _: None
    wait: float = 300.0
    """Seconds that the nodes together may take until their consoles answer."""
    said: str = ""
    """Of a command on this lab the words for its file and its host, each with a blank before it; none for those that it takes anyway."""
    lines: list[ReportLine] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.topology.path

    # -- what is there ------------------------------------------------------------------------------------------------

    def found(self) -> FoundLab:
        lab = self.api.lab(self.path)
        if lab is None:
            return FoundLab(None)
        nodes = (self._found_node(number, record) for number, record in self.api.nodes(self.path).items())
        networks = [FoundNetwork(n, str(one.get("name", "")), str(one.get("type", ""))) for n, one in self.api.networks(self.path).items()]
        return FoundLab(str(lab.get("author", "")), {node.name: node for node in nodes}, networks)

    def _found_node(self, number: int, record: dict[str, Any]) -> FoundNode:
        wired = [
            Interface(of_eve, str(one.get("name", "")), number_of(one.get("network_id")))
            for of_eve, one in self.api.interfaces(self.path, number).items()
        ]
        name, template, image, url = (str(record.get(key, "")) for key in ("name", "template", "image", "url"))
        return FoundNode(number, name, template, image, number_of(record.get("status")), url, tuple(wired))

    def server(self) -> FoundServer:
        named = {str(self.topology.node(name).template) for name in self.topology.nodes}
        titles = self.api.templates()
        details = {name: self.api.template(name) for name in sorted(named) if name in titles}
        ethernets = {name: mapping_of(mapping_of(one.get("options") or {}).get("ethernet") or {}) for name, one in details.items()}
        return FoundServer(
            running=lab_plan.running_nodes(self.api.status()),
            limit=node_limit(self.api.flavour, licensed=self.topology.licensed),
            templates=titles,
            images={name: lab_plan.images_of(one) for name, one in details.items()},
            ethernets={name: number_of(one.get("value")) for name, one in ethernets.items()},
            kinds={name: str(one.get("type", "qemu")) for name, one in details.items()},
        )

    # -- up -----------------------------------------------------------------------------------------------------------

    def up(self, *, check: bool = False) -> None:
        """Raises Refused before anything is made, HostFailed for a node that does not answer."""
        found = self.found()
        server = self.server()
        lab_plan.refuse_unfit(self.topology, found, server)
        self._note_others(found)
        if check:
            self._would(found)
            return
        self._line("lab", self.path, [] if found.exists else [Change("lab", None, "made")])
        if not found.exists:
            self.tell(f"making the lab {self.path}")
            self.api.create_lab(self.topology.folder, self.topology.name, author=AUTHOR, description=self.topology.description)
        for name in self.topology.nodes:
            if name not in found.nodes:
                self.tell(f"adding {name}")
                self.api.add_node(self.path, lab_plan.node_body(self.topology, name, server))
        try:
            self._wire(self.found())
        except Refused as error:
            if found.exists:
                raise
            raise HostFailed(error.what, why=f"{error.why} The lab {self.path} is there, without that link.", fix=error.fix) from None
        self._start(found)

    def _would(self, found: FoundLab) -> None:
        """The lines of what `up` would do."""
        self._line("lab", self.path, [] if found.exists else [Change("lab", None, "made")], done="would_change")
        complete = all(name in found.nodes for name in self.topology.nodes)
        missing = lab_plan.wires(self.topology, found) if complete else self.topology.links
        for link, is_missing in zip(self.topology.links, missing, strict=True):
            self._line("link", str(link), [Change("link", None, "connected")] if is_missing else [], done="would_change")
        for name in self.topology.nodes:
            self._line("node", name, self._node_changes(found.nodes.get(name), name), done="would_change")

    def _wire(self, found: FoundLab) -> None:
        clouds: dict[str, int] = {}
        for link, wire in zip(self.topology.links, lab_plan.wires(self.topology, found), strict=True):
            self._line("link", str(link), [Change("link", None, "connected")] if wire else [])
            if wire is None:
                continue
            self.tell(f"connecting {link}")
            network = wire.network or clouds.get(wire.name)
            if network is None:
                network = self.api.add_network(self.path, wire.name, wire.kind)
                if wire.kind != "bridge":
                    clouds[wire.name] = network
            for node, index in wire.connect:
                self.api.connect(self.path, found.nodes[node].number, index, network)
            if wire.kind == "bridge" and len(link.ends) == 2:  # noqa: PLR2004 - a link of two ends is drawn as a line
                self.api.hide_network(self.path, network)

    def _start(self, before: FoundLab) -> None:
        """Start what does not run, and wait until every node answers."""
        numbers = {str(record.get("name")): number for number, record in self.api.nodes(self.path).items()}
        for name in self.topology.nodes:
            if not (name in before.nodes and before.nodes[name].runs):
                self.tell(f"starting {name}")
                self.api.start_node(self.path, numbers[name])
        self.await_answers()
        for name in self.topology.nodes:
            self._line("node", name, self._node_changes(before.nodes.get(name), name))

    def _node_changes(self, before: FoundNode | None, name: str) -> list[Change]:
        wanted = self.topology.node(name)
        made = [] if before else [Change("node", None, wanted.image or str(wanted.template))]
        return made if before and before.runs else [*made, Change("state", "stopped" if before else None, "running")]

    def await_answers(self) -> None:
        """Raises HostFailed for a node that does not come to run, and for one whose console says nothing."""
        urls = self._await_running()
        if unknown := next((name for name, url in urls.items() if not console.console_of(url)[1]), None):
            raise HostFailed(
                f"{unknown} runs, and whether it works is not known: EVE-NG tells of no console of its own",
                why=f'It says "{urls[unknown]}" where another node has telnet://HOST:PORT.',
                fix=_PAGE,
            )
        deadline = time.monotonic() + self.wait
        for name, url in urls.items():
            self.tell(f"waiting for {name} to answer")
            while not console.answers(self.session, url):
                if time.monotonic() > deadline:
                    raise HostFailed(
                        f"{name} runs, and its console does not answer",
                        why=f"{self.wait:g} s have passed since the nodes were started.",
                        fix=f"look at it: novaops eve lab connect {quote(name)}{self.said}; --wait gives it more time",
                    )
                time.sleep(_POLL)

    def _await_running(self) -> dict[str, str]:
        """By node the address of its console."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            nodes = {str(one.get("name")): one for one in self.api.nodes(self.path).values()}
            stopped = [name for name in self.topology.nodes if not lab_plan.runs(nodes.get(name, {}).get("status"))]
            if not stopped:
                return {name: str(nodes[name].get("url", "")) for name in self.topology.nodes}
            if time.monotonic() > deadline:
                image = nodes.get(stopped[0], {}).get("image") or "its image"
                raise HostFailed(
                    f"{', '.join(stopped)} {'does' if len(stopped) == 1 else 'do'} not come to run",
                    why=f"EVE-NG took the start and shows status 0. The disks of {image} may have wrong names, owners or contents.",
                    fix="novaops eve image ls HOST says what is wrong with an image; novaops eve check HOST whether nodes can run there",
                )
            time.sleep(_POLL)

    # -- down ---------------------------------------------------------------------------------------------------------

    def down(self, *, check: bool = False, keep: bool = False) -> None:
        """Stop the nodes of the file, and take away what `up` has made. With `keep` they are only stopped."""
        found = self.found()
        lab_plan.refuse_foreign(self.topology, found)
        ours = [found.nodes[name] for name in self.topology.nodes if name in found.nodes]
        others = sorted(set(found.nodes) - set(self.topology.nodes))
        running = [node for node in ours if node.runs]
        if running and not check:
            self._stop(running)
        for node in ours:
            stopped = [Change("state", "running", "stopped")] if node.runs else []
            self._line("node", node.name, stopped if keep else [*stopped, Change("node", node.image, None)], done=_done(check=check))
        if keep or not found.exists:
            self._line("lab", self.path, [])
            return
        if others:
            self.notes.append(Note(f"lab:{self.path}", f"stays, for it has {', '.join(others)}, which are not in the file"))
            if not check:
                self._remove(ours)
        elif not check:
            self.tell("deleting the lab")
            self.api.delete_lab(self.path)
        self._line("lab", self.path, [] if others else [Change("lab", "there", None)], done=_done(check=check))

    def _stop(self, nodes: Sequence[FoundNode]) -> None:
        for node in nodes:
            self.tell(f"stopping {node.name}")
            self.api.stop_node(self.path, node.number)
        numbers = {node.number for node in nodes}
        deadline = time.monotonic() + _START_SECONDS
        while still := [one for number, one in self.api.nodes(self.path).items() if number in numbers and lab_plan.runs(one.get("status"))]:
            if time.monotonic() > deadline:
                names = ", ".join(str(one.get("name")) for one in still)
                raise HostFailed(f"{names} did not stop within {_START_SECONDS:g} s", why="Nothing was deleted.")
            time.sleep(_POLL)

    def _remove(self, nodes: Iterable[FoundNode]) -> None:
        """The nodes of the file, and the networks of its links that nobody uses any more."""
        for node in nodes:
            self.api.delete_node(self.path, node.number)
        left = self.found()
        named = {link.name for link in self.topology.links}
        for network in left.networks:
            if network.name in named and not left.members(network.number):
                self.api.delete_network(self.path, network.number)

    # -- validate -----------------------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Every node answers, and every assertion of the file holds. Raises HostFailed with those that do not."""
        found = self.found()
        if absent := [name for name in self.topology.nodes if name not in found.nodes or not found.nodes[name].runs]:
            raise HostFailed(f"{', '.join(absent)} of {self.path} {'does' if len(absent) == 1 else 'do'} not run", fix=self._starts)
        failed: list[str] = []
        for name in self.topology.nodes:
            self._judge(f"node:{name}", console.answers(self.session, found.nodes[name].url), "its console does not answer", failed)
        for one in self.topology.assertions:
            self.tell(str(one))
            kind, port = console.console_of(found.nodes[one.node].url)
            if kind != "telnet":
                raise Refused(f"{one.node} has no console of text", why=f"It has {found.nodes[one.node].url or 'none'}.")
            with console.Console(self.session, port) as open_console:
                held, printed = open_console.ask(one.typed, one.pattern, one.within, ping=one.ping is not None)
            self._judge(f"assertion:{one}", held, f"it printed: {' '.join(printed.split())[-300:] or 'nothing'}", failed)
        if failed:
            raise HostFailed(f"{len(failed)} of the assertions do not hold", why="\n".join(failed))

    def _judge(self, resource: str, held: bool, why: str, failed: list[str]) -> None:  # noqa: FBT001 - the verdict itself
        self.lines.append(ReportLine(resource, "unchanged" if held else "failed"))
        if not held:
            failed.append(f"{resource}: {why}")

    def console_port(self, name: str) -> int:
        """The port of the node's telnet console. Raises HostFailed."""
        if self.api.lab(self.path) is None:
            raise HostFailed(f"there is no lab {self.path}", fix=f"novaops eve lab up{self.said} makes it")
        nodes = {str(one.get("name")): one for one in self.api.nodes(self.path).values()}
        if name not in nodes:
            raise HostFailed(f"the lab {self.path} has no node {name}", fix=f"it has {', '.join(nodes) or 'none'}")
        if not lab_plan.runs(nodes[name].get("status")):
            raise HostFailed(f"{name} does not run", fix=self._starts)
        kind, port = console.console_of(str(nodes[name].get("url", "")))
        if kind != "telnet":
            raise HostFailed(f"{name} has no console of text", why=f"It has {nodes[name].get('url') or 'none'}.", fix=_PAGE)
        return port

    @property
    def _starts(self) -> str:
        return f"novaops eve lab up{self.said} starts them"

    # -- words --------------------------------------------------------------------------------------------------------

    def _note_others(self, found: FoundLab) -> None:
        if others := sorted(set(found.nodes) - set(self.topology.nodes)):
            self.notes.append(Note(f"lab:{self.path}", f"has {', '.join(others)}, which are not in the file and are left alone"))

    def _line(self, kind: str, name: str, changes: Sequence[Change], *, done: str = "changed") -> None:
        self.lines.append(ReportLine(f"{kind}:{name}", done if changes else "unchanged", tuple(changes)))


_PAGE = "novaops tunnel open HOST --to eve leads a browser to it"


def _done(*, check: bool) -> str:
    return "would_change" if check else "changed"


def node_limit(flavour: Flavour, *, licensed: bool) -> int:
    """How many nodes run at once, by the file of editions: the newest one of that name that is not newer than what is installed."""
    name = "pro" if flavour.is_pro else "community"
    known = [one for one in editions() if one.name == name]
    fitting = [one for one in known if one.major <= flavour.major]
    if not fitting:
        return _UNLIMITED  # EVE-NG itself says it
    edition = max(fitting, key=lambda one: one.major)
    return (edition.nodes_licensed or _UNLIMITED) if licensed and flavour.is_pro else edition.nodes
