# What nginx is on the host, or would be, as lines KEY=VALUE; and after the line "conf=" all of its configuration.
# Set before: `bundles` and `folders`, which may hold the trusted authorities, and `page`, the link to Debian's default page.
# shellcheck shell=sh

: "${bundles:?}" "${folders:?}" "${page:?}"
say() { printf '%s=%s\n' "$1" "$2"; }
sed -n 's/^\(ID\|VERSION_ID\)=/os_&/p' /etc/os-release | tr -d '"'
[ ! -e /proc/net/if_inet6 ] || say ipv6 yes
[ -z "$(ip -6 route show default 2>/dev/null)" ] || say ipv6_route yes
for bundle in $bundles; do [ ! -e "$bundle" ] || { say bundle "$bundle"; break; }; done
for folder in $folders; do
  set -- "$folder"/*.0
  [ ! -e "$1" ] || { say trust_folder "$folder"; break; }
done
awk '$1 == "nameserver" { print "resolver=" $2 }' /etc/resolv.conf 2>/dev/null
[ ! -s /var/lib/dpkg/status ] || say debian yes # its program alone may be on a host of rpm too
if command -v nginx >/dev/null; then
  say version "$(nginx -v 2>&1 | sed 's|.*nginx/||')"
  say built "$(nginx -V 2>&1 | sed -n 's/^configure arguments: //p')"
  systemctl show -p ExecStart --value nginx.service 2>/dev/null | sed -n 's/.*argv\[\]=[^ ]*nginx \(.*\) ; ignore_errors=.*/started=\1/p'
  main=$(systemctl show -p MainPID --value nginx.service 2>/dev/null) # its title has the words that it was started with
  [ "${main:-0}" = 0 ] || { tr '\0\n' '  ' <"/proc/$main/cmdline"; echo; } 2>/dev/null | sed -n 's/^nginx: master process [^ ]*nginx /started=/p'
  if [ -L "$page" ] && [ "$(readlink -f "$page")" = /etc/nginx/sites-available/default ]; then
    shipped=$(dpkg-query -W -f '${Conffiles}\n' nginx-common nginx 2>/dev/null | awk '$1 == "/etc/nginx/sites-available/default" { print $2 }')
    # shellcheck disable=SC2010,SC2143 # any other name counts, hidden ones too
    [ "$(md5sum </etc/nginx/sites-available/default | cut -d ' ' -f 1)" != "$shipped" ] ||
      { systemctl is-active -q nginx.service && [ -n "$(ls -A /var/www/html 2>/dev/null | grep -v -x index.nginx-debian.html)" ]; } || say default_page yes
  fi
  if conf=$(nginx -T 2>&1); then say conf; printf '%s\n' "$conf"
  else say broken "$(printf '%s\n' "$conf" | grep -E '\[(emerg|crit|alert)\]' | tail -n 1)"
  fi
elif command -v apt-cache >/dev/null; then say candidate "$(LC_ALL=C apt-cache policy nginx 2>/dev/null | sed -n 's/^  Candidate: //p')"
fi
