# Remove the image $name of $folder below $addons, unless a lab names it. With $check nothing is removed.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

place=$addons/$folder/$name
[ -e "$place" ] || { echo absent; exit 0; }
grep -rlF -e "image=\"$name\"" "$labs" 2>/dev/null | sed 's/^/lab /' | grep . && exit 0
echo "bytes $(du -sB1 "$place" | cut -f 1)"
[ -n "$check" ] || rm -rf "$place"
