"""Where an EST server is, as a client's settings name it: `https://est.example:8443/.well-known/est/device_ca`.

Everything that would send a request, or the password with it, somewhere else than meant is refused: another scheme,
credentials in the address, a path that is not EST's.
"""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from leafward.errors import NameFormatError, SettingsError
from leafward.pki.names import Host, parse_host
from leafward.wire.est.targets import PREFIX, Operation, is_label, target_path

DEFAULT_PORT = 443


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A server and the label asked there; None is the server's default one (RFC 7030 3.2.2)."""

    host: Host
    port: int
    label: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads an https address whose path is `/.well-known/est`, a label below it, or nothing.

        Raises `SettingsError`, which shows no credentials that stood in the address.

        >>> ServerUrl.parse("https://est.example/.well-known/est/device_ca").label
        'device_ca'
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _refused(str(error)) from None
        if parts.scheme != "https" or not host:
            raise _refused(f"expected https:// and a host, got the scheme {parts.scheme!r}")
        if parts.username is not None or parts.password is not None:
            raise _refused("it holds a name or a password: they have settings of their own")
        if parts.query or parts.fragment or port == 0:
            raise _refused("it has a query, a fragment or the port 0")
        try:
            return cls(parse_host(host), port or DEFAULT_PORT, _label(parts.path))
        except NameFormatError as error:
            raise _refused(str(error)) from error

    def path(self, operation: Operation) -> str:
        """The path of an operation on this server."""
        return target_path(operation, self.label)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in str(self.host) else str(self.host)
        return f"https://{host}:{self.port}{PREFIX}{f'/{self.label}' if self.label else ''}"


def _label(path: str) -> str | None:
    path = path.rstrip("/")
    if path in ("", PREFIX):
        return None
    label = path.removeprefix(f"{PREFIX}/")
    if label == path or not is_label(label):
        raise _refused(f"got the path {path!r}, expected {PREFIX} or {PREFIX}/LABEL")
    return label


def _refused(why: str) -> SettingsError:
    hint = f"write https://HOST[:PORT]{PREFIX}/LABEL, without the name of an operation"
    return SettingsError("this is no address of an EST server", why=why, hint=hint)
