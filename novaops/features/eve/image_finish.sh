# After an upload: sums compared, converted where that was not done before, put in place at once, permissions as EVE-NG wants them.
# What waits of other images stays. Set before: $addons, $folder, $name, $owner of the upload, $wrapper, $parts: lines of sum, format, file;
# and $how: directory or file, as the image is one; clear only takes away what was sent.
# shellcheck shell=sh
# shellcheck disable=SC2015,SC2154 # refuse is for any of them that fails; see above

place=$addons/$folder
staging=$place/.novaops-upload-$owner
[ "$how" != clear ] || {
  while read -r sum _; do rm -f "$staging/$sum"; done <<PARTS
$parts
PARTS
  rmdir "$staging" 2>/dev/null || :
  exit
}
# What was sent is taken into a directory of root's first: in its own the login may put anything else in its place meanwhile.
work=$(mktemp -d "$place/.novaops-upload-at-work-XXXXXX") || exit 1
end() { trap - EXIT; rm -rf "$work"; rmdir "$staging" 2>/dev/null || :; }
give_back() { # so that it is not sent again
  while read -r sum _; do [ ! -f "$work/$sum" ] || mv -f "$work/$sum" "$staging/"; done <<PARTS
$parts
PARTS
  end
}
trap give_back EXIT; trap 'exit 1' HUP INT TERM
refuse() { end; echo "$1" >&2; exit 65; }
new=$work/new
mkdir "$new" || exit 1
qemu_img=
for tool in /opt/qemu/bin/qemu-img qemu-img; do
  if command -v "$tool" >/dev/null; then qemu_img=$tool; break; fi
done
while read -r sum format file; do
  [ -e "$work/$sum" ] || mv -T "$staging/$sum" "$work/$sum" 2>/dev/null # two disks may have the same contents
  [ -f "$work/$sum" ] && [ ! -L "$work/$sum" ] && [ "$(sha256sum <"$work/$sum" | cut -d ' ' -f 1)" = "$sum" ] ||
    refuse "$file did not arrive as it was sent"
  case $format in
    as-is) ;;
    qcow2)
      if [ -n "$qemu_img" ]; then
        said=$("$qemu_img" check -f qcow2 "$work/$sum" 2>&1)
        case $? in 0 | 3 | 63) ;; *) refuse "$file is damaged: $(printf '%s\n' "$said" | tail -n 3)" ;; esac
      fi ;;
    *)
      [ -n "$qemu_img" ] || refuse "neither this machine nor the host has qemu-img, which makes a qcow2 of $format"
      said=$("$qemu_img" convert -f "$format" -O qcow2 "$work/$sum" "$new/$file" 2>&1) ||
        refuse "$file cannot be converted: $(printf '%s\n' "$said" | tail -n 3)"
      echo "$(sha256sum <"$new/$file" | cut -d ' ' -f 1) $sum $file" >>"$new/.novaops-source" || exit 1
      continue ;;
  esac
  ln "$work/$sum" "$new/$file" || exit 1
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
end
[ ! -x "$wrapper" ] || "$wrapper" -a fixpermissions >/dev/null || exit 66
