# Waits until every forward of a tunnel answers where clients will come to it, by what systemd listens at for the name, and fails where one does
# not: no name is to lead into a tunnel that does not work, nor to a systemd-socket-proxyd that is missing, or that SELinux does not let connect.
# To be put after the functions of facts/probes.sh. Set before: fresh, the seconds that a tunnel is given. Arguments: FORWARDS UNIT.
# shellcheck shell=sh
: "${fresh:?}"
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
begun=$(date +%s)
until rm -f "$folder"/*; ask_through "$1" "$folder" front; ! grep -qs '^no' "$folder"/*; do
  if [ $(($(date +%s) - begun)) -ge "$fresh" ]; then
    echo "no request gets an answer through the tunnel, so no name is led into it: /etc/hosts stays as it is" >&2
    sed -n 's/^no\t[^\t]*\t[^\t]*\t//p' "$folder"/* >&2
    journalctl -u "$2" -b -n 20 -o cat --no-pager -q 2>/dev/null | grep -E 'failed|denied|refused' | tail -n 1 >&2
    exit 1
  fi
  sleep 0.5
done
