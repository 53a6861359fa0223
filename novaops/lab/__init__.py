"""Throwaway hosts on this machine: VMs and containers for trying things out."""
