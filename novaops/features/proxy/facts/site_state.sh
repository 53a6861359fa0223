# The sites that novaops set up: what their files say of themselves, what their upstreams answer, and their last errors.
# All sites, as a stranger, and all their upstreams are asked at the same time. `seconds`: how long one may take. `lines`: how many lines of an error log.
# shellcheck shell=sh

seconds=8 lines=3
printf 'now\t%s\n' "$(date +%s)"
! systemctl is-active -q nginx.service || echo running
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
place() { # FILE: where this host reaches the site, as ADDRESS:PORT; nothing where it does not know
  at=$(sed -n 's/^ *listen \(.*\);/\1/p' "$1" | head -n 1)
  case $at in *proxy_protocol* | unix:*) return ;; esac
  at=${at%% *}
  case $at in '[::]:'*) echo "[::1]:${at##*:}" ;; *:*) echo "$at" ;; ?*) echo "127.0.0.2:$at" ;; esac
}
asked() { # FILE: what a URL of the site begins with
  sed -n 's/^# \(base\|asked\) //p' "$1" | head -n 1
}
shown() { # FILE ADDRESS:PORT: the certificate that a client of this site is shown, which may be an older one than the file has
  name=$(asked "$1" | sed -n 's|^https://\([^/]*\).*|\1|p'); name=${name%:[0-9]*}
  case $name in '' | '['* | *.*.*.[0-9]*) return ;; esac # an address goes without a name, and another site may answer it
  # Without this openssl reads all authorities of the host, which takes longer than all the rest.
  SSL_CERT_FILE=/dev/null timeout "$seconds" openssl s_client -connect "$2" -servername "$name" </dev/null 2>/dev/null |
    sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p'
}
ask() { # FILE WORDS OF CURL…: into FILE what curl says of the answer, how it ended, and how the body begins, each encoded
  into=$1; shift
  said=$(curl -q -s -o "$into.body" -D "$into.head" --noproxy '*' -m "$seconds" --max-filesize 1000000 \
    -w '%{http_code}\t%{content_type}\t%{redirect_url}\t%{errormsg}' "$@" 2>/dev/null); ended=$?
  printf '%s\t%s\t%s' "$ended" "$(printf %s "$said" | base64 -w 0)" "$(head -c 2000 "$into.body" 2>/dev/null | base64 -w 0)" >"$into"
}
for file in /etc/nginx/conf.d/novaops-*.conf; do
  case $file in *.http.conf) continue ;; esac
  [ -e "$file" ] || continue
  site=$(sed -n 's/^# site //p' "$file"); certificate=$(sed -n 's/^# certificate //p' "$file"); probe=$(sed -n 's/^# probe //p' "$file")
  at=$(place "$file"); base=$(asked "$file")
  if [ -n "$at" ] && [ -n "$certificate" ]; then shown "$file" "$at" >"$folder/$site.shown" & fi
  if [ -n "$at" ] && [ -n "$base" ]; then ask "$folder/$site.answer" -k --connect-to "::$at" -H 'X-Novaops-Asks: yes' "$base/" & fi
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
    sed -n 's/^# header /header = /p' "$file" | ask "$folder/$site.$number" -K - "$@" &
    printf '%s\n' "$upstream" >"$folder/$site.$number.upstream"
  done
done
wait
for file in /etc/nginx/conf.d/novaops-*.conf; do
  case $file in *.http.conf) continue ;; esac
  [ -e "$file" ] || continue
  site=$(sed -n 's/^# site //p' "$file")
  printf 'site\t%s\n' "$site"
  sed -n 's/^# \(base\|certificate\|probe\|without-key\|expects\) /\1\t/p' "$file"
  certificate=$(sed -n 's/^# certificate //p' "$file")
  [ ! -r "$certificate" ] || printf 'chain\t%s\n' "$(base64 -w 0 <"$certificate")"
  [ ! -s "$folder/$site.shown" ] || printf 'shown\t%s\n' "$(base64 -w 0 <"$folder/$site.shown")"
  if [ -e "$folder/$site.answer" ]; then
    named=$(sed -n 's/^[Xx]-[Nn]ovaops-[Ss]ite: *//p' "$folder/$site.answer.head" | tr -d '\r' | head -n 1)
    printf 'answer\t%s\t%s\n' "$(cat "$folder/$site.answer")" "$(printf %s "$named" | base64 -w 0)"
  fi
  for upstream in "$folder/$site".[0-9]*.upstream; do
    [ ! -e "$upstream" ] || printf 'upstream\t%s\t%s\n' "$(cat "$upstream")" "$(cat "${upstream%.upstream}")"
  done
  # What strangers sent stands in the log: it travels encoded.
  tail -n "$lines" "/var/log/nginx/novaops-$site.error.log" 2>/dev/null |
    while IFS= read -r line; do printf 'error\t%s\n' "$(printf %s "$line" | base64 -w 0)"; done
done
