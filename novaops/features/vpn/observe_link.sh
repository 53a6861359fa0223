# What is seen of a link: URL HERE ELSEWHERE NAME... -- ADDRESS... Comes after observe_tools.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # name: see above

url=$1 here=$2 elsewhere=$3; shift 3
saw device addresses
route_to "$here"; route_to "$elsewhere"
saw dns dns_servers
for one in $(dns_servers); do route_to "$one"; done
while [ "$1" != -- ]; do
  found=$(getent ahosts -- "$1" | awk '!seen[$1]++ { print $1 }')
  saw "name:$1" printf '%s' "$found"
  for one in $found; do route_to "$one"; done
  shift
done
shift
for one; do route_to "$one"; done
saw before bytes
saw request request "$url"
saw after bytes
client=/etc/openvpn/client/$name
saw files permissions "$client.conf" "$client.auth" "$client.pass" "$client.proxy"
saw enabled systemctl is-enabled -- "openvpn-client@$name.service"
