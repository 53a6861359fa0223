"""What nobody is advised to move or to unmount."""

from __future__ import annotations

import pytest

from novaops.features.disk.resources.places import is_of_the_system


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/etc", "/etc/ssh", "/usr/local", "/boot/efi", "/efi", "/var", "/var/lib", "/var/log", "/run", "/run/sshd"),
        *("/nix/store", "/snap", "/sysroot", "/var/spool"),
        *("/root", "/root/.ssh", "/root/data", "/home", "/home/ubuntu", "/home/ubuntu/.ssh", "/srv/people/ana/.ssh", "/srv/ana/.ssh/keys"),
        *("/var/lib/dpkg", "/var/lib/dpkg/info", "/var/lib/rpm", "/var/lib/apt", "/var/lib/systemd", "/var/lib/cloud", "/var/lib/novaops"),
    ],
)
def test_the_host_needs_it(path: str) -> None:
    assert is_of_the_system(path)


@pytest.mark.parametrize(
    "path", ["/srv", "/opt", "/data", "/mnt/root", "/home/ubuntu/data", "/var/lib/docker", "/var/lib/mysql", "/rooted", "/homes/x"]
)
def test_a_place_for_data(path: str) -> None:
    assert not is_of_the_system(path)
