# What runs certbot on the host by itself, also after the next boot: timers of systemd, and files of cron, a line each.
# Where systemd runs, the line of cron that Debian's certbot brings does nothing: it asks for /run/systemd/system.
# shellcheck shell=sh

blocks() { # AWK: its program, for each unit that systemctl shows, with `is` by the names of what is shown
  awk 'BEGIN { RS = ""; FS = "\n" }
    { split("", is); for (i = 1; i <= NF; i++) { at = index($i, "="); is[substr($i, 1, at - 1)] = substr($i, at + 1) } } '"$1"
}
timers=$(systemctl show -p Id,Unit,ActiveState,UnitFileState '*.timer' |
  blocks 'is["ActiveState"] == "active" && is["UnitFileState"] ~ /^(enabled|static)$/ { print is["Id"], is["Unit"] }')
# shellcheck disable=SC2046 # a name of a unit has no blanks
set -- $(printf '%s\n' "$timers" | cut -d ' ' -f 2)
run_it=$([ $# = 0 ] || systemctl show -p Id,ExecStart -- "$@" | blocks 'is["ExecStart"] ~ /certbot/ { print is["Id"] }')
printf '%s\n' "$timers" | while read -r timer service; do
  case $timer in *certbot*) echo "$timer"; continue ;; esac
  ! printf '%s\n' "$run_it" | grep -q -x -F -e "${service:-none}" || echo "$timer"
done
if systemctl is-active -q cron.service crond.service cronie.service; then
  for file in /etc/crontab /etc/cron.d/* /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /var/spool/cron/root /var/spool/cron/*/root; do
    ! grep -s -E '^[^#]*certbot.*(renew|certonly)' "$file" | grep -q -v /run/systemd/system || echo "$file"
  done
fi
echo end
