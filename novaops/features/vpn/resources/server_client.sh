# Give a client a certificate, or revoke it; $0 is add (with CLIENT DAYS TALK) or revoke (with CLIENT TALK), and TALK is Perl that talks to
# OpenVPN's management socket. Comes after server_pki.sh; SOCKETS is set before it.
# shellcheck shell=sh
# shellcheck disable=SC2154 # name, unit, SOCKETS: see above

disconnect() { # CLIENT TALK: the others stay connected, unless the server cannot be told
  systemctl is-active --quiet "$unit" || return 0
  answer=$(perl -e "$2" "$SOCKETS/$name.sock" "kill $1")
  case $answer in
    SUCCESS:* | *"not found"*) ;;
    *) echo "the server does not answer ($answer): it is started anew"; systemctl restart "$unit" ;;
  esac
}

client=$1
# shellcheck disable=SC2046,SC2086 # serials are words
case $0 in
  add)
    cat >request.csr || exit
    old=$(serials "$client")
    sign request.csr client "/CN=$client" "$2" "clients/$client.crt"
    rm -f request.csr
    [ -z "$old" ] || { revoke $old; list; disconnect "$client" "$3"; }
    ;;
  revoke)
    revoke $(serials "$client")
    list
    disconnect "$client" "$2"
    ;;
esac
rm -f said
