# The script of a run, which stays on the host and needs nobody to watch it. run_script.py sets the variables that are not set here, and
# adds do_STEP_ACTION and undo_STEP_ACTION for each action, guard.sh where a step is guarded, and the call of main.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above
# shellcheck disable=SC2015 # A && B || C: C is for the failure of either
# `true >FILE`, not `: >FILE`: where the disk is full, dash ends at once for the latter, whatever follows it.

trap '' HUP PIPE
event() { printf '%s\n' "$*" >>"$run/events"; }
say() { tail -c 2000 "$run/output" | base64 | tr -d '\n'; }
finish() { # END
  rm -rf "$run/payload" "$run/output" "$run/script"
  in_order | head -n "-$kept_runs" | while read -r place old; do # now: this run may have undone the oldest
    [ "$old" = "$id" ] || begins "$place" "$old" || [ -e "$runs/$old/armed" ] || lives "$runs/$old" || rm -rf "${runs:?}/$old"
  done
  sync "$run/events"; event "end $1"; rm -f "$run/armed"; exit
}
begins() { # PLACE ID: whether it is only now being stored, and so has no place yet
  [ "$1" = 0 ] && [ -z "$(find "$runs/$2" -maxdepth 0 -mmin +60)" ]
}
in_order() { # the runs, "PLACE ID", the oldest first: by the host's own count, since the clocks of operators differ
  for one in "$runs"/*/; do
    one=${one%/}; place=0; [ ! -s "$one/place" ] || read -r place <"$one/place"
    printf '%s %s\n' "$place" "${one##*/}"
  done | sort -k 1,1n -k 2
}
count_of_runs() { cat "$state/count" 2>/dev/null || echo 0; }
fail() { event "failed $number $index 1 $(echo "$1" | base64 -w 0)"; finish failed; }

real() { { [ -L "$1" ] && readlink -f -- "$1"; } || printf '%s\n' "$1"; } # the file that a link leads to
digest() { sha256sum | cut -d ' ' -f 1; }
hash() { if [ -f "$1" ]; then digest <"$1"; fi; }
permissions() { stat -c %a:%u:%g -- "$1"; }
candidate() { # FILE: a name beside it that no *.conf pattern takes
  printf '%s\n' "${1%/*}/.${1##*/}.novaops-new"
}
keep() { # FILE NAME: the file as it is now, for undo
  if [ ! -e "$1" ]; then true >"$run/kept/$2.absent"
  elif ! { cp -p -- "$1" "$run/kept/$2.part" && mv "$run/kept/$2.part" "$run/kept/$2"; }; then
    rm -f "$run/kept/$2.part" # first: the message below needs room too
    echo "$1 could not be kept in $run: is the disk full?"; return 1
  fi
}
flush() { sync -f "$1" 2>/dev/null || sync; } # FILE: the whole file system it is on
put() { # CANDIDATE FILE: rename, on disk before it counts; under guard, what is kept of the old one before that
  [ ! -e "$run/armed" ] || flush "$run"
  sync "$1" && mv -f -- "$1" "$2" && sync "${2%/*}/" && { ! command -v restorecon >/dev/null || restorecon "$2"; }
}
put_back() { # FILE NAME MARKER [THEN...]: as it was before the run, and what must follow that
  kept="$run/kept/$2"; marker=$3
  if [ -e "$kept.absent" ]; then [ -e "$1" ] || [ -e "$marker" ] || return 0
  elif [ ! -e "$kept" ]; then return 0
  elif cmp -s -- "$kept" "$1" && [ "$(permissions "$kept")" = "$(permissions "$1")" ]; then [ -e "$marker" ] || return 0
  fi
  [ $# = 3 ] || true >"$marker" # where whoever puts it back is killed before the rest, another one does that
  if [ -e "$kept.absent" ]; then rm -f -- "$1" || return
  else
    back=$(candidate "$1")
    cp -p -- "$kept" "$back" && put "$back" "$1" || { rm -f -- "$back"; return 1; }
  fi
  shift 3; [ $# = 0 ] || timeout 60 "$@" || return # what hangs must not keep the rest from being put back
  rm -f -- "$marker"
}

of_step() { # STEP NUMBER...: what the list has for it
  shift "$(($1 + 1))"; echo "$1"
}
# shellcheck disable=SC2086 # lists of numbers
roll_back() { # STEP ACTION: this action and those before it, to the first one of the step, or of those that are done together with it
  number=$1 index=$2 first=$(of_step "$1" $firsts)
  [ -z "$begin" ] || [ "$begin" -gt "$first" ] || first=$begin # the guarded range that it is in
  while [ "$number" -ge "$first" ]; do
    while [ "$index" -ge 0 ]; do
      "undo_${number}_$index" >>"$run/output" 2>&1 </dev/null 8>&- 9>&-
      event "undone $number $index $?"
      index=$((index - 1))
    done
    number=$((number - 1))
    [ "$number" -lt "$first" ] || index=$(($(of_step "$number" $counts) - 1))
  done
}
fire_guards_of_others() { # before this run does anything: a run that died under guard is rolled back now, and not on top of this one's work
  for armed in "$runs"/*/armed; do
    [ -e "$armed" ] || continue
    other=${armed%/armed}
    [ -e "$other/script" ] || { rm -f "$armed"; continue; }
    flock -u 9; sh "$other/script" fire "$(cut -d ' ' -f 1 "$armed")" 9>&- </dev/null >/dev/null 2>&1; finish stale
  done
}
take_lock() { # until this process ends; the run ends here where the plan does not hold any more
  exec 9>>"$state/lock"
  if ! flock -n 9; then
    event "lock $(cat "$state/holder")"
    [ "$waits" ] || finish locked
    waited=0
    until flock -n 9; do [ $waited -lt "$wait_s" ] || finish locked; waited=$((waited + 1)); sleep 1; done
    finish stale
  fi
  fire_guards_of_others
  printf '%s\n' "$holder" >"$state/holder"
  [ "$(cat "$state/last" 2>/dev/null)" = "$after" ] || finish stale
  echo "$(($(count_of_runs) + 1))" >"$state/count.new" && mv "$state/count.new" "$state/count" && count_of_runs >"$run/place" &&
    echo "$id" >"$state/last.new" && mv "$state/last.new" "$state/last" || fail "cannot write to $state: is the disk full?"
}
there_before() { # STEP_ACTION: whether its effect was there before a call that is made for several steps, of which each has begun with it
  if "holds_$1"; then true >"$run/kept/$1.there"; else event "action ${1%_*} ${1#*_}"; return 1; fi
}
act() { # action $index of step $number; where it fails, the run ends here
  event "action $number $index"
  refusal=
  "do_${number}_$index" >"$run/output" 2>&1 </dev/null 9>&-; status=$?
  if [ $status != 0 ]; then
    [ ! -e "$run/armed" ] || rm "$run/open.$range" 2>/dev/null || await_guard # it ends this run; where it is killed before that, this one goes on
    if [ -n "$refusal" ]; then event "refused $number $index $(say)"; end=refused
    else event "failed $number $index $status $(say)"; end=failed
    fi
    roll_back "$number" "$index"
    [ ! -e "$run/armed" ] || disarm
    finish $end
  fi
  [ ! -e "$run/kept/${number}_$index.there" ] || event "there $number $index"
}
main() { # [fire RANGE]
  [ "$1" != fire ] || fire "$2"
  born $$ >"$run/born"; echo $$ >"$run/pid.new" && mv "$run/pid.new" "$run/pid"
  number=0 index=0 range=-1 begin=
  count_of_runs >"$run/place" # of a run that ends here; another one gets its own place under the lock
  take_lock
  for count in $counts; do
    case $begins in *" $number "*) range=$((range + 1)) begin=$number; arm || { forget; fail 'the guard could not be armed'; } ;; esac
    event "step $number"; index=0
    while [ $index -lt "$count" ]; do act; index=$((index + 1)); done
    event "done $number"
    case $ends in *" $number "*) hold; begin= ;; esac
    number=$((number + 1))
  done
  finish ok
}
