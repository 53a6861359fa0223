# How large the file system at each PATH is, and how large its device and its disk are. The arguments are the PATHs.
# shellcheck shell=sh

for path do
  real=$(readlink -m -- "$path")
  kind=$(findmnt -n -o FSTYPE --mountpoint "$real") || { echo absent; continue; }
  source=$(findmnt -n -o SOURCE --mountpoint "$real" | sed 's/\[.*//'); source=$(readlink -f -- "$source")
  block=/sys/class/block/${source##*/}; disk='' number=0 behind=0
  if [ -e "$block/partition" ]; then disk=$(lsblk -d -n -p -o PKNAME -- "$source"); fi
  rescan=/sys/class/block/$(basename "${disk:-$source}")/device/rescan
  [ ! -w "$rescan" ] || echo 1 >"$rescan"
  if [ -n "$disk" ]; then
    number=$(cat "$block/partition"); end=$(( $(cat "$block/start") + $(cat "$block/size") ))
    behind=$(( $(cat "/sys/class/block/${disk##*/}/size") - end ))
    for other in "/sys/class/block/${disk##*/}/"*/start; do [ "$(cat "$other")" -lt "$end" ] || behind=0; done
  fi
  case $kind in
    ext*)
      sizes=$(dumpe2fs -h "$source" 2>/dev/null | awk -F: '
        /^Block count/ { n = $2 } /^Block size/ { b = $2 } /^Blocks per group/ { g = $2 }
        END { printf "%.0f\t%.0f", n * b, g * b }') ;;
    xfs)
      sizes=$(xfs_info "$real" | tr ',' ' ' | awk '
        /^data/ { for (i = 1; i <= NF; i++) { split($i, kv, "="); if (kv[1] == "bsize") b = kv[2]; if (kv[1] == "blocks") n = kv[2] } }
        END { printf "%.0f\t%.0f", n * b, 16777216 }') ;;
    btrfs) sizes=$(btrfs filesystem show --raw "$real" | awk '/devid/ { s += $4 } END { printf "%.0f\t%.0f", s, 16777216 }') ;;
    *) sizes='' ;;
  esac
  printf 'room\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' \
    "$kind" "$source" "$sizes" "$(blockdev --getsize64 "$source")" "$disk" "$number" "$((behind * 512))"
done
