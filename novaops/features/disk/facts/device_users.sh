# Who uses a block device that no mount, swap or holder of this system names.
# shellcheck shell=sh

kernel_name() { # MAJOR:MINOR
  link=$(readlink "/sys/dev/block/$1") && printf '%s\n' "${link##*/}"
}

# device_users: for each such use a line with the kernel's name of the device, a tab, and the use in words
device_users() {
  for member in /sys/fs/btrfs/*/devices/*; do
    pool=${member%/devices/*}; [ ! -e "$member" ] || printf '%s\tis part of the mounted btrfs file system %s\n' "${member##*/}" "${pool##*/}"
  done
  for member in /sys/fs/bcachefs/*/dev-*/block; do
    node=$(readlink "$member") || continue
    pool=${member%/dev-*}; printf '%s\tis part of the mounted bcachefs file system %s\n' "${node##*/}" "${pool##*/}"
  done
  for journal in /proc/fs/jbd2/*; do # of a file system's own journal the name ends with an inode
    [ ! -e "/sys/class/block/${journal##*/}" ] || printf '%s\tholds the journal of a mounted ext4 file system\n' "${journal##*/}"
  done
  awk '{ for (n = 7; n <= NF; n++) if ($n == "-") { many = split($(n + 3), list, ","); for (i = 1; i <= many; i++) print $5 "\t" list[i] } }' /proc/self/mountinfo |
    while IFS='	' read -r target option; do
      case $option in logdev=/* | rtdev=/*) node=$(readlink -f -- "${option#*=}"); printf '%s\tis part of the file system at %s (%s)\n' "${node##*/}" "$target" "${option%%=*}" ;; esac
    done
  for file in /sys/block/zram*/backing_dev; do
    { [ -e "$file" ] && read -r node <"$file" && [ -b "$node" ]; } || continue
    node=$(readlink -f -- "$node"); file=${file%/*}; printf '%s\tis what /dev/%s writes to\n' "${node##*/}" "${file##*/}"
  done
  for file in /sys/block/loop*/loop/backing_file; do
    { [ -e "$file" ] && read -r node <"$file" && [ -b "$node" ]; } || continue
    node=$(readlink -f -- "$node"); file=${file%/loop/*}; printf '%s\tis what /dev/%s is made of\n' "${node##*/}" "${file##*/}"
  done
  for file in /sys/kernel/config/target/core/*/*/udev_path /sys/kernel/config/nvmet/subsystems/*/namespaces/*/device_path; do
    { [ -e "$file" ] && read -r node <"$file" && [ -b "$node" ]; } || continue
    node=$(readlink -f -- "$node"); printf '%s\tis exported to other hosts\n' "${node##*/}"
  done
  members_of_pools
  mounted_elsewhere
  opened_for_writing
}

members_of_pools() {
  set -- /proc/spl/kstat/zfs/*/
  if [ ! -d "$1" ]; then :
  elif command -v zpool >/dev/null; then
    timeout 10 zpool status -LP | awk '$1 == "pool:" { pool = $2 } $1 ~ "^/dev/" { sub(".*/", "", $1); print $1 "\tis part of the ZFS pool " pool }'
  else
    blkid -t TYPE=zfs_member -o device | sed 's|.*/\(.*\)|\1\tis part of a ZFS pool, and which ones are in use could not be asked|'
  fi
  # The UUID of an active volume begins with that of its group: a disk of that group is in use without a volume of its own.
  active=$(cat /sys/block/dm-*/dm/uuid 2>/dev/null | sed -n 's/^LVM-\(.\{32\}\).*/\1/p' | sort -u)
  { [ -n "$active" ] && command -v pvs >/dev/null; } || return 0
  timeout 10 pvs --readonly --noheadings --separator '	' -o pv_name,vg_name,vg_uuid | while read -r node group uuid; do
    [ "$uuid" ] || continue # in no group
    case $active in *"$(printf '%s' "$uuid" | tr -d -)"*) ;; *) continue ;; esac
    node=$(readlink -f -- "$node"); node=${node##*/}
    set -- "/sys/class/block/$node/holders/"*
    [ -e "$1" ] || printf '%s\tis part of the volume group %s, which is active\n' "$node" "$group"
  done
}

# In the mount namespaces of containers and of services, one process of each: what is mounted there and not here
mounted_elsewhere() {
  find /proc/[0-9]*/ns/mnt -maxdepth 0 -printf '%l\t%p\n' 2>/dev/null | awk -F '\t' '
    BEGIN { while ((getline line <"/proc/self/mountinfo") > 0) { split(line, f, " "); seen[f[3]] = 1 } }
    !spaces[$1]++ {
      process = $2; gsub("[^0-9]", "", process); file = "/proc/" process "/mountinfo"
      while ((getline line <file) > 0) {
        split(line, f, " ")
        if (f[3] !~ "^0:" && !seen[f[3]]++) print f[3] "\tis mounted at " f[5] " in a container or service: process " process
      }
      close(file)
    }' |
    while IFS='	' read -r number use; do
      ! node=$(kernel_name "$number") || printf '%s\t%s (%s)\n' "$node" "$use" "$(tr -d '[:cntrl:]' 2>/dev/null <"/proc/${use##* }/comm")"
    done
}

# A virtual machine's disk, say. Who only reads is none; udev opens what has just changed
opened_for_writing() {
  find /proc/[0-9]*/fd -maxdepth 1 -lname '/dev/*' ! -lname /dev/null ! -lname '/dev/pts/*' ! -lname '/dev/tty*' \
    -exec stat -L -c '%F %t %T %n' {} + 2>/dev/null | sed -n 's/^block special file //p' | while read -r major minor file; do
    process=${file%/fd/*}
    case $(sed -n 's/^flags:[[:space:]]*//p' "$process/fdinfo/${file##*/}" 2>/dev/null) in *[12]) ;; *) continue ;; esac
    read -r name <"$process/comm" || continue
    case $name in *udev*) continue ;; esac
    node=$(kernel_name "$(printf '%d:%d' "0x$major" "0x$minor")") || continue
    printf '%s\tis opened by process %s (%s)\n' "$node" "${process##*/}" "$name"
  done | sort -u
}
