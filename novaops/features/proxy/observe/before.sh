# What a host has before its sites are asked anything, one line each. The calls with their paths and names come after these functions.
# A file's text is between the lines "text PATH" and "end text".
# shellcheck shell=sh
# shellcheck disable=SC2329 # called by what comes after

files() {
  for path; do stat -L -c "file %a %U %G $path" -- "$path" 2>/dev/null; done
}
certificates() {
  for path; do
    [ ! -f "$path" ] || { echo "text $path"; head -c 100000 -- "$path"; echo; echo "end text"; }
  done
}
passwords() {
  for path; do
    [ ! -f "$path" ] || awk -F : -v path="$path" '{ print "hash", substr($2, 1, 4), $1, path }' "$path"
  done
}
logs() {
  for path; do [ ! -f "$path" ] || echo "size $(wc -c <"$path") $path"; done
}
names() {
  for name; do getent ahosts "$name" | awk -v name="$name" '{ print "address", $1, name }'; done
}
# SITE=[http://]HOST:PORT/PATH...: whether the site's timer runs and its file has addresses that the name has, and whether the API keeps connections.
apis() {
  for one; do
    site=${one%%=*} url=${one#*=} scheme=https
    case $url in http://*) scheme=http url=${url#http://} ;; esac
    api=${url%%/*}; unit=novaops-proxy@$site.timer
    echo "timer $(systemctl is-enabled "$unit" 2>/dev/null | head -n 1) $(systemctl is-active "$unit" 2>/dev/null | head -n 1) $site"
    awk -v api="$site $api" '$1 == "server" && !/ backup/ { sub(/:[0-9]*;?$/, "", $2); gsub(/[][]/, "", $2); print "asks", $2, api }' \
      "/etc/nginx/novaops/$site.addresses/$api" 2>/dev/null
    getent ahosts "${api%:*}" | awk -v api="$site $api" '!seen[$1]++ { print "answer", $1, api }'
    said=$(curl -q -s -k -m 8 --noproxy '*' -o /dev/null -o /dev/null -w '%{num_connects}' "$scheme://$url" "$scheme://$url" 2>/dev/null) # 10: one for both
    echo "keeps ${said:-00} $site $api"
  done
  nginx -v 2>&1 | sed -n 's|.*nginx/\([0-9.]*\).*|version \1|p'
}
# CONF...: what runs certbot by itself, with the state of its unit or the word cron; and certificates that it is told to leave out.
renewals() {
  [ $# != 0 ] || return 0
  systemctl list-timers --no-legend --no-pager 2>/dev/null | awk '{ print $(NF - 1), $NF }' | while read -r timer service; do
    ! systemctl cat "$timer" "$service" 2>/dev/null | grep -q '^[^#]*certbot' || echo "renews $(systemctl is-enabled "$timer" 2>/dev/null) $timer"
  done
  ! grep -q -s -x -E 'crond?' /proc/[0-9]*/comm ||
    find /etc/crontab /etc/cron.* /var/spool/cron -type f 2>/dev/null | while read -r file; do
      ! grep '^[^#]*certbot.*renew' "$file" | grep -q -v /run/systemd/system || echo "renews cron $file"
    done
  for conf; do ! grep -q -i -E '^ *autorenew *= *(false|no|off|0)' "$conf" 2>/dev/null || echo "leaves $conf"; done
}
# Other web servers that start at the next boot and do not run now, each with what its Listen lines say: those of Apache, outside of conditions.
rivals() {
  for link in /etc/systemd/system/*.wants/*; do
    unit=${link##*/}
    case ${unit%.*} in apache2 | httpd | lighttpd | caddy | haproxy | openresty | angie | traefik | varnish | hitch) ;; *) continue ;; esac
    if [ ! -e "$link" ] || systemctl is-active -q "$unit"; then continue; fi
    case $unit in apache2.service | httpd.service) root=/etc/${unit%.service} ;; *) root=/nowhere ;; esac
    echo "rival $unit $(cat "$root"/*.conf "$root"/*-enabled/*.conf "$root"/conf/httpd.conf "$root"/conf.d/*.conf 2>/dev/null |
      sed -n 's/^[Ll]isten[[:space:]]*\([^[:space:]]*[0-9]\)\([[:space:]].*\)*$/\1/p' | tr '\n' ' ')"
  done
}
# Debian's own page, where it is enabled and nobody uses it: as the package made it, with no other file beside it.
own_page() {
  page=/etc/nginx/sites-enabled/default file=/etc/nginx/sites-available/default
  [ "$(readlink -f "$page")" = "$file" ] || return 0
  made=$(dpkg-query -W -f '${Conffiles}\n' nginx-common nginx 2>/dev/null | awk -v file="$file" '$1 == file { print $2 }')
  others=$(find /var/www/html -mindepth 1 ! -name index.nginx-debian.html 2>/dev/null | head -n 1)
  [ "$(md5sum <"$file" | cut -d ' ' -f 1)" != "$made" ] || [ -n "$others" ] || echo "own_page $page"
}
# The groups of nginx's processes that are not root's: its workers.
workers() {
  grep -shE '^(Name|Uid|Gid):' /proc/[0-9]*/status |
    awk '$1 == "Name:" { name = $2 } $1 == "Uid:" { user = $2 } $1 == "Gid:" && name == "nginx" && user { print "worker", $2 }' |
    sort -u | while read -r _ id; do echo "worker $(getent group "$id" | cut -d : -f 1)"; done
}
# The state 0A is LISTEN.
ports() {
  awk '$4 == "0A" { print "port", $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}
