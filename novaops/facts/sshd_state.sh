# What sshd is, its configuration and its units. `sshd` and `ask_sshd` of sshd.py, and formats/sshd_options.sh, stand before this.
# shellcheck shell=sh

[ -n "$sshd" ] || { echo 'no program'; exit 0; }
printf 'program\t%s\n' "$sshd"
while IFS= read -r option && IFS= read -r value; do
  printf 'option\t%s %s\n' "$option" "$value"
done <<END
${started_with-}
END
said=$("$sshd" -V 2>&1 </dev/null) # before 9.1: an unknown option, upon which it says the version all the same
case $said in *OpenSSH_*) said=${said##*OpenSSH_}; printf 'version\t%s\n' "${said%%[!0-9.]*}" ;; esac
ask_sshd -t || while IFS= read -r line; do printf 'complaint\t%s\n' "$line"; done <<END
$said
END
[ ! -d /etc/ssh/sshd_config.d ] || echo directory
[ ! -e /etc/nologin ] && [ ! -e /run/nologin ] || echo nologin
awk '
  function own(kind, text, first) { # a rule that no distribution has: by what the line says, or where it stands
    if (first && text ~ /pam_(deny|succeed_if|usertype|localuser|shells)([.]so)?( |$)/) return 1
    if (text ~ /pam_succeed_if/ && kind == "account" && text !~ /^sufficient /) return 1
    return text ~ /pam_succeed_if/ && text !~ /pam_succeed_if([.]so)? uid (>=|<) [0-9]+( quiet[a-z_]*)*$/
  }
  function without_kind(line) {
    gsub(/[ \t]+/, " ", line); sub(/^[a-z]+ /, "", line); sub(/ $/, "", line)
    return line
  }
  function look(name,   file, line, word, n, at, kind, text) {
    file = "/etc/pam.d/" name
    if ((getline line <file) < 0 && (getline line <(file = "/usr/lib/pam.d/" name)) < 0) return
    close(file)
    if (file in seen) return
    seen[file] = 1
    while ((getline line <file) > 0) {
      sub(/#.*/, "", line); sub(/^[ \t]*-?/, "", line)
      n = split(line, word, /[ \t]+/); kind = word[1]
      if (kind == "@include") look(word[2])
      if (kind != "auth" && kind != "account") continue
      for (at = 2; word[2] ~ /^\[/ && at < n && word[at] !~ /\]$/; at++);
      if (word[2] == "include" || word[2] == "substack") look(word[at + 1])
      else if (own(kind, text = without_kind(line), name == "sshd")) print "pam\t" kind ":" text
      else { sub(/.*\//, "", word[at + 1]); sub(/[.]so$/, "", word[at + 1]); print "pam\t" kind ":" word[at + 1] }
    }
    close(file)
  }
  BEGIN { look("sshd") }' </dev/null
systemctl show -p Id,LoadState,ActiveState,Accept -- ssh.service sshd.service ssh.socket sshd.socket 2>/dev/null
included() { # FILES: the patterns of what they include, one a line
  awk '
    !match($0, /^[ \t]*[Ii][Nn][Cc][Ll][Uu][Dd][Ee][ \t]*[= \t][ \t]*/) { next }
    {
      rest = substr($0, RLENGTH + 1); word = quote = ""; inside = 0
      for (i = 1; i <= length(rest) + 1; i++) {
        c = substr(rest, i, 1); after = substr(rest, i + 1, 1)
        if (c == "\\" && after != "" && index("\"\047\\ ", after)) { word = word after; inside = 1; i++ }
        else if (quote != "") { if (c == quote) quote = ""; else word = word c }
        else if (c == "\"" || c == "\047") { quote = c; inside = 1 }
        else if (c == "" || index(" \t\r", c)) {
          if (inside) print (word ~ /^[\/~]/ ? word : "/etc/ssh/" word)
          word = ""; inside = 0
        }
        else if (c == "#" && !inside) next
        else { word = word c; inside = 1 }
      }
    }' "$@"
}
break='
'
files='' new=${sshd_main-}
while [ -n "$new" ]; do
  IFS=$break; set -f; set --
  for path in $new; do
    case $break$files in *"$break$path$break"*) continue ;; esac
    if [ -f "$path" ] && [ -r "$path" ]; then files=$files$path$break; set -- "$@" "$path"; fi
  done
  IFS=; set +f
  new=$([ $# = 0 ] || included "$@" | while read -r pattern; do
    for path in $pattern; do [ ! -f "$path" ] || printf '%s\n' "$path"; done
  done)
done
IFS=$break; set -f
# shellcheck disable=SC2086 # one path a line
set -- $files
[ $# = 0 ] || stat -L --printf 'file\t%s\t%n\n' -- "$@" || exit
echo text
[ $# = 0 ] || cat -- "$@"
