# The guard's part of a run's script: arm, hold, and fire, which is what the timer runs. guard.py sets the variables that are not set here;
# $range numbers the guarded range at hand, and $begin is its first step. The rest is in run.sh.
# The guard holds a lock on the run's file pid while it is at work. It needs no room on the disk, and a guard that is killed holds it no more: then
# the run takes the range back itself.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

late_s=15 # seconds after the guard's time in which it should have come

arm() { # from now on the host rolls the range back by itself
  rm -rf "$confirm_dir"; mkdir -m 1733 "$confirm_dir" && true >"$run/open.$range" && echo "$range $begin" >"$run/armed" || return
  if [ -d /run/systemd/system ]; then # no timer outlives a reboot, but this does
    mkdir -p "$wants" && printf '%s\n' '[Unit]' 'Description=novaops takes back what nobody confirmed' \
      'After=ssh.service sshd.service ssh.socket' '[Service]' Type=oneshot "ExecStart=/bin/sh $run/script fire $range" >"$boot_unit" &&
      ln -s -f "$boot_unit" "$wants/" && flush "$boot_unit" || return
  fi
  flush "$run" # a reset loses what is not on disk, and a guard without its script, or with an empty one, rolls nothing back
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
    systemd-run --quiet --collect --unit="novaops-guard-$id-$range" --description="novaops guard of run $id" \
      --on-active="$seconds" --timer-property=AccuracySec=100ms --property=Restart=on-failure /bin/sh "$run/script" fire "$range"
  then :
  else
    # shellcheck disable=SC2016 # the inner sh expands it
    setsid sh -c 'echo $$ >"$1/sleeper"; sleep "$3"; exec sh "$1/script" fire "$2"' sh "$run" "$range" "$seconds" \
      </dev/null >/dev/null 2>&1 9>&- &
  fi
}
disarm() { forget; rm -f "$run/armed"; }
forget() {
  [ ! -s "$run/sleeper" ] || [ "$(cat "$run/sleeper")" = $$ ] || kill -s TERM -- "-$(cat "$run/sleeper")" 2>/dev/null
  [ ! -d /run/systemd/system ] || systemctl --quiet stop "novaops-guard-$id-$range.timer" 2>/dev/null
  rm -rf "$confirm_dir"; rm -f "$run/sleeper" "$run/holding" "$boot_unit" "$wants/${boot_unit##*/}"
}
answers_of() { # RANGE: sets keep and back, the names of the files that say so
  # shellcheck disable=SC2086 # a list of words
  set -- "$1" $answers
  shift "$1"; keep=${2%:*} back=${2#*:}
}
hold() { # until a fresh login has confirmed the range, or it is rolled back
  answers_of "$range"
  true >"$run/holding"; event "guarded $range $seconds"
  latest=$(($(now) + seconds + late_s))
  until [ ! -e "$run/open.$range" ]; do
    if [ -e "$confirm_dir/$keep" ]; then ! rm "$run/open.$range" 2>/dev/null || { event "confirmed $range"; disarm; return; }
    elif [ -e "$confirm_dir/$back" ]; then ! rm "$run/open.$range" 2>/dev/null || { roll_back_range; disarm; finish rolled_back; }
    elif [ "$(now)" -gt "$latest" ]; then ! rm "$run/open.$range" 2>/dev/null || break # there is no guard any more
    else sleep 0.2
    fi
  done
  await_guard # the host stays this run's until the guard has done its work
  ! grep -q '^end ' "$run/events" || exit
  grep -q "^fired $range\$" "$run/events" || event "fired $range"
  roll_back_range; disarm; finish rolled_back
}
now() { cut -d . -f 1 /proc/uptime; }
await_guard() { exec 8<"$run/pid"; flock 8 9>&-; } # until no guard of this run is at work: whatever ends it, its lock goes with it
roll_back_range() {
  # shellcheck disable=SC2046 # the words of one event: action STEP ACTION
  set -- $(grep '^action ' "$run/events" | tail -n 1)
  [ "${2:--1}" -lt "$begin" ] || roll_back "$2" "$3"
}
fire() { # RANGE: not a later one, when this one was confirmed at the last moment
  read -r range begin 2>/dev/null <"$run/armed" && [ "$range" = "$1" ] || exit 0
  await_guard # and from here on others wait for this one
  pid=$(cat "$run/pid")
  rm "$run/open.$range" 2>/dev/null || ! lives "$run" || exit 0
  if ! lives "$run" || [ ! -e "$run/holding" ]; then # it is dead, or it hangs
    ! lives "$run" || kill -s KILL -- "-$pid" 2>/dev/null
    exec 9>>"$state/lock"; flock 9
    [ -e "$run/armed" ] || exit 0 # another guard was at it
    if grep -q "^confirmed $range\$" "$run/events"; then disarm; exit 0; fi
  fi
  event "fired $range"
  roll_back_range
  forget
  finish rolled_back
}
