# What is on each block device, and who uses it. Uses the functions of device_ends.sh and device_users.sh.
# shellcheck shell=sh

cat /proc/sys/kernel/random/uuid
awk 'NR > 1 { print "swap\t" $1 }' /proc/swaps
find /dev \( -path /dev/char -o -path /dev/fd -o -path /dev/shm -o -path /dev/pts \) -prune -o -type l -printf 'link\t%p\t%l\n' 2>/dev/null
device_users | sed 's/^/user\t/'
echo json
lsblk -J -b -p -o NAME,KNAME,MAJ:MIN,TYPE,SIZE,RO,SERIAL,MODEL,PTUUID,UUID,LABEL,PARTUUID,PARTLABEL || exit
echo
lines() {
  while IFS= read -r line; do case $line in '#'* | '') ;; *) printf '%s\t%s\n' "$1" "$line" ;; esac; done <<END
$2
END
}
lsblk -r -n -b -p -o NAME,TYPE,SIZE | sort -u | while read -r path kind size; do
  case $kind in rom) continue ;; esac
  [ -b "$path" ] || continue
  [ "$size" -gt 0 ] || continue
  printf 'device\t%s\n' "$path"
  signatures=$(wipefs -n -p -- "$path") || echo unreadable
  probed=$(blkid -p -o export -- "$path"); status=$?
  [ "$status$signatures" != 0 ] || ! knows_only_the_partition "$probed" || status=2
  printf 'blkid\t%s\n' "$status"
  lines wipefs "$signatures"
  lines probed "$probed"
  case $path in /dev/mapper/*) name=$(readlink -f -- "$path") ;; *) name=$path ;; esac
  for holder in "/sys/class/block/${name##*/}/holders/"*; do [ ! -e "$holder" ] || printf 'holder\t%s\n' "${holder##*/}"; done
  edge=$(edge_of "$size")
  edges=
  if [ -z "$signatures" ] && [ "$status" = 2 ]; then
    edges=$(blank_ends "$path" "$size" "$edge")
    printf 'edges\t%s\t%s\n' "${edges% *}" "${edges#* }"
  fi
  case "$edges
$probed" in
    '0 0'* | *'
UUID='* | *'
PTUUID='*) ;;
    *) printf 'fingerprint\t%s\n' "$(fingerprint "$path" "$edge")" ;;
  esac
done
