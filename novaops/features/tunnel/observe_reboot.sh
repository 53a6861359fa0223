# Whether a tunnel works again after a reboot, and after its ssh was killed. See observe_tools.sh; `ask` and `ask_unchanged`
# are made for each tunnel.
# Set before, too: patience, the seconds that it has for that.
# shellcheck shell=sh
: "${conf:?}" "${patience:?}"
works() { ask "$1" >"$folder/said"; ! grep '^= ' "$folder/said" | grep -qv ' 0$'; }
until_works() {
  end=$(($(date +%s) + patience))
  until works "$1"; do [ "$(date +%s)" -lt "$end" ] || break; echo "# waiting"; sleep 1; done
  cat "$folder/said"
}
folder=$(mktemp -d) || exit 1
until_works boot
ask_unchanged
kill_it() {
  killed=
  for one in /proc/[0-9]*; do
    [ "$(cat "$one/comm" 2>/dev/null)" = ssh ] || continue
    tr '\000' ' ' <"$one/cmdline" | grep -qF -- " $conf " || continue
    kill -KILL "${one#/proc/}" && killed=yes
  done
  [ -n "$killed" ]
}
saw killed kill_it
until_works healed
rm -rf "$folder"
saw end true
