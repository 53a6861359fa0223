# What is sent to the host for a run: store it and start it apart from the connection, unless that was done before; then print its events.
# run_script.py sets the variables that are not set here, and defines store, born and lives.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above
# shellcheck disable=SC2015 # A && B || C: C is for the failure of either

umask 077
no_space() { rm -rf "$run"; echo "novaops: the run could not be stored in $run: is the disk full?" >&2; exit 74; }
guard_is_open() { # the guard of this run has still something to decide, or is at work
  [ -e "$run/armed" ] && { [ "$(cut -d ' ' -f 1 "$run/born")" = "$(cat /proc/sys/kernel/random/boot_id)" ] || [ -e "$boot_unit" ]; }
}
command -v flock >/dev/null || { echo 'novaops: flock is missing: install util-linux' >&2; exit 73; }
mkdir -p "$runs" "$pending" && chmod 700 "$state" "$runs" || { echo "novaops: cannot write to $state" >&2; exit 74; }
if mkdir "$run" 2>/dev/null; then
  mkdir "$run/payload" "$run/kept" || no_space
  store
  true >"$run/events" || no_space
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
    systemd-run --quiet --collect --unit="novaops-$id" -p KillMode=process --description="novaops run $id" /bin/sh "$run/script" >/dev/null 2>&1
  then :
  else setsid sh "$run/script" </dev/null >/dev/null 2>&1 &
  fi
fi
tries=0
until [ -s "$run/pid" ]; do
  tries=$((tries + 1)); [ $tries -lt 300 ] || { echo 'novaops: the run did not start' >&2; exit 75; }
  [ -d "$run" ] || { echo 'novaops: the run could not be stored' >&2; exit 74; }
  sleep 0.1
done
pid=$(cat "$run/pid")
if lives "$run"; then
  while lives "$run"; do echo alive || exit; sleep 1 >/dev/null 2>&1; done &
  tail -n "+$next_line" -s 0.1 --pid="$pid" -f "$run/events" # which ends with the run: what comes next may have to wait for this to end
  kill $! 2>/dev/null
else
  while guard_is_open; do echo alive || exit; sleep 1; done
  tail -n "+$next_line" "$run/events"
fi
grep -q '^end ' "$run/events" || guard_is_open || echo 'end killed'
