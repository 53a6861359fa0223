"""Everything a playbook of one's own is written with. docs/adding-a-feature.md shows how.

A playbook is a file `playbooks/NAME.py` beside the inventory. It makes `NAME:` a section.
"""

from __future__ import annotations

from novaops.engine.desired import HostView, Peers
from novaops.engine.secret_source import Reference, resolve
from novaops.errors import HostFailed, Refused, UsageError, WaitingForPeer
from novaops.formats import names
from novaops.model.action import Command, SetValue, WriteFile
from novaops.model.plan import Change, FreshLogin, ListensAt, Resource, Risk, Step, Wrapped
from novaops.model.question import Facts, Missing, Question, Section
from novaops.resources.after_peer import AfterPeer
from novaops.resources.directory import Directory
from novaops.resources.file import File
from novaops.resources.open_port import OpenPort
from novaops.resources.package import Package
from novaops.resources.unit import Unit
from novaops.resources.user import User
from novaops.secret import Secret
from novaops.shell import join, quote

__all__ = [
    "AfterPeer",
    "Change",
    "Command",
    "Directory",
    "Facts",
    "File",
    "FreshLogin",
    "HostFailed",
    "HostView",
    "ListensAt",
    "Missing",
    "OpenPort",
    "Package",
    "Peers",
    "Question",
    "Reference",
    "Refused",
    "Resource",
    "Risk",
    "Secret",
    "Section",
    "SetValue",
    "Step",
    "Unit",
    "UsageError",
    "User",
    "WaitingForPeer",
    "Wrapped",
    "WriteFile",
    "join",
    "names",
    "quote",
    "resolve",
]
