# Removes the user $1, and the home where it holds nothing but what useradd put there.
# shellcheck shell=sh

IFS=: read -r name _ uid gid _ home _ <<END
$(getent passwd -- "$1")
END
[ "$name" = "$1" ] || { echo "there is no user $1"; exit 1; }
look() { # sets manager, whether systemd's own processes for the user run, and others, which are the user's
  manager='' others=''
  # shellcheck disable=SC2013 # these paths have no blanks
  for process in $(grep -lsE "^Uid:([[:space:]]+[0-9]+)*[[:space:]]$uid([[:space:]]|\$)" /proc/[0-9]*/status); do
    process=${process%/status}
    if grep -qs "/user@$uid.service/init.scope\$" "$process/cgroup"; then manager=yes
    elif read -r word 2>/dev/null <"$process/comm"; then others="$others, $word (${process#/proc/})"
    fi
  done
}
for _ in 1 2 3 4 5 6 7 8 9 10; do look; [ -n "$others" ] || break; sleep 0.2; done # a login takes a moment to end
[ -z "$others" ] || { echo "$1 is not removed while it is logged in or at work: ${others#, } (login deny keeps it out)"; exit 1; }
[ -z "$manager" ] || systemctl stop "user@$uid.service" || exit # or it stays for ten seconds more
as_made() { # the home and the mail are as useradd made them; pam_motd may have left its mark
  [ -d "$home" ] && [ ! -L "$home" ] && [ "$(stat -c %u -- "$home")" = "$uid" ] && [ ! -s "/var/mail/$name" ] || return
  differences=$(diff -rq --no-dereference -- /etc/skel "$home")
  [ $? -le 1 ] || return
  if [ -d "$home/.cache" ] && [ ! -L "$home/.cache" ] && [ -z "$(find "$home/.cache" -mindepth 1 ! \( -name motd.legal-displayed -type f -size 0 \) -print -quit)" ]
  then mark="Only in $home: .cache"
  else mark='Only in /etc/skel'
  fi
  ! printf '%s\n' "$differences" | grep -vFx -e "$mark" | grep -qv -e '^Only in /etc/skel[:/]' -e '^$'
}
if as_made; then userdel -r -- "$name"; else userdel -- "$name"; fi || exit
case $(getent group -- "$name") in "$name:"*":$gid:") groupdel -- "$name" ;; esac # where userdel leaves that to others
