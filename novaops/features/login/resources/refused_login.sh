# Why a right password was refused, as the host's own journal has it. Run as root; $1 is the user.
# shellcheck shell=sh

said=''
if command -v journalctl >/dev/null; then
  journalctl --sync 2>/dev/null
  # Modules of PAM write under names of their own, such as sshd(pam_google_authenticator): the program is what counts.
  said=$(journalctl -q -o cat --no-pager --since=-60s _COMM=sshd + _COMM=sshd-session + _COMM=sshd-auth)
else
  for log in /var/log/auth.log /var/log/secure; do [ ! -f "$log" ] || said=$(tail -n 50 -- "$log" | grep -F sshd); done
fi
# A line about a session is about a login that was let in.
said=$(printf '%s\n' "$said" | grep -F -e pam_ -e 'by PAM' -e "$1" | grep -v -F -e ':session)' -e 'Connection closed' -e 'Received disconnect' -e Accepted | tail -n 5)
[ -n "$said" ] || exit 0
case $said in
  *'by PAM'* | *pam_[!u]*) echo "PAM refused it (/etc/pam.d/sshd). The host's journal says:" ;;
  *) echo "The host's journal says:" ;;
esac
printf '%s\n' "$said"
