# Have nginx take up its configuration: test the whole of it, reload, and wait until new workers serve and no old one does.
# A reload only asks: nginx goes on as before when, say, it does not get a port. That is a failure, and what nginx logged is printed.
# An nginx that does not run is not started: taking a site away, or an undo, is no reason to.
# shellcheck shell=sh

command -v nginx >/dev/null || exit 0
set -- /run/novaops-proxy/*/changed # addresses that are taken up by the same reload
test_says=$(nginx -T 2>&1) || { printf '%s\n' "$test_says" | grep -E '\[(emerg|crit|alert)\]' || printf '%s\n' "$test_says"; exit 1; }
newline='
'
read_files=$(printf '%s\n' "$test_says" | grep '^# configuration file ')
for file in /etc/nginx/conf.d/00-novaops.conf /etc/nginx/conf.d/novaops*.conf; do
  [ -e "$file" ] || continue
  case "$read_files$newline" in *"# configuration file $file:$newline"*) continue ;; esac
  echo "nginx does not read $file: its http needs an include for it"; exit 1
done
# Two servers have a name: nginx only warns, and one of them never gets a request.
printf '%s\n' "$test_says" | sed -n 's/.*\[warn\].*conflicting server name "\(.*\)" on \(.*\), ignored.*/"\1" \2/p' | while read -r name at; do
  ! grep -h -o -E '(^|[ ;{])server_name .*' /etc/nginx/conf.d/novaops*.conf | grep -q -i -F " $name" || echo "nginx: conflicting server name $name on $at: another server has it, and nginx would ignore one of the two"
done | grep . && exit 1
children() { cat "/proc/$1/task/$1/children" 2>/dev/null || pgrep -P "$1"; }
serves() { ! tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -q 'worker process is shutting down' && [ -e "/proc/$1/cmdline" ]; }
systemctl is-active -q nginx.service || exit 0
main=$(systemctl show -p MainPID --value nginx.service)
before=" $(children "$main" | tr '\n' ' ') "
marked=$(wc -c 2>/dev/null </var/log/nginx/error.log || echo 0)
cursor=$(journalctl -q -n 1 -o cat --show-cursor 2>/dev/null | sed -n 's/^-- cursor: //p')
logged() { # LEVELS: since the reload, in the log file, or where nginx was built to write to its standard error, in the journal. Further on in a
  # line stands what a visitor sent.
  { tail -c +"$((marked + 1))" /var/log/nginx/error.log
    [ -z "$cursor" ] || journalctl -q -u nginx.service -o cat --after-cursor="$cursor"; } 2>/dev/null |
    grep -E "^(nginx:|[0-9/]{10} [0-9:]{8}) \\[($1)\\]"
}
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
  # nginx has tried five times, or has not begun to.
  case $tries in *0) ! logged emerg | grep -q -v ' bind() to ' || break ;; esac
done
echo 'nginx was told to read its configuration again, and goes on with the old one'
! logged emerg | grep -q 'bind() to .*(98' || echo 'a restart of nginx may do it, where nginx itself has the port: from one address to all of them, or back, it cannot reload'
logged 'emerg|alert|crit' | grep -v 'still could not bind' | tail -n 1
exit 1
