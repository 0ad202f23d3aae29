"""HTTP for revocation: lists by GET (RFC 5280 4.2.1.13), OCSP by GET and POST (RFC 6960 appendix A, RFC 5019 5).

    GET  /crl/KEYID/7.crl           POST /ocsp           GET  /ocsp/BASE64

Everything served is signed and the same for everybody, so each answer says how long caches may keep it. What cannot be
answered is an OCSP error with the status 200, as clients expect, and no cache keeps it.
"""

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Protocol

from aiohttp import web
from cryptography import x509

from leafward.authority.crl_shards import Publishing, partition_named
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


def routes(source: Source, publishing: Publishing, clock: Callable[[], datetime]) -> list[web.RouteDef]:
    """The routes, at the paths that the certificates name. `clock` gives aware UTC times."""
    handlers = _Handlers(source, publishing, clock)
    lists, ocsp = publishing.list_path.rstrip("/"), publishing.ocsp_path.rstrip("/")
    return [
        web.get(lists + "/{key_id:[0-9a-f]{2,128}}/{name:[a-z0-9.]{1,20}}", handlers.revocation_list),
        web.post(ocsp or "/", handlers.posted),
        web.get(ocsp + "/{request:.+}", handlers.got),
    ]


class _Handlers:
    def __init__(self, source: Source, publishing: Publishing, clock: Callable[[], datetime]) -> None:
        self._source = source
        self._clock = clock
        self._ocsp_path = publishing.ocsp_path.rstrip("/") + "/"

    async def revocation_list(self, request: web.Request) -> web.Response:
        partition = partition_named(request.match_info["name"])
        der = None
        if partition is not None:
            try:
                der = await self._source.revocation_list(request.match_info["key_id"], partition)
            except LeafwardError as error:
                logger.warning("a revocation list could not be read: %s", error)
                raise web.HTTPServiceUnavailable(headers={"Retry-After": "60"}) from None
        if der is None:
            raise web.HTTPNotFound
        read = x509.load_der_x509_crl(der)
        begin, end = read.last_update_utc, read.next_update_utc
        return self._cached(request, der, CRL_TYPE, begin, end or begin, most=MAX_LIST_AGE)

    async def posted(self, request: web.Request) -> web.Response:
        if request.content_type != REQUEST_TYPE:
            raise web.HTTPUnsupportedMediaType(text=f"expected {REQUEST_TYPE}\n")
        return await self._answer(request, await request.read())

    async def got(self, request: web.Request) -> web.Response:
        # The path as it was sent: base64 has slashes, which decoding would take for those of the path.
        path, _, _ = request.raw_path.partition("?")
        try:
            question = question_in_path(path.removeprefix(self._ocsp_path))
        except EncodingError:
            return _error(MALFORMED)
        return await self._answer(request, question)

    async def _answer(self, request: web.Request, question: bytes) -> web.Response:
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
        self, request: web.Request, body: bytes, kind: str, begin: datetime, end: datetime, *, most: int | None = None
    ) -> web.Response:
        """A body with what RFC 5019 6.2 tells caches: keep it to its `end`, or for so many seconds; 304 for its tag."""
        tag = hashlib.sha256(body).hexdigest()
        now = self._clock()
        left = max(int((end - now).total_seconds()), 0)
        age = left if most is None else min(left, most)
        headers = {
            "ETag": f'"{tag}"',
            "Last-Modified": format_datetime(begin, usegmt=True),
            "Expires": format_datetime((now + timedelta(seconds=age)).replace(microsecond=0), usegmt=True),
            "Cache-Control": f"max-age={age},public,no-transform,must-revalidate",
        }
        if any(one.value == tag for one in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=kind, headers=headers)


def _error(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=RESPONSE_TYPE, headers={"Cache-Control": "no-store"})
