"""The proof that a request was made for this TLS connection: its challengePassword (RFC 7030 section 3.5).

The device puts the connection's channel binding, in base64, into the request before it signs it. A request that a
thief took from elsewhere has another. In TLS 1.2 the binding is tls-unique (RFC 5929). TLS 1.3 has none of that kind;
RFC 7030 was not brought up to date, so tls-exporter (RFC 9266) is taken there.

A wrong proof is refused; without one, the request stands on its signature and the client's credential alone.
"""

import base64
import hmac
from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import AttributeOID

from leafward.errors import RequestError


def check_linking(request: x509.CertificateSigningRequest, bindings: Iterable[bytes | None]) -> bool:
    """True where the request is linked to one of the connection's `bindings`, False where it has no challengePassword.

    Raises `RequestError` for one that is another connection's.
    """
    given = _challenge_password(request)
    if given is None:
        return False
    if any(hmac.compare_digest(given, base64.b64encode(binding)) for binding in bindings if binding):
        return True
    raise RequestError(
        "the request's challengePassword does not belong to this connection",
        why="expected the base64 of its tls-unique (TLS 1.2) or tls-exporter (TLS 1.3)",
        hint="make the request on this connection, or leave the challengePassword out",
    )


def _challenge_password(request: x509.CertificateSigningRequest) -> bytes | None:
    found = [one for one in request.attributes if one.oid == AttributeOID.CHALLENGE_PASSWORD]
    if len(found) > 1:
        raise RequestError("the request has more than one challengePassword", why=f"got {len(found)}", hint="give one")
    return found[0].value if found else None
