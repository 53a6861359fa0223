# Whether a disk is still what it was when the plan was made; asked right before it is formatted or wiped.
# `device` is its path, set before. Each function says what is different, and ends the script. Uses the functions
# of device_ends.sh and device_users.sh.
# shellcheck shell=sh disable=SC2154

no() {
  echo "$device $1"; exit 1
}

# same_size SIZE
same_size() {
  [ -b "$device" ] || no 'is no block device any more'
  [ "$(blockdev --getsize64 "$device")" = "$1" ] || no 'has another size than when it was looked at'
}

# parts_are COUNT SENTENCE: the disk itself counts as one
parts_are() {
  [ "$(lsblk -n -o NAME -- "$device" | wc -l)" = "$1" ] || no "$2"
}

idle() {
  node=$(readlink -f -- "$device"); number=$(lsblk -d -n -o MAJ:MIN -- "$device" | tr -d ' ')
  awk -v number="$number" -v node="$node" \
    '$3 == number { exit 1 } { for (i = 6; i < NF; i++) if ($i == "-" && $(i + 2) == node) exit 1 }' \
    /proc/self/mountinfo || no 'is mounted now'
  awk -v node="$node" '$1 == node { exit 1 }' /proc/swaps || no 'is swap space now'
  for holder in "/sys/class/block/${node##*/}/holders/"*; do [ ! -e "$holder" ] || no "is held by ${holder##*/} now"; done
  use=$(device_users | awk -F '\t' -v name="${node##*/}" '$1 == name { print $2; exit }')
  [ -z "$use" ] || no "$use now"
}

# still_blank SIZE
still_blank() {
  same_size "$1"
  idle
  parts_are 1 'has partitions or volumes on it now'
  signatures=$(wipefs -n -p -- "$device") || no 'cannot be read by wipefs'
  [ -z "$signatures" ] || no 'has a signature on it now'
  found=$(blkid -p -o export -- "$device"); status=$?
  [ "$status" = 2 ] || { [ "$status" = 0 ] && knows_only_the_partition "$found"; } || no 'has something on it that blkid knows'
  edges=$(blank_ends "$device" "$1" "$(edge_of "$1")")
  [ "${edges% *}" = 0 ] || no 'does not begin with zeros any more'
  [ "${edges#* }" = 0 ] || no 'does not end with zeros any more'
}
