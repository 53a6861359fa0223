# What EVE-NG's host looks like, as lines of WORD VALUE. Arguments: ADDONS, CONFIGURED, novaops's file of sshd, and
# the password of the database that everybody knows. `as_started`, of formats/sshd_options.sh, stands before this.
# shellcheck shell=sh
for unit in apache2 mysql; do echo "unit $unit $(systemctl is-active "$unit" 2>/dev/null)"; done
echo "addons $(findmnt -n -o SOURCE --mountpoint "$1" 2>/dev/null | tail -n 1)"
[ ! -L "$1" ] || echo link
[ ! -e "$2" ] || echo configured
for user in root eve-ng guacuser; do
  ! MYSQL_PWD=$4 timeout 5 mysql -h 127.0.0.1 -u "$user" -e 'SELECT 1' </dev/null >/dev/null 2>&1 || echo "known $user"
done
echo "kernel $(uname -r)"
echo "newest $(find /boot -maxdepth 1 -name 'vmlinuz-*eve*' -printf '%f\n' | sed 's/^vmlinuz-//' | sort -V | tail -n 1)"
if [ -e /boot/grub/grub.cfg ]; then
  default=$(sed -n 's/^ *set default="\(.*\)"$/\1/p' /boot/grub/grub.cfg | grep -v next_entry | head -n 1)
  [ "$default" != "\${saved_entry}" ] || default=$(grub-editenv list | sed -n 's/^saved_entry=//p')
  echo "default ${default:-0}"
fi
echo "way $(ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)"
for port in /sys/class/net/pnet0/brif/*; do # the card has the bridge's own MAC address
  [ ! -e "$port" ] || [ "$(cat "/sys/class/net/${port##*/}/address")" != "$(cat /sys/class/net/pnet0/address)" ] || echo member
done
echo "root $(as_started "$(command -v sshd)" -T 2>/dev/null | sed -n 's/^permitrootlogin //p')"
echo "kept $(sed -n 's/^PermitRootLogin //p' "$3" 2>/dev/null)"
