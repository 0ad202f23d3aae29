"""The name of a key: which backend keeps it, and what it is called there."""

import re
from dataclasses import dataclass

from leafward.errors import SettingsError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
# A PKCS#11 URI may carry the token's PIN (RFC 7512 2.4), a TPM reference an authorisation value.
_SECRET = re.compile(r"\b(pin-value|pin|auth)=[^&;?]*", re.IGNORECASE)


@dataclass(frozen=True)
class KeyReference:
    """`scheme` names the backend, `rest` is the backend's own: "file:/etc/leafward/ca.pem", "memory:workload-ca".

    `str` is the whole text, as settings hold it; it may contain a PIN. Messages show `label`, and so does `repr`.
    """

    scheme: str
    rest: str

    @classmethod
    def parse(cls, text: str) -> "KeyReference":
        """Reads "scheme:rest"; `file:///path` is `file:/path`. Raises `SettingsError`; the backend judges the rest.

        >>> KeyReference.parse("file:///etc/leafward/ca.pem")
        KeyReference('file:/etc/leafward/ca.pem')
        """
        scheme, colon, rest = text.partition(":")
        if not colon or not rest or not _SCHEME.fullmatch(scheme) or "\0" in rest:
            raise SettingsError(
                f"'{_hidden(text)}' is no key reference",
                why="expected a scheme, a colon and a name",
                hint="for a key in a file write file:/the/whole/path",
            )
        if scheme == "file" and rest.startswith("///"):
            rest = rest.removeprefix("//")
        return cls(scheme, rest)

    @property
    def label(self) -> str:
        """The reference without secrets, for messages and logs."""
        return _hidden(str(self))

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"

    def __repr__(self) -> str:
        return f"KeyReference({self.label!r})"


def _hidden(text: str) -> str:
    return _SECRET.sub(r"\1=***", text)
