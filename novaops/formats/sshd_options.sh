# What the running sshd was started with. What -o says counts before what its files say (sshd(8)).
# shellcheck shell=sh

sshd_options_in() { # standard input: the command line of sshd, its words parted by blanks; prints its options, and what they say, each on a line
  # The title that sshd gives itself is all that is left of its words: what -o says, with blanks in it, ends at the next option.
  awk '{
    n = split($0, word, " ")
    for (i = 1; i <= n && word[i] !~ /(^|\/)sshd$/; i++);
    for (i++; i <= n && word[i] != "[listener]"; i++) {
      if (word[i] !~ /^-./) continue
      sub(/^-[46DGQRTVdeiqrt]+/, "-", word[i])
      option = substr(word[i], 1, 2); value = substr(word[i], 3)
      if (option == "-") continue
      if (value == "") value = word[++i]
      while (option == "-o" && i < n && word[i + 1] !~ /^(-[A-Za-z0-9]|\[listener\]$)/) value = value " " word[++i]
      if (option ~ /^-[ocfh]$/) print option "\n" value
    }
  }'
}
sshd_options() { # prints the same for the sshd of the usual pid file or unit; nothing where none runs
  daemon='' kind='' title=''
  ! [ -r /run/sshd.pid ] || read -r daemon </run/sshd.pid
  ! [ -r "/proc/${daemon:-none}/comm" ] || read -r kind <"/proc/$daemon/comm"
  [ "$kind" = sshd ] ||
    daemon=$(systemctl show -p MainPID --value ssh.service sshd.service 2>/dev/null | grep -v '^0*$' | head -n 1)
  ! [ -r "/proc/${daemon:-none}/cmdline" ] || title=$(tr '\0' ' ' 2>/dev/null <"/proc/$daemon/cmdline")
  case $title in *' -'[!D]* | *' -D'[!\ ]*) printf '%s\n' "$title" | sshd_options_in ;; esac # the usual -D is no reason to start awk
}
started_with=$(sshd_options)
sshd_main=/etc/ssh/sshd_config
# shellcheck disable=SC2034 # sshd_main is for what stands behind this
while IFS= read -r option && IFS= read -r value; do
  [ "$option" != -f ] || sshd_main=$value
done <<END
$started_with
END
as_started() { # PROGRAM WORDS: runs sshd with the options of the running one, and these words behind
  program=$1; shift
  fields=$IFS; IFS='
'
  set -f
  # shellcheck disable=SC2086 # one word a line
  set -- $started_with "$@"
  set +f; IFS=$fields
  "$program" "$@"
}
