# What opens an account without a password, by sshd's own settings for it. `look_at` and `effective` stand before this.
# shellcheck shell=sh
# shellcheck disable=SC2154 # the caller reads name, uid, gid and home from the lines that `about` prints

as_user='' # sshd reads these files as the user, who may see what root may not (a home over NFS), and the other way round
! setpriv --reuid=0 --regid=0 --clear-groups true 2>/dev/null || as_user=yes
elsewhere=$(grep -rhi '^[[:space:]"]*authorizedkeysfile' /etc/ssh 2>/dev/null |
  grep -viE '^[[:space:]"]*authorizedkeysfile["[:space:]=]+((%h/)?[.]ssh/authorized_keys2?["[:space:]]*)+$') || :

has_keys() { # whether it may have keys, without asking sshd for its settings
  [ -z "$elsewhere" ] || return 0
  [ -f "$home/.ssh/authorized_keys" ] || [ -f "$home/.ssh/authorized_keys2" ]
}
break='
'
setting() { # KEYWORD: its $value in $about_keys, which is short: dash takes 50 ms to cut a word out of all the settings
  value=''
  case $break$about_keys in *"$break$1 "*) value=$break$about_keys; value=${value#*"$break$1 "}; value=${value%%"$break"*} ;; esac
}
expanded() { # PATTERN: the $path that sshd makes of it
  rest=$1 path=''
  while :; do
    case $rest in
      *%?*) path=$path${rest%%\%*} rest=${rest#*%} ;;
      *) path=$path$rest; break ;;
    esac
    case $rest in h*) path=$path$home ;; u*) path=$path$name ;; U*) path=$path$uid ;; %*) path=$path% ;; esac
    rest=${rest#?}
  done
  case $path in /*) ;; *) path=$home/$path ;; esac
}
as_the_user() {
  if [ -z "$as_user" ] || [ "$uid" = 0 ]; then "$@"; else setpriv --reuid="$uid" --regid="$gid" --init-groups -- "$@"; fi
}
writable() { # FILE: who else may change it, or a folder on the way to it, as StrictModes sees it: "strict PATH" or "group PATH"
  home_itself=$(readlink -f -- "$home") at=$(readlink -f -- "$1")
  while :; do
    # shellcheck disable=SC2046 # three numbers
    set -- $(stat -c '%u %a %g' -- "$at")
    case $1:$2:$3 in
      0:*[2367]:* | "$uid":*[2367]:*) echo "strict $at"; return ;;
      0:*[2367]?:"$gid" | "$uid":*[2367]?:"$gid") echo "group $at"; return ;;
      0:*[2367]?:* | "$uid":*[2367]?:*) echo "strict $at"; return ;;
      0:* | "$uid":*) ;;
      *) echo "strict $at"; return ;;
    esac
    [ "$at" != "$home_itself" ] && [ "$at" != / ] || return 0
    at=${at%/*}; at=${at:-/}
  done
}
contents() { # FILE: what sshd reads in it, each line after a blank; or a line "barred: WHY FILE", and nothing where there is none
  [ -e "$1" ] || [ ! -x "$home" ] || return 0 # nobody sees a file there
  # shellcheck disable=SC2016 # the user's own shell expands it
  if as_the_user sh -c '[ -f "$1" ] && [ -r "$1" ]' sh "$1" 2>/dev/null; then
    why=''
    [ "$strict" = no ] || why=$(writable "$1")
    case $why in
      strict*) printf 'barred:%s\n' "$why" ;;
      *) [ -z "$why" ] || printf 'barred:%s\n' "$why"; as_the_user cat -- "$1" | sed 's/^/ /'; echo ;;
    esac
  elif [ -f "$1" ]; then
    printf 'barred:unreadable %s\n' "$1"
  fi
}
jailed() { # FOLDER COMMAND: "jail:WHY" where sshd ends each login, since it locks the account into this folder
  at=$1
  while :; do
    [ -d "$at" ] || { echo "jail:$at is no folder"; return; }
    case $(stat -L -c '%u:%a' -- "$at") in
      0:*[2367] | 0:*[2367]? | [!0]*) echo "jail:others than root may change $at"; return ;;
    esac
    [ "$at" != / ] || break
    at=${at%/*}; at=${at:-/}
  done
  case $2 in internal-sftp*) ;; *) [ -x "${1%/}${shell:-/bin/sh}" ] || echo "jail:there is no ${1%/}${shell:-/bin/sh}, its shell" ;; esac
}
keys_of() { # lines key:KIND BEGINNING:OPTIONS, barred:WHY FILE, lookedin:FILE, principal: and jail:WHY for the account, in any order
  about_keys=$(printf '%s\n' "$settings" |
    grep -E '^(strictmodes|authorizedkeysfile|authorizedprincipalsfile|chrootdirectory|forcecommand) ') || return 0
  setting forcecommand; command=$value
  setting chrootdirectory
  case $value in '' | none) ;; *) expanded "$value"; jailed "$path" "$command" ;; esac
  setting strictmodes; strict=$value
  setting authorizedkeysfile; set -f
  for pattern in $value; do
    [ "$pattern" != none ] || continue
    expanded "$pattern"; printf 'lookedin:%s\n' "$path"; contents "$path"
  done | awk '
    function shown(kind, blob) { blob = substr(blob, 1, 44); gsub("[^A-Za-z0-9+/=]", "", blob); return "key:" kind " " blob ":" }
    function is_key(kind, blob) { return kind ~ /^(sk-)?(ssh|ecdsa)-[-a-z0-9]+(@openssh[.]com)?$/ && blob ~ /^AAAA/ }
    /^(barred|lookedin):/ { print; next }
    { sub(/^[ \t]+/, "") }
    /^#/ || $0 == "" { next }
    is_key($1, $2) { print shown($1, $2); next }
    {
      quoted = 0
      for (i = 1; i <= length($0); i++) {
        c = substr($0, i, 1)
        if (c == "\\" && substr($0, i + 1, 1) == "\"") i++
        else if (c == "\"") quoted = !quoted
        else if (!quoted && (c == " " || c == "\t")) break
      }
      options = substr($0, 1, i - 1); $0 = substr($0, i + 1)
      if (is_key($1, $2)) print shown($1, $2) options
    }'
  setting authorizedprincipalsfile
  case $value in '' | none) return ;; esac
  expanded "$value"; contents "$path" | awk '
    /^barred:/ || /^[ \t]*(#|$)/ { next }
    { print "principal:"; exit }'
}
