# What is still there of a link or server that is to be absent. Comes after observe_tools.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # name, device: see above

files() { # each by its whole name: others may begin with this one
  for end in conf auth pass proxy; do ls -d "/etc/openvpn/client/$name.$end"; done 2>/dev/null
  ls -d "/etc/openvpn/server/$name.conf" "/etc/novaops/vpn/$name.sh" "/etc/novaops/vpn/$name.routes" "/etc/novaops/vpn-server/$name.sh" 2>/dev/null
}
units() {
  set -- "openvpn-client@$name.service" "openvpn-server@$name.service"
  for end in routes.service routes.timer hold.service forward.service; do set -- "$@" "novaops-vpn-$name-$end"; done
  systemctl list-units --all --plain --no-legend "$@"
}
running() { units | awk '$3 == "active" || $3 == "activating" { print $1 }'; }
routes() { ip route show dev "$device"; ip -6 route show dev "$device"; }
left() { "$@" 2>/dev/null; :; }
saw left:device left addresses
saw left:routes left routes
saw left:files left files
saw left:units left running
