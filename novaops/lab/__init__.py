"""Throwaway hosts on this machine: VMs and containers for trying things out, and a relay that simulates bad links."""

from novaops.lab.container import Container
from novaops.lab.disk import Disk, parse_disk
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.recipe import kind_named
from novaops.lab.vm import VirtualMachine
from tests.support.relay import Fault, Relay

__all__ = ["Container", "Disk", "Fault", "Lab", "LabHost", "Relay", "VirtualMachine", "kind_named", "parse_disk"]
