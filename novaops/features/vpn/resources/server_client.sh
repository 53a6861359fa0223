# Give a client a certificate, or revoke it; $0 is add (with CLIENT DAYS) or revoke (with CLIENT). Comes after server_pki.sh.
# shellcheck shell=sh

client=$1
# shellcheck disable=SC2046,SC2086 # serials are words
case $0 in
  add)
    cat >request.csr || exit
    old=$(serials "$client")
    sign request.csr client "/CN=$client" "$2" "clients/$client.crt"
    rm -f request.csr
    [ -z "$old" ] || { revoke $old; list; disconnect "$client"; }
    ;;
  revoke)
    revoke $(serials "$client")
    list
    disconnect "$client"
    ;;
esac
rm -f said
