"""The work of benchmarks/run as a pyinfra deploy."""

from io import StringIO
from pathlib import Path

from pyinfra import host
from pyinfra.facts.files import File
from pyinfra.operations import apt, files, server, systemd

data = host.data
templates = Path(data.templates)

if "gateways" in host.groups:
    server.user(
        name="The tunnel's account",
        user=data.account,
        system=True,
        shell="/usr/sbin/nologin",
        home=f"/var/lib/{data.account}",
        create_home=True,
    )
    server.user_authorized_keys(
        name="The tunnel's key",
        user=data.account,
        public_keys=['restrict,port-forwarding,permitopen="127.0.0.1:80" ' + Path(f"{data.tunnel_key}.pub").read_text().strip()],
        delete_keys=True,
    )

if "subjects" in host.groups:
    apt.packages(
        name="Packages",
        packages=["jq", "tree", "rsync"],
        no_recommends=True,
    )

    files.directory(name="Folder", path="/etc/reference-0", mode="755")
    for folder in ("conf.d", "keys", "state"):
        files.directory(name=f"Folder {folder}", path=f"/etc/reference-0/{folder}", mode="750")
    for number in range(6):
        files.put(name=f"File {number}", src=str(templates / "reference.conf"), dest=f"/etc/reference-0/conf.d/{number}.conf", mode="640")

if data.whole and "subjects" in host.groups:
    apt.packages(
        name="Packages of the services",
        packages=["ca-certificates", "curl", "nginx", "openvpn", "openssh-client", "autossh"],
        no_recommends=True,
    )

    server.user(name="The user who may log in by password", user="netlab", password=data.password_hash, shell="/bin/bash", create_home=True)
    passwords = files.put(
        name="Passwords for this user alone",
        src=str(templates / "passwords.conf.j2"),
        dest="/etc/ssh/sshd_config.d/00-passwords.conf",
        mode="644",
    )
    server.shell(name="Reload sshd", commands=["sshd -t && systemctl reload ssh"], _if=passwords.did_change)

    if not host.get_fact(File, path="/etc/ssl/certs/api.example.com.pem"):
        server.shell(
            name="The API site's certificate",
            commands=[
                (
                    "openssl req -x509 -newkey rsa:2048 -nodes -days 825 -subj /CN=api.example.com "
                    "-addext subjectAltName=DNS:api.example.com "
                    "-keyout /etc/ssl/private/api.example.com.key -out /etc/ssl/certs/api.example.com.pem"
                )
            ],
        )
    sites = [
        files.template(
            name="The app site",
            src=str(templates / "app.conf.j2"),
            dest="/etc/nginx/conf.d/app.conf",
            mode="644",
            upstream=data.upstream,
        ),
        files.template(
            name="The API site",
            src=str(templates / "api.conf.j2"),
            dest="/etc/nginx/conf.d/api.conf",
            mode="600",
            upstream=data.upstream,
            laptop_key=data.laptop_key,
            api_key=data.api_key,
        ),
        files.link(name="No default page", path="/etc/nginx/sites-enabled/default", present=False),
    ]
    systemd.service(name="The web server", service="nginx", running=True, enabled=True)
    systemd.service(name="Reload nginx", service="nginx", reloaded=True, _if=lambda: any(site.did_change() for site in sites))

    profile = Path(data.profile).read_text().rstrip("\n")
    vpn = files.put(
        name="The VPN's profile",
        src=StringIO(f"{profile}\nroute-nopull\nroute {data.behind_vpn}\n"),
        dest="/etc/openvpn/client/office.conf",
        mode="600",
    )
    systemd.service(name="The VPN", service="openvpn-client@office", running=True, enabled=True)
    systemd.service(name="Restart VPN", service="openvpn-client@office", restarted=True, _if=vpn.did_change)

    server.user(name="The tunnel's account", user="tunnel", system=True, shell="/usr/sbin/nologin", create_home=False)
    files.directory(name="The tunnel's folder", path="/etc/tunnel", mode="755")
    tunnel = [
        files.put(name="The tunnel's key", src=data.tunnel_key, dest="/etc/tunnel/key", user="tunnel", mode="600"),
        files.put(
            name="The gateway's host key",
            src=StringIO(f"{data.upstream} {data.gateway_key}\n"),
            dest="/etc/tunnel/known_hosts",
            mode="644",
        ),
        files.template(
            name="The tunnel's unit",
            src=str(templates / "tunnel.service.j2"),
            dest="/etc/systemd/system/tunnel.service",
            mode="644",
            upstream=data.upstream,
            account=data.account,
        ),
    ]
    systemd.service(name="The tunnel's service", service="tunnel", running=True, enabled=True, daemon_reload=tunnel[-1].will_change)
    systemd.service(name="Restart tunnel", service="tunnel", restarted=True, _if=lambda: any(one.did_change() for one in tunnel))
