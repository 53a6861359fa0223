# The links of a host as they are: lines of KEY and values with tabs between them, those of a link after its "link" line, and "end".
# TIMEOUT, in seconds for an API to answer, is set before it. All links are asked at once: each waits for its API and for DNS.
# shellcheck shell=sh
# shellcheck disable=SC2154 # TIMEOUT: see above

printf 'now\t%s\n' "$(date +%s)"
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT

of() { sed -n "s/^$1 //p" "$file"; }
device_to() { ip route get "$1" 2>/dev/null | sed -n '1s/.* dev \([^ ]*\).*/\1/p'; }

one() { # the link $name, whose settings are in $file
  device=$(of device) unit=openvpn-client@$name.service url=$(of check)
  curl -q -g -s -o /dev/null --noproxy '*' -m "$TIMEOUT" -w '%{http_code}\t%{local_ip}\t%{time_total}\t%{errormsg}' "$url" >"$folder/$name.answer" 2>/dev/null &
  for word in $(of name); do
    for database in ahostsv4 hosts; do timeout 8 getent "$database" -- "$word" | awk -v w="$word" '$1 !~ /%/ { print w "\t" $1 }' & done
  done >"$folder/$name.found"
  printf 'link\t%s\ndevice\t%s\nurl\t%s\n' "$name" "$device" "$url"
  ! systemctl is-active -q "$unit" || echo running
  ip -o address show dev "$device" up scope global 2>/dev/null | awk '{ sub("/.*", "", $4); print "address\t" $4 }'
  printf 'restarts\t%s\n' "$(systemctl show -p NRestarts --value "$unit")"
  for direction in rx tx; do
    printf '%s\t%s\n' $direction "$(cat "/sys/class/net/$device/statistics/${direction}_bytes" 2>/dev/null || echo 0)"
  done
  begun=$(cat "/run/novaops-vpn/$name.fresh" 2>/dev/null) # what is older may be of a link that was removed
  # -r: of what is since then, systemd before 254 takes the first lines otherwise, not the last
  journalctl -q -b ${begun:+"--since=@$begun"} -u "$unit" -o short-unix -r -n 1500 2>/dev/null | tac >"$folder/$name.log"
  awk '/Initialization Sequence Completed|TLS: soft reset/ { at = $1 } END { printf "handshake\t%.0f\n", int(at) }' "$folder/$name.log"
  sed -n 's/.*Peer Connection Initiated with \[AF_INET6\{0,1\}\]/server\t/p' "$folder/$name.log" | tail -n 1 | grep . ||
    printf 'server\t%s\n' "$(of server | head -n 1 | awk '{ print $1 ":" $2 }')"
  sed -e 's/^[^:]*: //' "$folder/$name.log" | awk '/Initialization Sequence Completed/ { said = ""; next } { said = said $0 "\n" } END { printf "%s", said }' |
    sh "/etc/novaops/vpn/$name.sh" "$name" why quiet 2>/dev/null | base64 -w 0 | sed 's/^/error\t/'
  echo
  wait
  sort -u "$folder/$name.found" | while read -r word address; do
    printf 'route\t%s\t%s\t%s\n' "$word" "$address" "$(device_to "$address")"
  done
  of network | while read -r network; do
    printf 'route\t%s\t%s\t%s\n' "$network" "${network%/*}" "$(device_to "${network%/*}")"
  done
  for word in $(of name); do cut -f 1 "$folder/$name.found" | grep -q -F -x -e "$word" || printf 'unresolved\t%s\n' "$word"; done
  printf 'answer\t%s\n' "$(cat "$folder/$name.answer")"
}

for file in /etc/novaops/vpn/*.routes; do
  [ -e "$file" ] || continue
  name=${file##*/}; name=${name%.routes}
  ( one >"$folder/$name.said" ) &
done
wait
for file in "$folder"/*.said; do [ ! -e "$file" ] || cat "$file"; done
echo end
