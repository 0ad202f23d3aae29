"""HTTP for revocation: lists by GET (RFC 5280 4.2.1.13), OCSP by GET and POST (RFC 6960 appendix A, RFC 5019 5).

    GET  /crl/KEYID/7.crl           POST /ocsp           GET  /ocsp/BASE64

Everything served is signed and the same for everybody, so each answer says how long caches may keep it. What cannot be
answered is an OCSP error with the status 200, as clients expect, and no cache keeps it.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Protocol

from cryptography import x509

from leafward.authority.crl_shards import Publishing, partition_named
from leafward.authority.serve_http import Answer, Request, text_answer
from leafward.authority.serve_routes import Route
from leafward.errors import EncodingError, LeafwardError, NotFound
from leafward.pki.ocsp import INTERNAL_ERROR, MALFORMED, TRY_LATER, UNAUTHORIZED, SignedAnswer, question_in_path

logger = logging.getLogger(__name__)

CRL_TYPE = "application/pkix-crl"
REQUEST_TYPE, RESPONSE_TYPE = "application/ocsp-request", "application/ocsp-response"
# A new list may come at any time; who has just fetched one need not ask again at once.
MAX_LIST_AGE = 300


class Source(Protocol):
    """Whoever has the lists and the answers: `RevocationService`."""

    async def revocation_list(self, issuer_key_id: str, partition: int) -> bytes | None:
        """See there."""

    async def answer(self, request: bytes) -> SignedAnswer:
        """See there."""


def routes(source: Source, publishing: Publishing, clock: Callable[[], datetime]) -> list[Route]:
    """The routes, at the paths that the certificates name. `clock` gives aware UTC times."""
    handlers = _Handlers(source, publishing, clock)
    lists, ocsp = re.escape(publishing.list_path.rstrip("/")), re.escape(publishing.ocsp_path.rstrip("/"))
    return [
        Route("GET", rf"{lists}/(?P<key_id>[0-9a-f]{{2,128}})/(?P<name>[a-z0-9.]{{1,20}})", handlers.revocation_list),
        Route("POST", ocsp or "/", handlers.posted),
        Route("GET", rf"{ocsp}/(?P<question>.+)", handlers.got),
    ]


class _Handlers:
    def __init__(self, source: Source, publishing: Publishing, clock: Callable[[], datetime]) -> None:
        self._source = source
        self._clock = clock

    async def revocation_list(self, request: Request, found: Mapping[str, str]) -> Answer:
        partition = partition_named(found["name"])
        der = None
        if partition is not None:
            try:
                der = await self._source.revocation_list(found["key_id"], partition)
            except LeafwardError as error:
                logger.warning("a revocation list could not be read: %s", error)
                return text_answer(503, "the list cannot be read now: come again later", {"Retry-After": "60"})
        if der is None:
            return text_answer(404, "there is no such list")
        read = x509.load_der_x509_crl(der)
        begin, end = read.last_update_utc, read.next_update_utc
        return self._cached(request, der, CRL_TYPE, begin, end or begin, most=MAX_LIST_AGE)

    async def posted(self, request: Request, _: Mapping[str, str]) -> Answer:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != REQUEST_TYPE:
            return text_answer(415, f"expected {REQUEST_TYPE}")
        return await self._answer(request, request.body)

    async def got(self, request: Request, found: Mapping[str, str]) -> Answer:
        # The path as it was sent: base64 has slashes, which decoding would take for those of the path.
        try:
            question = question_in_path(found["question"])
        except EncodingError:
            return _error(MALFORMED)
        return await self._answer(request, question)

    async def _answer(self, request: Request, question: bytes) -> Answer:
        try:
            answer = await self._source.answer(question)
        except EncodingError:
            return _error(MALFORMED)
        except NotFound:
            return _error(UNAUTHORIZED)
        except LeafwardError as error:
            logger.warning("an OCSP question could not be answered: %s", error)
            return _error(TRY_LATER)
        except Exception:
            logger.exception("an OCSP question could not be answered")
            return _error(INTERNAL_ERROR)
        return self._cached(request, answer.der, RESPONSE_TYPE, answer.this_update, answer.next_update)

    def _cached(
        self, request: Request, body: bytes, kind: str, begin: datetime, end: datetime, *, most: int | None = None
    ) -> Answer:
        """A body with what RFC 5019 6.2 tells caches: keep it to its `end`, or for so many seconds; 304 for its tag."""
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        now = self._clock()
        left = max(int((end - now).total_seconds()), 0)
        age = left if most is None else min(left, most)
        headers = {
            "ETag": tag,
            "Last-Modified": format_datetime(begin, usegmt=True),
            "Expires": format_datetime((now + timedelta(seconds=age)).replace(microsecond=0), usegmt=True),
            "Cache-Control": f"max-age={age},public,no-transform,must-revalidate",
        }
        if _is_held(tag, request.headers.get("if-none-match", "")):
            return Answer(304, headers=headers)
        return Answer(200, body, {"Content-Type": kind, **headers})


def _is_held(tag: str, held: str) -> bool:
    """Whether an If-None-Match has the tag: a weak one counts too, and `*` does where there is something (RFC 9110
    13.1.2). Our tags are hexadecimal, so a comma always ends one.
    """
    tags = {one.strip().removeprefix("W/") for one in held.split(",")}
    return tag in tags or "*" in tags


def _error(body: bytes) -> Answer:
    return Answer(200, body, {"Content-Type": RESPONSE_TYPE, "Cache-Control": "no-store"})
