# What is still there of a link or server that is to be absent. Comes after observe_tools.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # name, device: see above

files() { ls -d "/etc/openvpn/client/$name".* "/etc/openvpn/server/$name.conf" "/etc/novaops/vpn/$name".* 2>/dev/null; }
units() {
  systemctl list-units --all --plain --no-legend "openvpn-client@$name.service" "openvpn-server@$name.service" "novaops-vpn-$name-*"
}
running() { units | awk '$3 == "active" || $3 == "activating" { print $1 }'; }
routes() { ip route show dev "$device"; ip -6 route show dev "$device"; }
left() { "$@" 2>/dev/null; :; }
saw left:device left addresses
saw left:routes left routes
saw left:files left files
saw left:units left running
