# Have nginx take up its configuration: test the whole of it, reload, and wait until new workers serve and no old one does.
# A reload only asks: nginx goes on as before when, say, it does not get a port. That is a failure, and what nginx logged is printed.
# An nginx that does not run is not started: taking a site away, or an undo, is no reason to.
# shellcheck shell=sh

command -v nginx >/dev/null || exit 0
set -- /run/novaops-proxy/*/changed # addresses that are taken up by the same reload
said=$(nginx -t 2>&1) || { printf '%s\n' "$said" | grep -E '\[(emerg|crit|alert)\]' || printf '%s\n' "$said"; exit 1; }
children() { cat "/proc/$1/task/$1/children" 2>/dev/null || pgrep -P "$1"; }
serves() { ! tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -q 'worker process is shutting down' && [ -e "/proc/$1/cmdline" ]; }
systemctl is-active -q nginx.service || exit 0
main=$(systemctl show -p MainPID --value nginx.service)
before=" $(children "$main" | tr '\n' ' ') "
marked=$(wc -c </var/log/nginx/error.log 2>/dev/null || echo 0)
systemctl reload nginx.service || exit
tries=0
while [ $tries -lt 100 ]; do
  new=0 old=0
  for worker in $(children "$main"); do
    case $before in
      *" $worker "*) ! serves "$worker" || old=1 ;;
      *) new=1 ;;
    esac
  done
  [ "$new$old" != 10 ] || { for changed; do rm -f "${changed%/*}"/*; done; exit 0; }
  tries=$((tries + 1)); sleep 0.1
done
echo 'nginx was told to read its configuration again, and goes on with the old one'
! tail -c +"$((marked + 1))" /var/log/nginx/error.log | grep -q 'bind() to .*(98' || echo 'a restart of nginx may do it, where nginx itself has the port: from one address to all of them, or back, it cannot reload'
tail -c +"$((marked + 1))" /var/log/nginx/error.log | grep -E '\[(emerg|alert|crit)\]' | tail -n 1
exit 1
