# After an upload: sums compared, converted where that was not done before, put in place at once, permissions as EVE-NG wants them.
# What waits of other images stays. Set before: $addons, $folder, $name, $owner of the upload, $wrapper, $parts: lines of sum, format, file;
# and $how: directory or file, as the image is one; clear only takes away what was sent.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

place=$addons/$folder
staging=$place/.novaops-upload-$owner
new=$staging/new-$name
clear() {
  rm -rf "$new"
  while read -r sum _; do rm -f "$staging/$sum"; done <<PARTS
$parts
PARTS
  rmdir "$staging" 2>/dev/null || :
}
refuse() { clear; echo "$1" >&2; exit 65; }
[ "$how" != clear ] || { clear; exit; }
rm -rf "$new" && mkdir "$new" || exit 1
qemu_img=
for tool in /opt/qemu/bin/qemu-img qemu-img; do
  if command -v "$tool" >/dev/null; then qemu_img=$tool; break; fi
done
while read -r sum format file; do
  [ "$(sha256sum <"$staging/$sum" | cut -d ' ' -f 1)" = "$sum" ] || refuse "$file did not arrive as it was sent"
  case $format in
    as-is) ;;
    qcow2)
      if [ -n "$qemu_img" ]; then
        said=$("$qemu_img" check -f qcow2 "$staging/$sum" 2>&1)
        case $? in 0 | 3 | 63) ;; *) refuse "$file is damaged: $(printf '%s\n' "$said" | tail -n 3)" ;; esac
      fi ;;
    *)
      [ -n "$qemu_img" ] || refuse "neither this machine nor the host has qemu-img, which makes a qcow2 of $format"
      said=$("$qemu_img" convert -f "$format" -O qcow2 "$staging/$sum" "$new/$file" 2>&1) ||
        refuse "$file cannot be converted: $(printf '%s\n' "$said" | tail -n 3)"
      echo "$(sha256sum <"$new/$file" | cut -d ' ' -f 1) $sum $file" >>"$new/.novaops-source" || exit 1
      continue ;;
  esac
  ln "$staging/$sum" "$new/$file" || exit 1 # two disks may have the same contents
done <<PARTS
$parts
PARTS
chown -R root:root "$new" && chmod -R u=rwX,go=rX "$new" || exit 1
if [ "$how" = directory ]; then
  mv -T "$new" "$place/$name" || exit 1
else
  [ "${name%.bin}" = "$name" ] || chmod 755 "$new/$name"
  mv -f "$new/$name" "$place/$name" || exit 1
fi
clear
[ ! -x "$wrapper" ] || "$wrapper" -a fixpermissions >/dev/null || exit 66
