"""Logging in over a connection whose host key was checked: by keys as OpenSSH would, or by one password or key alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import paramiko

from novaops.errors import LoginFailed, NovaopsError
from novaops.secret import Secret
from novaops.ssh.login_keys import LoginKeys


@dataclass
class Login:
    """What SSHClient.connect asks to log in: its `authenticate` is called with the transport."""

    where: str
    """The host, for messages."""
    user: str
    keys: LoginKeys
    password: Secret | None = None
    """Log in with it only."""
    key: paramiko.PKey | None = None
    """Log in with it only."""

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Raises LoginFailed, AuthenticationException, SSHException."""
        if self.password is not None:
            self._whole(transport.auth_password(self.user, self.password.reveal()))
        elif self.key is not None:
            self._whole(transport.auth_publickey(self.user, self.key))
        else:
            self._by_keys(transport)

    def _by_keys(self, transport: paramiko.Transport) -> None:
        if why := self.keys.config.keys_forbidden_by:
            raise LoginFailed(f"{self.where}: ssh's configuration allows no login by key", why=why, fix="novaops logs in by key")
        tried = 0
        last: Exception | None = None
        left: Sequence[str] = ()
        for key in self.keys:
            tried += 1
            try:
                left = transport.auth_publickey(self.user, key)
            except NovaopsError:
                raise
            except paramiko.SSHException as error:
                last = error
                if isinstance(error, paramiko.BadAuthenticationType) or not transport.is_active():
                    break
            else:
                if "publickey" not in left:
                    self._whole(left)
                    return
        if left:
            self._whole(left)
        raise self._refused(tried, last)

    def _whole(self, left: Sequence[str]) -> None:
        """Raises LoginFailed where the server wants more than what it has accepted."""
        if left:
            raise LoginFailed(
                f"{self.where}: the server wants {' or '.join(left)} too, after what it has accepted",
                why="AuthenticationMethods of its sshd_config asks for more than one.",
                fix="novaops logs in by key alone; let AuthenticationMethods allow that for this user",
            )

    def _refused(self, tried: int, last: Exception | None) -> Exception:
        keys = self.keys
        if keys.missing is not None:
            return LoginFailed(f"{self.where}: there is no key file {keys.missing}", fix="check identity in the inventory")
        if keys.only and not tried and keys.notes:
            return LoginFailed(f"{self.where}: {keys.notes[-1]}")
        if keys.locked and (keys.only or not tried):
            file = keys.locked[0]
            fix = f"ssh-add {file}" if keys.config.agent else f"eval $(ssh-agent) && ssh-add {file}"
            return LoginFailed(f"{self.where}: the private key {file} needs a passphrase", why="\n".join(keys.notes), fix=fix)
        if not tried:
            files = ", ".join(keys.config.identity_files) or "no file"
            why = "\n".join((f"ssh's configuration names {files}.", *keys.notes))
            return LoginFailed(
                f"{self.where}: there is no key to log in with", why=why, fix="ssh-keygen makes one; ssh-add gives one to the agent"
            )
        if last is not None and keys.notes:
            return paramiko.AuthenticationException("; ".join((str(last), *keys.notes)))
        return last or paramiko.AuthenticationException("no key was accepted")
