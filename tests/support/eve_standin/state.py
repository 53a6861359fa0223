"""All that the page knows: users, sessions, labs, limits, and the faults that a test asks for."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import images
from .labs import CHOSEN, Lab
from .nodes import Running

VERSIONS = {"community": "6.2.0-4", "pro": "7.2.0-4-PRO"}
LIMITS = {"community": 63, "pro": 7}
NETWORKS = {"bridge": "bridge", "ovs": "ovs", **{f"pnet{number}": f"Cloud{number}" for number in range(10)}}
PRO_NETWORKS = {"nat0": "NAT", "internal": "internal", "private": "private"}


class Failed(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, word: str = "fail") -> None:
        super().__init__(message)
        self.status, self.message, self.word = status, message, word


@dataclass
class Fault:
    """What goes wrong with the calls whose "METHOD path" the pattern matches, as often as `times`; None is always."""

    pattern: str
    kind: str
    """fail: 200 with status fail; html: a page; slow: waits for `until`; logged-out: as after another login; drop: closes."""
    times: int | None = None
    until: threading.Event = field(default_factory=threading.Event)

    def due(self, call: str) -> bool:
        if not re.search(self.pattern, call) or self.times == 0:
            return False
        self.times = None if self.times is None else self.times - 1
        return True


class Eve:
    """All that the page knows."""

    def __init__(
        self, root: Path, edition: str = "community", *, licensed: bool = False, ports: int | None = None, database: bool = False
    ) -> None:
        """`database`: the users are in EVE-NG's own, which its packages made."""
        self.root = root
        self.edition = edition
        self.limit = 1024 if licensed else LIMITS[edition]
        self.images = images.Images(root)
        self.running = Running(ports)
        self.labs: dict[str, Lab] = {}
        self.sessions: dict[str, str] = {}
        """By user the cookie of the one session."""
        self.faults: list[Fault] = []
        self.calls: list[str] = []
        self.lock = threading.RLock()
        self._passwords = root / "standin-passwords.json"
        self._database = database

    @property
    def passwords(self) -> dict[str, str]:
        return dict(json.loads(self._passwords.read_text())) if self._passwords.exists() else {"admin": "eve"}

    def set_password(self, user: str, password: str) -> None:
        self._passwords.write_text(json.dumps({**self.passwords, user: password}))

    def _knows(self, user: str, password: str) -> bool:
        """By the database, as root asks it, where the passwords are there: hashed, as the real one has them."""
        if not self._database or not user.isalnum():
            return self.passwords.get(user) == password
        asked = f"SELECT password FROM eve_ng_db.users WHERE username = '{user}'"  # noqa: S608 - letters and digits
        functions = (self.root / "html/includes/functions.php").read_text()
        word = re.search(r"dbname=eve_ng_db', *'eve-ng', *'([^']*)'", functions)
        environment = {**os.environ, "MYSQL_PWD": word[1] if word else ""}
        command = ["mariadb", "-u", "eve-ng", "-N", "-B", "-e", asked]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()
        return found == hashlib.sha256(password.encode()).hexdigest()

    def user_of(self, cookie: str) -> str | None:
        return next((user for user, own in self.sessions.items() if own == cookie), None)

    # -- what is not in a lab -----------------------------------------------------------------------------------------

    def login(self, said: dict[str, Any]) -> str:
        """The cookie. Another session of the user ends."""
        if "html5" not in said:
            raise Failed(400, "Missing parameter html5 (90016).")
        user = str(said.get("username", ""))
        if not self._knows(user, str(said.get("password"))):
            raise Failed(400, "Authentication failed: invalid username or password (90014).")
        self.sessions[user] = secrets.token_hex(16)
        return self.sessions[user]

    def status(self) -> dict[str, Any]:
        shares = dict.fromkeys(("cpu", "disk", "cached", "mem", "swap"), 5)
        kinds = dict.fromkeys(("iol", "dynamips", "docker", "vpcs"), 0)
        return {"version": VERSIONS[self.edition], "qemu_version": "2.4.0", **shares, **kinds, "qemu": len(self.running)}

    def templates(self) -> dict[str, str]:
        return {name: title + ("" if self.images.of(name) else ".missing") for name, title in images.TEMPLATES.items()}

    def template(self, name: str) -> dict[str, Any]:
        if name not in images.TEMPLATES:
            raise Failed(404, "Requested template is not valid (60031).")
        found = self.images.of(name)
        options = {
            "name": {"name": "Name", "type": "input", "value": name},
            "image": {"name": "Image", "type": "list", "value": found[-1] if found else "", "list": {one: one for one in found}},
            "cpu": {"name": "CPU", "type": "input", "value": 1},
            "ram": {"name": "RAM (MB)", "type": "input", "value": 512},
            "ethernet": {"name": "Ethernets", "type": "input", "value": 4},
            "console": {"name": "Console", "type": "list", "value": "telnet", "list": {"telnet": "telnet", "vnc": "vnc"}},
        }
        return {"description": images.TEMPLATES[name], "type": images.kind_of(name), "options": options}

    def networks(self) -> dict[str, str]:
        return {**NETWORKS, **(PRO_NETWORKS if self.edition == "pro" else {})}

    def folders(self, path: str) -> dict[str, Any]:
        inside = path.rstrip("/") + "/"
        labs = [{"file": f"{lab.name}.unl", "path": lab.path} for lab in self.labs.values() if lab.path.rpartition("/")[0] + "/" == inside]
        return {"folders": [], "labs": labs}

    # -- labs ---------------------------------------------------------------------------------------------------------

    def lab(self, path: str) -> Lab:
        if path not in self.labs:
            raise Failed(404, "Lab does not exist (60038).")
        return self.labs[path]

    def create_lab(self, said: dict[str, Any]) -> None:
        name = str(said.get("name", ""))
        if not re.fullmatch(r"[\w. -]+", name):
            raise Failed(400, "Lab name is not valid (20003).")
        path = "/" + "/".join([*(part for part in str(said.get("path", "/")).split("/") if part), f"{name}.unl"])
        if path in self.labs:
            raise Failed(400, "Lab already exists (60016).")
        self.labs[path] = Lab(path, {key: str(said.get(key, "")) for key in ("author", "description", "version", "body")})

    def delete_lab(self, lab: Lab) -> None:
        for node in list(lab.nodes):
            self.running.forget(lab.path, node)
        del self.labs[lab.path]
        lab.erase(self.root)

    def shown(self, lab: Lab, number: int) -> dict[str, Any]:
        """The record of a node."""
        node = lab.nodes[number]
        url = f"{node['console']}://127.0.0.1:{self.running.console(lab.path, number)}"
        return {**node, "status": self.running.status(lab.path, number), "url": url}

    def add_node(self, lab: Lab, said: dict[str, Any]) -> int:
        template = str(said.get("template", ""))
        if template not in images.TEMPLATES:
            raise Failed(400, "Failed to add node: template is not valid (20029).")
        chosen = {key: said[key] for key in CHOSEN if said.get(key) not in (None, "")}
        known = self.images.of(template)
        defaults = {"type": images.kind_of(template), "image": known[-1] if known else ""}
        return lab.add_node({**defaults, **chosen})

    def start(self, lab: Lab, number: int) -> None:
        if len(self.running) >= self.limit:
            raise Failed(200, f"Failed to start node (12). The limit of {self.limit} running nodes is reached.")
        node = lab.nodes[number]
        allowed = node["image"] in self.images.of(node["template"])
        self.running.start(lab.path, number, self.images.disks(node["image"]) if allowed else [])

    def close(self) -> None:
        for fault in self.faults:
            fault.until.set()
        self.running.stop_all()
