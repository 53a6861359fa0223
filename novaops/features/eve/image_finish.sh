# After an upload: sums compared, converted where that was not done before, put in place at once, permissions as EVE-NG wants them.
# $addons, $folder, $name, $directory (yes for an image that is one), $wrapper, and $parts are set before: lines of sum, format, file.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

place=$addons/$folder
staging=$place/.novaops-upload
new=$staging/new
refuse() { rm -rf "$staging"; echo "$1" >&2; exit 65; }
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
        "$qemu_img" check -f qcow2 "$staging/$sum" >"$staging/said" 2>&1
        case $? in 0 | 3 | 63) ;; *) refuse "$file is damaged: $(tail -n 3 "$staging/said")" ;; esac
      fi ;;
    *)
      [ -n "$qemu_img" ] || refuse "neither this machine nor the host has qemu-img, which makes a qcow2 of $format"
      "$qemu_img" convert -f "$format" -O qcow2 "$staging/$sum" "$new/$file" 2>"$staging/said" ||
        refuse "$file cannot be converted: $(tail -n 3 "$staging/said")"
      rm -f "$staging/$sum"
      continue ;;
  esac
  mv "$staging/$sum" "$new/$file" || exit 1
done <<PARTS
$parts
PARTS
chown -R root:root "$new" && chmod -R u=rwX,go=rX "$new" || exit 1
if [ "$directory" = yes ]; then
  mv -T "$new" "$place/$name" || exit 1
else
  [ "${name%.bin}" = "$name" ] || chmod 755 "$new/$name"
  mv -f "$new/$name" "$place/$name" || exit 1
fi
rm -rf "$staging"
if [ -x "$wrapper" ]; then "$wrapper" -a fixpermissions >/dev/null || { echo "$wrapper -a fixpermissions failed" >&2; exit 1; }; fi
