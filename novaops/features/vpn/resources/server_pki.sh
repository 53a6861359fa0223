# What every script about a VPN server's authority begins with. SERVERS, SOCKETS and TALK (Perl, for the management socket) are set before it; its first argument is the server's name.
# shellcheck shell=sh

# shellcheck disable=SC2154 # SERVERS, SOCKETS, TALK: see above
name=$1 folder=$SERVERS/$1
# shellcheck disable=SC2034 # for the scripts that follow
unit=openvpn-server@$name.service
shift
cd "$folder" || exit
umask 077

quietly() { "$@" >said 2>&1 || { status=$?; tail -n 5 said; exit $status; }; }

sign() { # REQUEST KIND SUBJECT DAYS CERTIFICATE [MORE]: valid since yesterday, as clocks differ
  request=$1 kind=$2 subject=$3 days=$4 certificate=$5; shift 5
  quietly openssl ca -batch -notext -config openssl.cnf -extensions "${kind}_extensions" -subj "$subject" -in "$request" \
    -startdate "$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)" -days "$days" -out "$certificate.new" "$@"
  mv "$certificate.new" "$certificate" || exit
}

serials() { awk -F '\t' -v subject="/CN=$1" '$1 == "V" && $6 == subject { print $4 }' index.txt; }

revoke() { for serial; do quietly openssl ca -batch -config openssl.cnf -revoke "certs/$serial.pem"; done; }

revoked_without_certificate() { # SERIAL: openssl needs the certificate for that. A serial stands in the record once.
  awk -F '\t' -v OFS='\t' -v serial="$1" -v now="$(date -u +%y%m%d%H%M%SZ)" '
    $4 == serial { found = 1; $1 = "R"; $3 = now }
    { print }
    END { if (!found) print "R", "491231235959Z", now, serial, "unknown", "/CN=unknown" }' index.txt >index.new && mv index.new index.txt || exit
}

carried_over() { # What the list before says is revoked stays revoked, also where the record was put back from an older copy.
  openssl crl -in "$folder.crl.pem" -noout -CAfile ca.crt 2>&1 | grep -q 'verify OK' || return 0
  openssl crl -in "$folder.crl.pem" -noout -text | sed -n 's/^ *Serial Number: *//p' |
    awk -F '\t' 'FILENAME == "index.txt" { if ($1 == "R") known[$4] = 1; next } !($1 in known)' index.txt - >lost
  while read -r serial; do
    if [ -s "certs/$serial.pem" ]; then revoke "$serial"; else revoked_without_certificate "$serial"; fi
  done <lost
  rm -f lost
}

list() { # readable by the server, which runs as nobody
  [ ! -s "$folder.crl.pem" ] || carried_over
  quietly openssl ca -batch -config openssl.cnf -gencrl -out crl.new
  chmod 644 crl.new && mv crl.new "$folder.crl.pem" || exit
}

disconnect() { # CLIENT...: the others stay connected, unless the server cannot be told
  if [ $# = 0 ] || ! systemctl is-active --quiet "$unit"; then return; fi
  answers=$(for client; do echo "kill $client"; done | tr '\n' '\000' | xargs -0 perl -e "$TALK" "$SOCKETS/$name.sock")
  [ "$(printf '%s\n' "$answers" | grep -c -e '^SUCCESS:' -e 'not found')" != $# ] || return 0
  echo "the server does not answer ($answers): it is started anew"; systemctl restart "$unit"
}

revoked_names() { # Of clients. A name that was given again is among them: its client comes back by itself.
  awk -F '\t' '$1 == "R" && $6 ~ "^/CN=[^:]*$" { print substr($6, 5) }' index.txt | sort -u
}

cut_off() { # Who is connected, and has a certificate that is revoked
  # shellcheck disable=SC2046 # names are words
  disconnect $(revoked_names)
}
