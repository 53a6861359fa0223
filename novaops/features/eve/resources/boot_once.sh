# Choose a kernel for the next boot only. Arguments: RELEASE, RUNNING release, file TRIED, unit.
# shellcheck shell=sh
entry_of() { entries | while read -r release entry; do [ "$release" != "$1" ] || printf '%s\n' "$entry"; done; }
said=$(update-grub 2>&1) || { printf '%s\n' "$said"; exit 1; }
by_saved || not_by_saved
new=$(entry_of "$1") old=$(entry_of "$2")
[ "$new" ] || { echo "GRUB's menu has no entry for $1"; exit 1; }
[ "$old" ] || { echo "GRUB's menu has no entry for $2, which runs now, and there would be nothing to fall back to"; exit 1; }
grub-set-default "$old" && grub-reboot "$new" && printf '%s\n' "$1" >"$3" &&
  systemctl daemon-reload && systemctl enable --quiet "$4"
