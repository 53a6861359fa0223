# Why a right password was refused, as the host's own journal has it. Run as root; $1 is the user.
# shellcheck shell=sh

said=''
if command -v journalctl >/dev/null; then
  journalctl --sync 2>/dev/null
  # As root, and by its path: its name is the choice of whoever starts it. Of a process that had ended before the journal read its
  # line no path is known, so that the name has to do. Modules of PAM write under such names as sshd(pam_google_authenticator).
  asked='' programs=''
  for program in sbin/sshd bin/sshd lib/openssh/sshd-session lib/openssh/sshd-auth libexec/openssh/sshd-session libexec/openssh/sshd-auth \
    lib/ssh/sshd-session lib/ssh/sshd-auth; do
    asked="$asked + _UID=0 _EXE=/usr/$program" programs="$programs|$program"
  done
  for name in $(journalctl -q -F SYSLOG_IDENTIFIER | grep -E '^sshd(-session|-auth)?(\(pam_[[:alnum:]_]+\))?$'); do
    asked="$asked + _UID=0 SYSLOG_IDENTIFIER=$name"
  done
  # shellcheck disable=SC2086 # words
  said=$(journalctl -q -o json --no-pager --since=-60s ${asked# + } | sed -nE '
    \@"_EXE" ?: ?"/usr/('"${programs#|}"')"@! { /"_EXE" ?:/d; }
    s/.*"MESSAGE" ?: ?"(([^"\\]|\\.)*)".*/\1/
    T
    s/\\(["\\/])/\1/gp
    t
    p')
fi
# A line about a session is about a login that was let in.
said=$(printf '%s\n' "$said" | grep -F -e pam_ -e 'by PAM' -e "$1" | grep -v -F -e ':session)' -e 'Connection closed' -e 'Received disconnect' -e Accepted | tail -n 5)
[ -n "$said" ] || exit 0
case $said in
  *'by PAM'* | *pam_[!u]*) echo "PAM refused it (/etc/pam.d/sshd). The host's journal says:" ;;
  *) echo "The host's journal says:" ;;
esac
printf '%s\n' "$said"
