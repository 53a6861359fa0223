# request NUMBER TRUSTS LOG WORDS OF CURL…: one request, which standard input describes to curl; into $folder/NUMBER.said how curl ended, and
# encoded what it measured, which site the answer says it is, the last line that the log got meanwhile, and how the body begins. TRUSTS is host where all
# authorities of the host are trusted.
# Set before: `folders`, in which authorities may lie by their hashes, `none`, a file with an authority that nothing is trusted by, and `most`.
# shellcheck shell=sh

: "${folders:?}" "${none:?}" "${most:?}"
command -v curl >/dev/null || exit 7
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
outside=$( (ip -o -4 route get 192.0.2.1; ip -o -6 route get 2001:db8::1) 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p' | head -n 1)
# shellcheck disable=SC2034 # for the requests
case $outside in '') outside=127.0.0.2 ;; *:*) outside="[$outside]" ;; esac
hashed=
for place in $folders; do
  set -- "$place"/*.0
  [ ! -e "$1" ] || [ ! -e "$none" ] || { hashed=$place; break; }
done
sent() { printf '%s\n' "$options" | curl -q -s -K - -o "$folder/$number.body" -D "$folder/$number.head" "$@" 2>/dev/null; }
request() {
  number=$1 trusts=$2 log=$3; shift 3
  options=$(cat) ended=60 marked=0
  [ ! -e "$log" ] || marked=$(wc -c <"$log")
  # curl reads the whole bundle, which takes it three times as long as the request. By its hash it finds the one authority that it needs.
  [ -z "$hashed" ] || [ "$trusts" != host ] || { said=$(sent --cacert "$none" --capath "$hashed" "$@"); ended=$?; }
  case $ended in 60 | 77) said=$(sent "$@"); ended=$? ;; esac
  site='' logged=''
  [ ! -e "$folder/$number.head" ] || while IFS= read -r line; do
    case $line in [Xx]-[Nn]ovaops-[Ss]ite:*) site=${line#*:}; break ;; esac
  done <"$folder/$number.head"
  [ -z "$log" ] || logged=$(tail -c "+$((marked + 1))" -- "$log" 2>/dev/null | tail -n 1)
  printf '%s\t%s' "$ended" "$({ printf '%s\0%s\0%s\0' "$said" "$site" "$logged"; head -c "$most" "$folder/$number.body" 2>/dev/null; } |
    base64 -w 0)" >"$folder/$number.said"
}
show() { # NUMBER FILE: what the request said, where the file is there
  if [ -e "$2" ] && [ -e "$folder/$1.said" ]; then cat "$folder/$1.said"; else printf absent; fi; echo
}
