# What is left on the client of a tunnel that is to be absent. See observe_tools.sh.
# Set before, too: name; hosts_comment, the end of its lines in /etc/hosts, and in what cloud-init makes that of.
# shellcheck shell=sh
: "${name:?}" "${conf:?}" "${hosts_comment:?}"
saw listening own_listeners
files() { # each by its whole name: others may begin with this one
  for end in conf known_hosts forwards check key key.pub; do ls -d "/etc/novaops/tunnel/$name.$end"; done 2>/dev/null
}
units() { # the two that each has, and those of its local aliases, which say whose they are
  for end in .service -check.service -check.timer; do ls -d "/etc/systemd/system/novaops-tunnel-$name$end"; done 2>/dev/null
  grep -l -x -F -e "# managed by novaops: tunnel $name" "/etc/systemd/system/novaops-tunnel-$name-"*.socket 2>/dev/null
}
processes() {
  for one in /proc/[0-9]*; do tr '\000' ' ' 2>/dev/null <"$one/cmdline" | grep -qF -- " $conf " && echo "${one#/proc/}"; done
}
named() {
  cat /etc/hosts /etc/cloud/templates/hosts.*.tmpl 2>/dev/null | awk -v mark="$hosts_comment" 'substr($0, length($0) - length(mark) + 1) == mark'
}
saw left:files files
saw left:units units
saw left:processes processes
saw left:names named
saw end true
