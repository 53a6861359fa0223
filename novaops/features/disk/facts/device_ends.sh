# Functions about both ends of a block device, and about what blkid says of it.
# shellcheck shell=sh

# edge_of SIZE: how many bytes at each end of a device of SIZE bytes must read as zero before it counts as blank
edge_of() {
  if [ "$1" -gt 1048576 ]; then echo 1048576; else echo "$1"; fi
}

# fingerprint DEVICE EDGE: a hash of both ends; its first 16 digits count
fingerprint() {
  { head -c "$2" -- "$1"; tail -c "$2" -- "$1"; } | sha256sum
}

# blank_ends DEVICE SIZE EDGE: prints cmp's exit status for the first and for the last EDGE bytes, compared with zeros
blank_ends() {
  cmp -s -n "$3" -- "$1" /dev/zero; first=$?
  cmp -s -n "$3" -i $(($2 - $3)):0 -- "$1" /dev/zero; echo "$first $?"
}

# knows_only_the_partition PROBED: whether what `blkid -p -o export` printed is about the partition table's entry only,
# as it is, with a status of 0, for a blank partition
knows_only_the_partition() {
  [ "$(printf '%s\n' "$1" | grep -v -c -e ^DEVNAME= -e ^PART_ENTRY_)" = 0 ]
}
