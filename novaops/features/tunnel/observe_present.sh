# What is observed of a tunnel that is to be present. See observe_tools.sh; `ask` and `ask_unchanged` are made for each tunnel.
# Set before, too: key, its private key; unit; got_in, a word that only a command on the gateway would print.
# shellcheck shell=sh
: "${user:?}" "${conf:?}" "${key:?}" "${unit:?}" "${got_in:?}"
saw listening own_listeners
ask request
ask_unchanged
saw key stat -c '%U %a' "$key"
saw enabled systemctl is-enabled -- "$unit"
port=$(as_user ssh -G -F "$conf" gateway 2>/dev/null | sed -n 's/^port //p')
saw opens:shell log_in -T gateway echo "$got_in"
sftp_hello() { printf '\000\000\000\005\001\000\000\000\003'; }
sftp() { sftp_hello | log_in -T -s gateway sftp 2>/dev/null | head -c 5 | od -An -tu1; }
saw opens:sftp sftp
saw opens:port log_in -W "127.0.0.1:${port:-22}" gateway
folder=$(mktemp -d) || exit 1
chmod 755 "$folder"; sed '/^[[:space:]]*[A-Za-z]*Forward[[:space:]]/d' "$conf" >"$folder/conf"; : >"$folder/none"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/other" && printf '* %s\n' "$(cat "$folder/other.pub")" >"$folder/known"
chmod 644 "$folder/conf" "$folder/known" "$folder/none"
listen_there() { timeout 10 runuser -u "$user" -- ssh -v -F "$folder/conf" -o ExitOnForwardFailure=yes -N -R 127.0.0.1:0:127.0.0.1:9 gateway; }
saw opens:back listen_there
saw pinned:another log_in -o UserKnownHostsFile="$folder/known" gateway true
saw pinned:none log_in -o UserKnownHostsFile="$folder/none" gateway true
rm -rf "$folder"
saw end true
