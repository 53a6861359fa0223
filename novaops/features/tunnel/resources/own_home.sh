# The home of the tunnels' user, and the folders in it, become root's: what root does in there by name, nobody can lead elsewhere.
# Arguments: HOME FOLDER... FILE, each in the one before it. Run by resources/authorized_key.py.
# shellcheck shell=sh
while [ $# -gt 1 ]; do
  [ ! -L "$1" ] || { echo "$1 is a symbolic link" >&2; exit 1; }
  [ -d "$1" ] || exit 0
  chown -h root:root -- "$1" && chmod 0755 -- "$1" || exit
  shift
done
[ ! -L "$1" ] || { echo "$1 is a symbolic link" >&2; exit 1; }
[ ! -e "$1" ] || [ "$(stat -c '%F %h' -- "$1")" = 'regular file 1' ] || [ "$(stat -c '%F %h' -- "$1")" = 'regular empty file 1' ] ||
  { echo "$1 is no file of its own" >&2; exit 1; }
