"""Shared access signatures: how a device or module proves that it holds its symmetric key without sending it.

A token is `SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={key name}]`. What is signed is the
percent-encoded resource, a newline and the expiry in seconds since 1970 (UTC). The SDKs do not agree on which
characters they encode (Node encodes !'()* too, C writes lower-case hex), so the text as it came is what is verified.
"""

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from leafward.errors import AccessDenied, EncodingError
from leafward.wire.base64_text import decode_base64, encode_base64
from leafward.wire.percent import percent_decoded

SCHEME = "SharedAccessSignature"
MAX_TOKEN = 4096  # characters; three times the longest resource and a signature
MAX_EXPIRY = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that calendars know

_SIGNATURE_SIZE = 32  # HMAC-SHA256
_FIELDS = ("sr", "sig", "se", "skn")


@dataclass(frozen=True, slots=True)
class SasToken:
    """A token as it came: well-formed, nothing verified.

    `resource` is decoded, `signed_resource` the text that was signed (made from `resource` where it is left out),
    `expiry` in seconds since 1970, UTC.
    """

    resource: str
    signature: bytes = field(repr=False)
    expiry: int
    key_name: str | None = None
    signed_resource: str = ""

    def __post_init__(self) -> None:
        if not self.signed_resource:
            object.__setattr__(self, "signed_resource", quote(self.resource, safe=""))

    @classmethod
    def parse(cls, text: str) -> "SasToken":
        """Reads a password or an Authorization header. Raises `EncodingError`; the error never repeats the token."""
        if len(text) > MAX_TOKEN:
            raise _malformed(f"it has {len(text)} characters, at most {MAX_TOKEN} are taken")
        scheme, _, rest = text.partition(" ")
        if scheme != SCHEME:
            raise _malformed(f"it does not begin with '{SCHEME} '")
        fields = _fields(rest)
        signed = fields["sr"]
        signature = decode_base64(percent_decoded(fields["sig"], "sig"), "signature")
        if len(signature) != _SIGNATURE_SIZE:
            raise _malformed(f"its signature has {len(signature)} bytes, expected {_SIGNATURE_SIZE}")
        resource = percent_decoded(signed, "sr")
        key_name = percent_decoded(fields["skn"], "skn") if "skn" in fields else None
        return cls(resource, signature, _expiry(fields["se"]), key_name or None, signed)


def sign(resource: str, key: bytes, expiry: int, key_name: str | None = None) -> str:
    """A token for `resource` (not encoded), as the SDKs write it. `expiry`: seconds since 1970, UTC."""
    encoded = quote(resource, safe="")
    signature = quote(encode_base64(_signature(encoded, key, expiry)), safe="")
    token = f"{SCHEME} sr={encoded}&sig={signature}&se={expiry}"
    return token if key_name is None else f"{token}&skn={quote(key_name, safe='')}"


def verify(token: SasToken, key: bytes, now: datetime, *, skew: timedelta = timedelta(0)) -> None:
    """Signature first, then expiry: only who holds the key learns that the token is late.

    `skew`: how far a sender's clock may be behind. Raises `AccessDenied` with why. Not judged here: for what the token
    is good (`check_audience`), and whether the identity is enabled.
    """
    expected = _signature(token.signed_resource, key, token.expiry)
    if not hmac.compare_digest(expected, token.signature):
        raise AccessDenied(
            "the shared access signature is refused",
            why="the signature was not made with this identity's key",
            hint="compare the shared access key of the connection string with the one it was registered with",
        )
    late = now.timestamp() - skew.total_seconds() - token.expiry
    if late >= 0:
        raise AccessDenied(
            "the shared access signature is refused",
            why=f"it expired {int(late)} seconds ago",
            hint="make a new token; if it is new, compare the clocks of the two machines",
        )


def resource_of(host: str, device_id: str, module_id: str | None = None) -> str:
    """The resource of an identity: {host}/devices/{device}[/modules/{module}]."""
    resource = f"{host}/devices/{device_id}"
    return resource if module_id is None else f"{resource}/modules/{module_id}"


def check_audience(token: SasToken, hosts: Collection[str], device_id: str, module_id: str | None = None) -> None:
    """The token is for this identity at one of `hosts` (lower-case names). Raises `AccessDenied`.

    Host and ids are compared without case, as IoT Edge's hub does. A device's token is no token for its modules.
    """
    host, _, rest = token.resource.partition("/")
    path = rest.split("/")
    wanted = ["devices", device_id] if module_id is None else ["devices", device_id, "modules", module_id]
    fits = len(path) == len(wanted) and all(_same(got, want) for got, want in zip(path, wanted, strict=True))
    if host.lower() not in hosts or not fits:
        expected = resource_of(" or ".join(sorted(hosts)) or "(no host)", device_id, module_id)
        raise AccessDenied(
            "the shared access signature is for something else",
            why=f"it is for {token.resource[:400]!r}, expected {expected!r}",
            hint="make the token for the host name and the id that the client connects with",
        )


def _same(got: str, want: str) -> bool:
    """Some SDKs encode the ids once more inside the resource; who can sign for either spelling holds the same key."""
    return want.casefold() in (got.casefold(), _decoded_again(got).casefold())


def _decoded_again(text: str) -> str:
    try:
        return percent_decoded(text, "sr")
    except EncodingError:
        return text


def _signature(signed_resource: str, key: bytes, expiry: int) -> bytes:
    return hmac.digest(key, f"{signed_resource}\n{expiry}".encode(), hashlib.sha256)


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if not equals or name not in _FIELDS:
            raise _malformed(f"it has a field other than {', '.join(_FIELDS)}")
        if name in fields:
            raise _malformed(f"it has the field '{name}' twice")
        fields[name] = value
    missing = [name for name in ("sr", "sig", "se") if not fields.get(name)]
    if missing:
        raise _malformed(f"it has no {' and no '.join(missing)}")
    return fields


def _expiry(text: str) -> int:
    """The number that was signed is this very text, so only one way of writing it is taken."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12) or str(int(text)) != text or int(text) > MAX_EXPIRY:
        raise _malformed("its expiry 'se' is not a number of seconds since 1970")
    return int(text)


def _malformed(why: str) -> EncodingError:
    hint = f"expected '{SCHEME} sr=…&sig=…&se=…'"
    return EncodingError("the shared access signature is malformed", why=why, hint=hint)
