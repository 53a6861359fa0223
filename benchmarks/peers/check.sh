#!/bin/sh
# What a host of benchmarks/run lacks of what it is to be, a line each; nothing where all is right. The same for every tool.
lacks() { echo "$1"; }
for package in jq tree rsync nginx autossh openvpn; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || lacks "the package $package"
done
for folder in conf.d keys state; do
  [ "$(stat -c %a "/etc/reference-0/$folder" 2>&1)" = 750 ] || lacks "the folder $folder, mode 0750"
done
for number in 0 1 2 3 4 5; do
  file=/etc/reference-0/conf.d/$number.conf
  [ "$(stat -c %a "$file" 2>&1) $(wc -l <"$file")" = "640 41" ] || lacks "the file $file"
done
by_password() { sshd -T -C "user=$1,host=client,addr=192.0.2.9" | sed -n 's/^passwordauthentication //p'; }
[ "$(by_password netlab)" = yes ] || lacks "a login by password for netlab"
[ "$(by_password plain)" = no ] || lacks "no login by password for others"
status() { curl -q -s -k -m 5 -o /dev/null -w '%{http_code}' "$@"; }
[ "$(status -H 'Host: www.example.com' http://127.0.0.1/)" = 200 ] || lacks "the app site"
api="--resolve api.example.com:443:127.0.0.1 https://api.example.com/v1/models"
# shellcheck disable=SC2086 # words
[ "$(status -H "Authorization: Bearer ${LAPTOP_KEY:?}" $api)" = 200 ] || lacks "the API site, with a key of its own"
# shellcheck disable=SC2086 # words
[ "$(status $api)" = 401 ] || lacks "the API site, closed to who has no key"
[ "$(status http://127.0.0.1:9001/)" = 200 ] || lacks "the tunnel"
[ "$(status "http://${BEHIND_VPN:?}/")" = 200 ] || lacks "what is behind the VPN"
ip route get "$BEHIND_VPN" | grep -q ' dev \(tun\|vpn\)' || lacks "the route through the VPN"
for unit in nginx ssh; do systemctl is-enabled -q "$unit" || lacks "$unit at boot"; done
