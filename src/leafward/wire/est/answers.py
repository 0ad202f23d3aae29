"""What an EST server answered, read by a client that trusts nothing in it (RFC 7030 4.1.3, 4.2.3; RFC 8951 3).

200, certs-only message in base64    certificates, not judged yet
202, 429, 503 …                      later: `retry_after` says when
anything else                        an error of ours; what the server wrote is quoted short and harmless
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from cryptography import x509

from leafward.errors import (
    AccessDenied,
    AlreadyExists,
    EncodingError,
    LeafwardError,
    NotFound,
    PeerUnavailable,
    ProtocolError,
    RequestError,
)
from leafward.wire.est.bodies import BASE64, CERTIFICATES, TRANSFER_ENCODING, certificates_of, decode_body

# A chain of ML-DSA certificates in base64 has some 60 KiB; a maker's cacerts with three rollovers twice that.
MAX_ANSWER = 256 * 1024
MAX_CERTIFICATES = 64
# However long a server wants us to wait: after a day we look again. A wrong clock there must not silence a gateway.
LONGEST_RETRY_AFTER = timedelta(days=1)

_QUOTED = 200
_PKCS7 = CERTIFICATES.partition(";")[0]
_SMIME_TYPE = "certs-only"
_LATER = frozenset({202, 408, 425, 429})
_REFUSALS: Mapping[int, tuple[type[LeafwardError], str]] = {
    400: (RequestError, "refuses the request"),
    401: (AccessDenied, "does not know who asks"),
    403: (AccessDenied, "does not give this to who asks"),
    404: (NotFound, "has nothing at this address"),
    405: (NotFound, "does not offer this"),
    409: (AlreadyExists, "has given the name away already"),
    410: (NotFound, "has nothing at this address any more"),
    413: (RequestError, "finds the request too large"),
    415: (RequestError, "does not take this kind of request"),
    501: (NotFound, "does not offer this"),
}
_HINTS: Mapping[type[LeafwardError], str] = {
    AccessDenied: "ask the maker whether this device, and the credential in [enrolment], may have this certificate",
    AlreadyExists: "ask the maker to revoke the device's old certificate, or enrol with a device identity",
    NotFound: "check enrolment.url: the host, the port and the label",
    RequestError: "compare common_name and key_type in [enrolment] with what the maker expects",
}


@dataclass(frozen=True, slots=True)
class EstAnswer:
    """An HTTP answer, whole. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


def read_certificates(answer: EstAnswer, server: str) -> list[x509.Certificate]:
    """The certificates of an answer to cacerts, simpleenroll or simplereenroll, in no order, not judged.

    `server` names who answered, for the errors. Raises `refusal(…)` for every status but 200, `ProtocolError` for
    another content type, `EncodingError` for a body that does not decode.
    """
    if answer.status != 200:
        raise refusal(answer, server)
    _check_content_type(answer, server)
    try:
        found = certificates_of(_der(answer))
    except EncodingError as error:
        raise EncodingError(f"the answer of {server} does not decode", why=str(error), hint=_NOT_OURS) from error
    if not 0 < len(found) <= MAX_CERTIFICATES:
        why = f"got {len(found)} certificates, expected 1 to {MAX_CERTIFICATES}"
        raise EncodingError(f"the answer of {server} is not used", why=why, hint=_NOT_OURS)
    return found


def refusal(answer: EstAnswer, server: str) -> LeafwardError:
    """An answer that holds no certificates, as an error.

    `PeerUnavailable` where the same request may succeed later; `AccessDenied`, `RequestError`, `NotFound` and
    `AlreadyExists` for what somebody has to change first; `ProtocolError` for what is no answer of an EST server.
    """
    status, said = answer.status, _quoted(answer)
    if status in _REFUSALS:
        kind, words = _REFUSALS[status]
        return kind(f"the EST server {server} {words}", why=f"HTTP {status}{said}", hint=_HINTS[kind])
    if status in _LATER or 500 <= status <= 599:
        words = "asks to come again later" if status in _LATER else "has a fault"
        return PeerUnavailable(f"the EST server {server} {words}", why=f"HTTP {status}{said}")
    if 300 <= status <= 399:
        why = f"HTTP {status} to {_harmless(answer.headers.get('location', 'nowhere'))!r}"
        hint = "redirects are not followed: give the new address in enrolment.url if it is the maker's"
        return ProtocolError(f"the EST server {server} sends us elsewhere", why=why, hint=hint)
    why = f"HTTP {status}{said}"
    return ProtocolError(f"{server} does not answer as an EST server", why=why, hint=_NOT_OURS)


def retry_after(answer: EstAnswer, now: datetime) -> timedelta | None:
    """How long the server asks to wait, at most `LONGEST_RETRY_AFTER`; None where it says nothing that can be read.

    Seconds or a date (RFC 9110 10.2.3). `now` is aware UTC; a date in the past is no wait.
    """
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        wanted = timedelta(seconds=min(int(text[:9]), LONGEST_RETRY_AFTER.total_seconds()))
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        wanted = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return min(max(wanted, timedelta(0)), LONGEST_RETRY_AFTER)


def _check_content_type(answer: EstAnswer, server: str) -> None:
    kind, *parameters = [part.strip().lower() for part in answer.headers.get("content-type", "").split(";")]
    wanted = [one.partition("=")[2].strip('" ') for one in parameters if one.startswith("smime-type")]
    if kind == _PKCS7 and (not wanted or wanted == [_SMIME_TYPE]):
        return
    hint = "a portal or a proxy may stand in between" if kind == "text/html" else _NOT_OURS
    why = f"got the content type {_harmless(answer.headers.get('content-type', 'none'))!r}, expected {CERTIFICATES}"
    raise ProtocolError(f"{server} does not answer as an EST server", why=why, hint=hint)


def _der(answer: EstAnswer) -> bytes:
    """Base64, with line breaks or without (RFC 8951 3.1); bare DER too, unless the answer says that it is base64."""
    said = answer.headers.get(TRANSFER_ENCODING.lower(), "").strip().lower()
    if said != BASE64 and answer.body[:1] == b"\x30" and not answer.body.isascii():
        return answer.body
    return decode_body(answer.body)


def _quoted(answer: EstAnswer) -> str:
    """The first words of an answer for people."""
    if not answer.headers.get("content-type", "").lower().startswith("text/plain"):
        return ""
    said = _harmless(answer.body[: 2 * _QUOTED].decode("utf-8", "replace"))
    return f", it says {said!r}" if said else ""


def _harmless(text: str) -> str:
    """One line without control characters: it goes into our log."""
    return "".join(one if one.isprintable() else " " for one in text).strip()[:_QUOTED]


_NOT_OURS = "check enrolment.url, and what stands between this gateway and the maker's EST server"
