# The sites that novaops set up: what their files say of themselves, what their upstreams answer, and their last errors.
# All upstreams of all sites are asked at the same time. `seconds`: how long an upstream may take. `lines`: how many lines of an error log.
# shellcheck shell=sh

seconds=8 lines=3
printf 'now\t%s\n' "$(date +%s)"
! systemctl is-active -q nginx.service || echo running
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
shown() { # FILE: the certificate that a client of this site is shown, which may be an older one than the file has
  at=$(sed -n 's/^ *listen \(.*\) ssl.*/\1/p' "$1" | head -n 1); at=${at%% *}
  case $at in '[::]:'*) at="[::1]:${at##*:}" ;; *:*) ;; ?*) at=127.0.0.2:$at ;; *) return ;; esac
  name=$(sed -n 's|^# base https://\([^/]*\).*|\1|p' "$1" | head -n 1); name=${name%:[0-9]*}
  case $name in '' | '['* | *.*.*.[0-9]*) return ;; esac # an address goes without a name, and another site may answer it
  timeout "$seconds" openssl s_client -connect "$at" -servername "$name" </dev/null 2>/dev/null |
    sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p'
}
for file in /etc/nginx/conf.d/novaops-*.conf; do
  case $file in *.http.conf) continue ;; esac
  [ -e "$file" ] || continue
  site=$(sed -n 's/^# site //p' "$file"); certificate=$(sed -n 's/^# certificate //p' "$file"); probe=$(sed -n 's/^# probe //p' "$file")
  [ -z "$certificate" ] || shown "$file" >"$folder/$site.shown" &
  number=0
  # shellcheck disable=SC2013 # an upstream is one word
  for upstream in $(sed -n 's/^# upstream //p' "$file"); do
    number=$((number + 1))
    case $upstream in
      unix:*) set -- --unix-socket "${upstream#unix:}" http://localhost/ ;;
      *) if grep -q -x -F "# plain $upstream" "$file"; then set -- "http://$upstream$probe"
         elif grep -q -x -F "# secure $upstream" "$file"; then set -- -k "https://$upstream/"
         elif [ -n "$probe" ]; then set -- "https://$upstream$probe"; else set -- "http://$upstream/"; fi ;;
    esac
    {
      said=$(curl -q -s -o "$folder/$site.$number.body" --noproxy '*' -m "$seconds" --max-filesize 1000000 -K - \
        -w '%{http_code}\t%{content_type}\t%{redirect_url}\t%{errormsg}' "$@" 2>/dev/null <<HEADERS
$(sed -n 's/^# header /header = /p' "$file")
HEADERS
      ); ended=$?
      printf 'upstream\t%s\t%s\t%s\t%s\n' "$upstream" "$ended" "$(printf %s "$said" | base64 -w 0)" \
        "$(head -c 2000 "$folder/$site.$number.body" 2>/dev/null | base64 -w 0)" >"$folder/$site.$number"
    } &
  done
done
wait
for file in /etc/nginx/conf.d/novaops-*.conf; do
  case $file in *.http.conf) continue ;; esac
  [ -e "$file" ] || continue
  site=$(sed -n 's/^# site //p' "$file")
  printf 'site\t%s\n' "$site"
  sed -n 's/^# \(base\|certificate\|probe\|without-key\) /\1\t/p' "$file"
  certificate=$(sed -n 's/^# certificate //p' "$file")
  [ ! -r "$certificate" ] || printf 'chain\t%s\n' "$(base64 -w 0 <"$certificate")"
  [ ! -s "$folder/$site.shown" ] || printf 'shown\t%s\n' "$(base64 -w 0 <"$folder/$site.shown")"
  for answer in "$folder/$site".[0-9]*; do case $answer in *.body) ;; *) [ ! -e "$answer" ] || cat "$answer" ;; esac; done
  # What strangers sent stands in the log: it travels encoded.
  tail -n "$lines" "/var/log/nginx/novaops-$site.error.log" 2>/dev/null |
    while IFS= read -r line; do printf 'error\t%s\n' "$(printf %s "$line" | base64 -w 0)"; done
done
