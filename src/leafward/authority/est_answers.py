"""What an error is in HTTP, for EST (RFC 7030 4.2.3): one table, and texts that help the device's maker.

    202 + Retry-After   the authority cannot sign now (its token is out): come again with the same request
    400                 the request, or what it asks for
    401                 no credential, or none that counts; a name and a password would do
    403                 a good credential, for something else
    404, 405, 413, 415  path, method, size, content type;  409 the name is in use
    429 + Retry-After   too many wrong passwords
    500, 501, 503       ours

Bodies are text for people. What went wrong on our side is in the log, not in the answer.
"""

import logging

from leafward.authority.serve_http import Answer, text_answer
from leafward.errors import (
    AccessDenied,
    AlreadyExists,
    InputError,
    KeyUnavailable,
    LeafwardError,
    NotFound,
    ProtocolError,
    RuleViolation,
    StoreError,
)

logger = logging.getLogger(__name__)

REALM = 'Basic realm="leafward", charset="UTF-8"'
DEVIATIONS_HEADER = "Leafward-Deviation"

# The first kind that fits decides.
_STATUS: tuple[tuple[type[LeafwardError], int], ...] = (
    (ProtocolError, 415),
    (InputError, 400),
    (AccessDenied, 403),
    (NotFound, 404),
    (AlreadyExists, 409),
    (KeyUnavailable, 202),
    (StoreError, 503),
)
# Rules that a request breaks by its key, signature or names. Every other is the authority's own affair.
_RULES_OF_REQUESTS = frozenset(
    {
        "weak-key",
        "weak-signature",
        "unsupported-algorithm",
        "key-past-its-date",
        "common-name-too-long",
        "common-name-equals-device-ca",
        "issuer-same-name-as-server",
        "san-missing",
        "ip-in-dns-san",
        "hostname-invalid",
        "name-constraint-violated",
        "post-quantum-chain",
    }
)
_HELD = "present the certificate to be renewed, or have the maker revoke it first"
_NOT_NOW = "the authority cannot sign at the moment: repeat the same request later"


def refusal(error: LeafwardError, retry_after: int) -> Answer:
    """The answer to a request that failed. `retry_after`: seconds."""
    status = _status_of(error)
    later = {"Retry-After": str(retry_after)}
    if status == 202:
        logger.warning("cannot sign: %s", error)
        return text_answer(status, _NOT_NOW, later)
    if status >= 500:
        logger.error("a request failed: %s", error)
        return text_answer(status, "the authority has a fault; its log says which", later if status == 503 else None)
    if status == 409:
        # Its hint is for the maker's command line, and who holds the name is none of the device's business.
        return text_answer(status, f"{error.what}\n{_HELD}")
    return text_answer(status, words(error))


def unauthorised(error: LeafwardError) -> Answer:
    """401 with the other way in (RFC 7030 3.2.3)."""
    return text_answer(401, words(error), {"WWW-Authenticate": REALM})


def words(error: LeafwardError) -> str:
    """What, why and what to do next."""
    return str(error) if error.hint is None else f"{error}\n{error.hint}"


def _status_of(error: LeafwardError) -> int:
    if isinstance(error, RuleViolation):
        return 400 if error.code in _RULES_OF_REQUESTS else 500
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
