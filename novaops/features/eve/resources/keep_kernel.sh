# Make a kernel that works the default. Arguments: file TRIED, unit, entry, and update where GRUB's menu does not go by the saved entry yet.
# shellcheck shell=sh
if [ "$4" ]; then
  said=$(update-grub 2>&1) || { printf '%s\n' "$said"; exit 1; }
  by_saved || not_by_saved
fi
grub-set-default "$3" && { [ ! -e "/etc/systemd/system/$2" ] || systemctl disable --quiet --now "$2"; } && rm -f -- "$1"
