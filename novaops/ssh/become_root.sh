# Become root, then run what standard input says. launch.py sets mark, begin, and wants: yes where a password can be given.
# It is sent as one line, since csh takes no line break within quotes: each line here ends so that the next one may follow after a blank.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

if [ "$(id -u)" = 0 ]; then exec sh -c "$begin"; fi;
by=none; for name in doas sudo; do if command -v "$name" >/dev/null; then by=$name; fi; done;
echo "$mark $by"; echo "$mark $by" >&2;
case $by$wants in
  none*) exit 77 ;;
  doas*) exec doas -n sh -c "$begin" ;;
  sudo) exec sudo -n -- sh -c "$begin" ;;
esac;
if sudo -k -n -- sh -c : 2>/dev/null; then exec sudo -n -- sh -c "$begin"; fi;
echo "$mark password"; unset password; IFS= read -r password || exit 78;
printf '%s\n' "$password" | sudo -k -S -p '' -- sh -c : || exit 78;
echo "$mark right"; { printf '%s\n' "$password"; exec cat; } | sudo -k -S -p '' -- sh -c "$begin"
