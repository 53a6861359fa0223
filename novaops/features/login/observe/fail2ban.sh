# Has an address of this host's loopback banned from its own sshd, and unbanned again.
# Arguments: sshd's port, its address, the address to be banned, another address, and how often the first one knocks.
# Every wait has an end, ssh's own too: a ban in the middle of its handshake leaves ssh waiting. What was done is undone
# however the script ends, and it is never silent for long.
# shellcheck shell=sh

export LC_ALL=C
port=$1 server=$2 banned=$3 other=$4 tries=$5
# knock ADDRESS: what ssh from there says last, in $said
knock() {
  echo knock
  said=$(timeout 4 ssh -F /dev/null -b "$1" -p "$port" -o BatchMode=yes -o ConnectTimeout=3 -o PreferredAuthentications=none \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "novaops-nobody@$server" true 2>&1 </dev/null | tail -n 1)
}
listed() { fail2ban-client get sshd banip | tr ' ' '\n' | grep -qxF -- "$banned"; }
let_in() { fail2ban-client set sshd unbanip "$banned" >/dev/null; }
# until_knock SECONDS PATTERN: until what ssh says has it
until_knock() {
  for _ in $(seq "$1"); do
    knock "$banned"; case $said in *$2*) break ;; esac
    sleep 1
  done
}
trap let_in EXIT
trap exit HUP INT TERM
knock "$banned"; printf 'before %s\n' "$said"
for _ in $(seq $((tries - 1))); do # no more than it takes: what fail2ban reads after the ban was taken off would count anew
  for _ in $(seq 10); do listed && break 2; echo wait; sleep 0.1; done
  knock "$banned"
done
for _ in $(seq 50); do listed && break; echo wait; sleep 0.2; done
listed && echo 'listed yes'
until_knock 3 'ssh: connect'; printf 'during %s\n' "$said"
knock "$other"; printf 'meanwhile %s\n' "$said"
let_in
until_knock 3 'Permission denied'; printf 'after %s\n' "$said"
