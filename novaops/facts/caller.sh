# The ssh connection by which a script came.
# shellcheck shell=sh

caller() { # sets connection, as in SSH_CONNECTION, and user, who logged in; sudo hides both, its forebears still have them
  pid=$$ process='' connection='' user=''; set --
  while [ "$pid" -gt 1 ]; do
    set -- "$@" "/proc/$pid/environ"; parent=0
    while read -r key value; do case $key in PPid:) parent=$value; break ;; esac; done <"/proc/$pid/status"
    pid=$parent
  done
  while IFS= read -r line; do
    [ "${line%%:*}" = "$process" ] || { process=${line%%:*} from='' name=''; }
    case $line in "$process:USER="*) name=${line#*=} ;; *) from=${line#*=} ;; esac
    # shellcheck disable=SC2034 # user is a result
    if [ -n "$name" ] && [ -n "$from" ] && [ "${connection:-$from}" = "$from" ]; then connection=$from user=$name; fi
  done <<END
$(grep -zaHs -e '^SSH_CONNECTION=' -e '^USER=' -- "$@" | tr '\0' '\n')
END
  case $connection in UNKNOWN*) connection= ;; esac # sshd's word for what is no network
}
