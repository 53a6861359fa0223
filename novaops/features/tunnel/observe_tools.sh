# Functions for observe_present.sh, observe_absent.sh and observe_reboot.sh; observe.py puts them after `saw` of verify/sections.py.
# Set before: user and conf, as which and with which the tunnel's ssh runs.
# shellcheck shell=sh
: "${user:?}" "${conf:?}"
request() { curl -q -sS -o /dev/null --noproxy '*' --max-time 15 -w '%{http_code} %{remote_ip}' "$@"; }
stays_open() { # ADDRESS PORT: whether a connection is not closed within a second, where the protocol is not known
  said=$(sleep 2 | timeout 1 curl -q -sS --noproxy '*' "telnet://$1:$2" 2>&1); ended=$?
  case $ended in 124) return 0;; 0) [ -n "$said" ] || { echo "it was closed at once"; return 1; };; *) echo "$said"; return $ended;; esac
}
as_user() { timeout 25 runuser -u "$user" -- "$@"; }
log_in() { as_user ssh -v -F "$conf" -o ClearAllForwardings=yes -o ExitOnForwardFailure=yes -o ConnectTimeout=15 "$@"; }
own_listeners() { # of tunnels: other programs may have the same port, at other addresses
  uid=$(id -u "$user") || return
  ss -Htlne | grep " uid:$uid "
}
