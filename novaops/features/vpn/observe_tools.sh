# What the other observe_*.sh use. `saw`, name, device, REQUEST_SECONDS and PATIENCE are set before it.
# shellcheck shell=sh
# shellcheck disable=SC2154 # device, REQUEST_SECONDS: see above

request() { curl -q -sS -o /dev/null --noproxy '*' --max-time "$REQUEST_SECONDS" -w '%{http_code} %{remote_ip}' "$@"; }
bytes() { cat "/sys/class/net/$device/statistics/tx_bytes" "/sys/class/net/$device/statistics/rx_bytes"; }
addresses() { ip -o address show dev "$device" up scope global; }
permissions() { for one; do [ ! -e "$one" ] || stat -c '%U %a %n' "$one"; done; }

route_to() { # ADDRESS: where packets for it are sent, and whether they would be unreachable without the link
  saw "route:$1" ip -o route get "$1"
  family=4; case $1 in *:*) family=6 ;; esac
  saw "below:$1" ip "-$family" route show type unreachable root "$1"
}

dns_servers() {
  { cat /etc/resolv.conf; cat /run/systemd/resolve/resolv.conf 2>/dev/null; } |
    sed -n 's/^nameserver[[:space:]]*\([0-9a-fA-F.:]*\).*/\1/p' | grep -v -e '^127\.' -e '^::1$' | sort -u
}
