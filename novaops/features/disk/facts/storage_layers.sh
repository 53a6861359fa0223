# What every block device is made of, and how much of that it takes. Makes the kernel look again how large SCSI disks are.
# shellcheck shell=sh

for rescan in /sys/class/block/sd*/device/rescan; do [ ! -w "$rescan" ] || echo 1 >"$rescan"; done
block=/sys/class/block
lsblk -r -n -b -p -o KNAME,NAME,TYPE,SIZE | sort -u | while read -r node name kind size; do
  kernel=${node##*/}
  case $size in '' | *[!0-9]*) continue ;; esac
  [ -e "$block/$kernel" ] || continue
  if [ -e "$block/$kernel/partition" ]; then
    parents=$(basename "$(dirname "$(readlink -f -- "$block/$kernel")")")
    printf 'part\t%s\t%s\t%s\n' "$kernel" "$(cat "$block/$kernel/partition")" "$(cat "$block/$kernel/start")"
  else
    parents=$(for each in "$block/$kernel/slaves/"*; do [ ! -e "$each" ] || echo "${each##*/}"; done)
  fi
  printf 'device\t%s\t%s\t%s\t%s\t%s\n' "$kernel" "$name" "$kind" "$size" "$(printf %s "$parents" | tr '\n' ' ')"
  for each in "$block/$kernel/$kernel"*/partition; do
    [ -e "$each" ] || break
    # shellcheck disable=SC2016 # awk's fields
    sfdisk -d -- "$node" 2>/dev/null | awk -v disk="$kernel" 'NF { print "table\t" disk "\t" $0 }'
    printf 'sector\t%s\t%s\n' "$kernel" "$(cat "$block/$kernel/queue/logical_block_size")"
    break
  done
  case $kind in
    crypt)
      cryptsetup status -- "${name##*/}" | awk -v crypt="$kernel" 'NF { print "crypt\t" crypt "\t" $0 }'
      key=$(awk -v name="${name##*/}" '$1 == name && $3 ~ /^\// { print $3; exit }' /etc/crypttab 2>/dev/null)
      [ ! -f "$key" ] || printf 'key\t%s\t%s\n' "$kernel" "$key" ;;
    raid* | linear)
      md=$block/$kernel/md
      printf 'md\t%s\t%s\t%s\t%s\t%s\t%s\n' "$kernel" "$(cat "$md/level")" "$(cat "$md/metadata_version")" \
        "$(cat "$md/component_size")" "$(cat "$md/degraded" 2>/dev/null || echo 0)" "$(cat "$md/sync_action" 2>/dev/null || echo idle)"
      for each in "$md/dev-"*; do
        printf 'member\t%s\t%s\t%s\t%s\n' "$kernel" "${each##*/dev-}" "$(cat "$each/offset")" "$(cat "$each/size")"
      done ;;
    loop)
      [ ! -f "$(cat "$block/$kernel/loop/backing_file" 2>/dev/null)" ] || [ "$(cat "$block/$kernel/loop/sizelimit")" != 0 ] ||
        printf 'file\t%s\t%s\n' "$kernel" "$(($(stat -L -c %s -- "$(cat "$block/$kernel/loop/backing_file")") - $(cat "$block/$kernel/loop/offset")))" ;;
  esac
done
if command -v lvs >/dev/null; then
  lvs --units b --nosuffix --noheadings --separator '|' -o lv_dm_path,vg_name,lv_name,lv_size,segtype,lv_role,vg_extent_size,vg_missing_pv_count \
    2>/dev/null | sed 's/^ */lv\t/'
  pvs --units b --nosuffix --noheadings --separator '|' -o pv_name,vg_name,pv_size,dev_size,pe_start,pv_free 2>/dev/null | sed 's/^ */pv\t/'
fi
