# Why a right password was refused, as the host's own journal has it. Run as root; $1 is the user.
# shellcheck shell=sh

said=''
if command -v journalctl >/dev/null; then
  journalctl --sync 2>/dev/null
  # Modules of PAM write under names of their own, such as sshd(pam_google_authenticator): the program is what counts.
  # By its path, and as root: its name is the choice of whoever starts it.
  asked=
  for program in sbin/sshd bin/sshd lib/openssh/sshd-session lib/openssh/sshd-auth libexec/openssh/sshd-session libexec/openssh/sshd-auth \
    lib/ssh/sshd-session lib/ssh/sshd-auth; do
    asked="$asked + _UID=0 _EXE=/usr/$program"
  done
  # shellcheck disable=SC2086 # words
  said=$(journalctl -q -o cat --no-pager --since=-60s ${asked# + })
fi
# A line about a session is about a login that was let in.
said=$(printf '%s\n' "$said" | grep -F -e pam_ -e 'by PAM' -e "$1" | grep -v -F -e ':session)' -e 'Connection closed' -e 'Received disconnect' -e Accepted | tail -n 5)
[ -n "$said" ] || exit 0
case $said in
  *'by PAM'* | *pam_[!u]*) echo "PAM refused it (/etc/pam.d/sshd). The host's journal says:" ;;
  *) echo "The host's journal says:" ;;
esac
printf '%s\n' "$said"
