"""Where our errors become HTTP: one table, and the answers as values.

Nothing that we did not mean to say gets out: an error of ours is `{"message": "…"}`, anything else "internal error".
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from leafward.errors import (
    AccessDenied,
    AlreadyExists,
    Busy,
    InputError,
    LeafwardError,
    NotFound,
    PeerUnavailable,
)
from leafward.wire import http1
from leafward.wire.api_fields import error_body

# The first kind that fits decides. Whatever is not here is a fault on our side: 500.
STATUS: tuple[tuple[type[LeafwardError], int], ...] = (
    (InputError, 400),
    (AccessDenied, 403),
    (NotFound, 404),
    (AlreadyExists, 409),
    (Busy, 503),
    (PeerUnavailable, 503),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A response; `close` ends the connection after it."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    close: bool = False

    def to_bytes(self, *, close: bool = False) -> bytes:
        """As it goes out."""
        return http1.answer(
            self.status,
            self.body,
            content_type=self.content_type,
            close=close or self.close,
            headers=self.headers,
        )


def status_of(error: LeafwardError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def refusal(status: int, message: str, *, close: bool = False) -> Answer:
    """An answer that says why there is no other."""
    return Answer(status, error_body(message), close=close)


def failure(error: BaseException, what: str) -> Answer:
    """The answer to a request that raised; `what` names it in the log. A message of ours never holds a key."""
    if isinstance(error, LeafwardError):
        status = status_of(error)
        if status >= 500:
            _log.error("%s: %s", what, error)
        return refusal(status, str(error) if error.hint is None else f"{error}; {error.hint}")
    if isinstance(error, TimeoutError):
        return refusal(408, "the request took too long")
    _log.error("%s failed", what, exc_info=error)
    return refusal(500, "internal error")
