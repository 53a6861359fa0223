"""Where EVE-NG and what novaops adds to it are on a host. Shared with the checks."""

ADDONS = "/opt/unetlab/addons"
"""The images. Nodes run in a chroot of the host, and see what is mounted here; a link that leads out of it they do not."""
WRAPPER = "/opt/unetlab/wrappers/unl_wrapper"
LABS = "/opt/unetlab/labs"
TEMPLATES = "/opt/unetlab/html/templates"
"""A file for each kind of node, in a directory for each maker of processors."""
CONFIGURED = "/opt/ovf/.configured"
"""The wizard of the first login leaves where this file is. It asks for an address and a name, and makes new ssh host keys."""

KEYRING = "/etc/apt/keyrings/novaops-eve.gpg"
SOURCES = "/etc/apt/sources.list.d/novaops-eve.list"
RULES = "/etc/novaops/eve.nft"
GATE = "novaops-eve-ports.service"
SSHD = "/etc/ssh/sshd_config.d/00-novaops-eve.conf"
"""Read before the files of others: the first value counts."""
VERSIONS = "/var/lib/novaops/eve-versions"
"""A line for each installation: when it was, and the packages with their versions."""

DATABASE = "eve_ng_db"
DEFAULT_DATABASE_PASSWORD = "eve-ng"  # noqa: S105 - what the packages set
DEFAULT_PASSWORD = "eve"  # noqa: S105 - of the web's admin and the system's root

PORTS = ("80", "443", "3306", "4243", "4822", "8080", "32768-65535")
"""What EVE-NG listens at: the page, its database, docker, guacamole and its servlets, and the consoles of nodes."""
