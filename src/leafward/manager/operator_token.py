"""The operator's token: what the Management API asks for over TCP, where no kernel says whose a process is.

It lies in a file that the operator alone can read, is made when it is first needed, and is sent as
`Authorization: Bearer TOKEN`. Removing the file makes another at the next start of the manager.
"""

import hmac
import secrets

from leafward import disk
from leafward.errors import Damaged, NotFound
from leafward.manager.http_routes import Call
from leafward.store.home import Home

FILE = "operator-token"
_BYTES = 32


class OperatorToken:
    """One home's. Read once."""

    def __init__(self, home: Home) -> None:
        self.path = home.manager / FILE
        self._token: str | None = None

    def __repr__(self) -> str:
        return f"OperatorToken({str(self.path)!r})"

    def value(self) -> str:
        """The token; made when there is none. Raises `Damaged` for a file that holds none."""
        if self._token is None:
            try:
                token = disk.read_file(self.path, limit=256).decode("ascii", "replace").strip()
            except NotFound:
                token = secrets.token_urlsafe(_BYTES)
                disk.write_file(self.path, token.encode(), mode=disk.PRIVATE)
            if len(token) < _BYTES:
                raise Damaged(f"{self.path} holds no token", hint="remove it; another is made at the next start")
            self._token = token
        return self._token

    def shown_by(self, call: Call) -> bool:
        """Whether a call carries it."""
        return hmac.compare_digest((call.bearer or "").encode(), self.value().encode())
