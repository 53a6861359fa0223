# How large the file system at each PATH is. The arguments are the PATHs. Uses real_path.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # real: see there

for path do
  real_path "$path" || { echo unknown; continue; }
  kind=$(findmnt -n -o FSTYPE --mountpoint "$real") || { echo absent; continue; }
  source=$(findmnt -n -o SOURCE --mountpoint "$real" | sed 's/\[.*//'); source=$(readlink -f -- "$source")
  case ,$(findmnt -n -o OPTIONS --mountpoint "$real"), in *,ro,*) access=ro ;; *) access=rw ;; esac
  case $kind in
    ext*)
      sizes=$(dumpe2fs -h "$source" 2>/dev/null | awk -F: -v at="$source" '
        /^Block count/ { n = $2 } /^Block size/ { b = $2 } /^Blocks per group/ { g = $2 }
        END { if (n) printf "\t%.0f\t1 %.0f %s", g * b, n * b, at }') ;;
    xfs)
      sizes=$(xfs_info "$real" | tr ',' ' ' | awk -v at="$source" '
        /^data/ { for (i = 1; i <= NF; i++) { split($i, kv, "="); if (kv[1] == "bsize") b = kv[2]; if (kv[1] == "blocks") n = kv[2] } }
        END { if (n) printf "\t%.0f\t1 %.0f %s", 16777216, n * b, at }') ;;
    btrfs)
      sizes=$(btrfs filesystem show --raw "$real" | awk '
        $1 == "devid" { of = of "\t" $2 " " $4 " " $8 } /missing/ { of = of "\t0 0 missing" }
        END { if (of) printf "\t%.0f%s", 16777216, of }') ;;
    *) sizes='	0' ;;
  esac
  printf 'size\t%s\t%s%s\n' "$kind" "$access" "$sizes"
done
