# What is seen of a server: u|t PORT. Comes after observe_tools.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # name: see above

rules() { nft list ruleset 2>/dev/null; iptables-save -t nat 2>/dev/null | grep -v -e '^#'; }
folder=/etc/openvpn/server/$name
for _ in 1 2 3 4 5 6 7 8 9 10; do ss "-Hln$1" | grep -q ":$2 " && break; echo "# waiting"; sleep 1; done
saw device addresses
saw listening ss "-Hln$1"
saw forwards cat /proc/sys/net/ipv4/ip_forward
saw rules rules
saw files permissions "$folder"/*.key
accepted() { # The files of certificates that are let in, of those that the record calls revoked
  awk -F '\t' -v folder="$folder/certs" '$1 == "R" { print folder "/" $4 ".pem" }' "$folder/index.txt" |
    xargs -r openssl verify -crl_check -CAfile "$folder/ca.crt" -CRLfile "$folder.crl.pem" 2>/dev/null | sed -n 's/: OK$//p'
}
saw accepted accepted
saw crl cat "$folder.crl.pem"
saw authority cat "$folder/ca.crt"
saw enabled systemctl is-enabled -- "openvpn-server@$name.service"
