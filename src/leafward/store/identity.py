"""Who may connect: one device or module as the registry knows it."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, get_args

from leafward.errors import InputError
from leafward.pki.names import parse_device_id

AuthType = Literal["sas", "x509-ca", "x509-thumbprint"]
AUTH_TYPES: tuple[AuthType, ...] = get_args(AuthType)

_THUMBPRINT = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
# What IoT Hub takes as a symmetric key.
SHORTEST_KEY, LONGEST_KEY = 16, 64


@dataclass(frozen=True)
class Identity:
    """A device, or with `module_id` one of its modules.

    `generation_id` differs between two identities that had the same id one after the other. Keys are raw bytes (16 to
    64), thumbprints SHA-256 or SHA-1 of the certificate's DER in hexadecimal, kept in lower case. What the kind of
    authentication does not use must be None, and what it needs must be there: at least the primary one of two.
    `created` is aware; it is kept in UTC to the microsecond. `parent`: the device id of the gateway that this device
    is behind, where that is a child of this one; None for what connects here itself. Modules have none.

    Raises `InputError` for anything else.
    """

    device_id: str
    module_id: str | None
    auth: AuthType
    enabled: bool
    generation_id: str
    primary_key: bytes | None = field(repr=False)
    secondary_key: bytes | None = field(repr=False)
    primary_thumbprint: str | None
    secondary_thumbprint: str | None
    created: datetime
    parent: str | None = None

    def __post_init__(self) -> None:
        if self.auth not in AUTH_TYPES:
            raise InputError(f"no authentication '{self.auth}'", hint=f"one of {', '.join(AUTH_TYPES)}")
        if self.created.tzinfo is None:
            raise InputError(f"the identity of {self.label} was made at no known time", why="got a time without a zone")
        self._check_pair("key", "sas", self.primary_key, self.secondary_key)
        self._check_pair("thumbprint", "x509-thumbprint", self.primary_thumbprint, self.secondary_thumbprint)
        _check_key(self.primary_key)
        _check_key(self.secondary_key)
        self._check_parent()
        object.__setattr__(self, "primary_thumbprint", parse_thumbprint(self.primary_thumbprint))
        object.__setattr__(self, "secondary_thumbprint", parse_thumbprint(self.secondary_thumbprint))

    @property
    def label(self) -> str:
        """`device` or `device/module`, as a client names itself."""
        return self.device_id if self.module_id is None else f"{self.device_id}/{self.module_id}"

    def _check_parent(self) -> None:
        if self.parent is None:
            return
        if self.module_id is not None:
            raise InputError(f"{self.label} has a parent", why="a module is where its device is")
        if parse_device_id(self.parent).lower() == self.device_id.lower():
            raise InputError(f"{self.label} is its own parent", hint="name the gateway that it is behind")

    def _check_pair(self, what: str, auth: AuthType, primary: object, secondary: object) -> None:
        if self.auth == auth and primary is None:
            raise InputError(f"{self.label} has no {what}", why=f"the authentication '{auth}' needs one")
        if self.auth != auth and (primary is not None or secondary is not None):
            raise InputError(f"{self.label} has a {what}", why=f"the authentication '{self.auth}' uses none")


class Identities(Protocol):
    """Where an identity is found by exactly its id; None where there is none. Raises `StoreError`."""

    def get(self, device_id: str, module_id: str | None = None) -> Identity | None: ...


def parse_thumbprint(text: str | None) -> str | None:
    """A thumbprint in lower case without colons; None stays None. Raises `InputError`.

    >>> parse_thumbprint("AB:" * 19 + "AB")
    'abababababababababababababababababababab'
    """
    if text is None:
        return None
    plain = text.replace(":", "").lower()
    if not _THUMBPRINT.fullmatch(plain):
        raise InputError(
            f"{text!r} is no thumbprint",
            why=f"got {len(plain)} characters, expected 64 (SHA-256) or 40 (SHA-1) hexadecimal ones",
            hint="openssl x509 -in CERTIFICATE -noout -fingerprint -sha256",
        )
    return plain


def _check_key(key: bytes | None) -> None:
    if key is not None and not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        why = f"got {len(key)} bytes, expected {SHORTEST_KEY} to {LONGEST_KEY}"
        raise InputError("a symmetric key of the wrong length", why=why)
