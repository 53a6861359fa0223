# What runs certbot on the host by itself, also after the next boot: timers of systemd, and files of cron, a line each.
# Where systemd runs, the line of cron that Debian's certbot brings does nothing: it asks for /run/systemd/system.
# shellcheck shell=sh

systemctl show -p Id,Unit,ActiveState,UnitFileState '*.timer' | awk '
  BEGIN { RS = ""; FS = "\n" }
  { split("", is); for (i = 1; i <= NF; i++) { at = index($i, "="); is[substr($i, 1, at - 1)] = substr($i, at + 1) } }
  is["ActiveState"] == "active" && is["UnitFileState"] ~ /^(enabled|static)$/ { print is["Id"], is["Unit"] }
' | while read -r timer service; do
  ! { echo "$timer"; systemctl show -p ExecStart --value -- "$service"; } | grep -q certbot || echo "$timer"
done
if systemctl is-active -q cron.service crond.service cronie.service; then
  for file in /etc/crontab /etc/cron.d/* /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /var/spool/cron/root /var/spool/cron/*/root; do
    ! grep -s -E '^[^#]*certbot.*(renew|certonly)' "$file" | grep -q -v /run/systemd/system || echo "$file"
  done
fi
echo end
