# The file with the keys of one user of sshd: asked by facts/ends.py, after the functions of facts/sshd.py (effective).
# Set before: user, and home, which is the user's home where there is no such user yet.
# shellcheck shell=sh
: "${user:?}" "${home:?}"
settings=$(effective "$user") || exit
file=$(printf '%s\n' "$settings" | sed -n 's/^authorizedkeysfile //p' | cut -d ' ' -f 1)
case $file in /*%[huU]*) ;; /*) file=none ;; esac # one for all users: the key would open root's account, too
found=$(getent passwd "$user" | cut -d : -f 6); home=${found:-$home}
file=$(printf %s "$file" | sed "s|%h|$home|g; s|%u|$user|g; s|%U|$(id -u "$user" 2>/dev/null)|g; s|%%|%|g")
case $file in '' | none) file= ;; /*) ;; *) file=$home/$file ;; esac
printf 'path\t%s\n' "$file"
[ ! -d "${file%/*}" ] || echo folder
[ ! -d "$home" ] || stat -L --printf 'home\t%a %U\n' -- "$home"
if [ -n "$file" ] && [ -e "$file" ]; then
  find -H "$file" -maxdepth 0 -printf 'permissions\t%m\t%u\t%g\n'
  printf 'content\t'; base64 -w 0 <"$file" || exit; echo
fi
echo end
