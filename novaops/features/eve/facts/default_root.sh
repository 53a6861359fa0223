# Whether root has the password $password: `root_password` prints default, other or unknown.
# shellcheck shell=sh
# shellcheck disable=SC2154 # whoever calls it sets password
root_password() { # The hash by way of a pipe: the words of a process are for everybody to read.
  command -v perl >/dev/null || { echo unknown; return; }
  if sed -n 's/^root:\([^:]*\):.*/\1/p' /etc/shadow |
    perl -e 'my $h = <STDIN>; chomp $h; exit(length($h) && (crypt($ARGV[0], $h) // "") eq $h ? 0 : 1)' "$password"
  then echo default; else echo other; fi
}
