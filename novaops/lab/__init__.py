"""Throwaway hosts on this machine: VMs and containers for trying things out."""

from novaops.lab.container import Container
from novaops.lab.disk import Disk, parse_disk
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.recipe import kind_named
from novaops.lab.vm import VirtualMachine

__all__ = ["Container", "Disk", "Lab", "LabHost", "VirtualMachine", "kind_named", "parse_disk"]
