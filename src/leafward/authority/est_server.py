"""The EST server's handlers: who asks, what for, and the answer in the form RFC 7030 gives it.

path -> operation, label     cacerts, csrattrs: answered to anybody (RFC 7030 4.1.2, 4.5.1)
client certificate, Basic -> client
body -> PKCS#10 -> desk -> certificate -> certs-only message, base64 in one line
"""

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web
from cryptography import x509

from leafward.authority.est_accounts import AccountDoor
from leafward.authority.est_answers import DEVIATIONS_HEADER, answer, refusal, unauthorised
from leafward.authority.est_clients import AccountClient, CertificateClient, CertificateDoor, Client
from leafward.authority.est_desk import Desk
from leafward.authority.est_labels import Label, Labels
from leafward.authority.est_requests import Enrolment, is_linked_or_changed
from leafward.errors import AccessDenied, EncodingError, LeafwardError
from leafward.keys.generation import new_private_key
from leafward.pki.encoding import private_key_to_pem
from leafward.pki.key_types import PrivateKey
from leafward.pki.pem import read_blocks
from leafward.wire.basic import parse_basic
from leafward.wire.est.bodies import (
    BASE64,
    CERTIFICATES,
    CSR_ATTRIBUTES,
    TRANSFER_ENCODING,
    Received,
    certificates_only,
    encode_body,
    read_request,
)
from leafward.wire.est.key_delivery import KEY_AND_CERTIFICATE, encode_key_and_certificate
from leafward.wire.est.targets import Operation, parse_target
from leafward.wire.tls.connection import TlsConnection

logger = logging.getLogger(__name__)

BODY_SECONDS = 30.0


class EstServer:
    """The handlers. `clock` gives aware UTC times; `labels` may be given anew while it serves."""

    def __init__(
        self,
        labels: Labels,
        *,
        certificates: CertificateDoor,
        accounts: AccountDoor,
        desk: Desk,
        clock: Callable[[], datetime],
        retry_after: int,
    ) -> None:
        self._labels = labels
        self._certificates = certificates
        self._accounts = accounts
        self._desk = desk
        self._clock = clock
        self._retry_after = retry_after

    def replace(self, labels: Labels) -> None:
        """From the next request on, other labels; every client is judged anew."""
        self._labels = labels
        self._certificates.forget()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answers one request, whatever it is; see `est_answers` for the refusals."""
        try:
            return await self._answer(request)
        except LeafwardError as error:
            return refusal(error, self._retry_after)
        except TimeoutError:
            return answer(408, "the request did not come in time", {"Connection": "close"})

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        target = parse_target(request.path)
        label = self._labels.get(target.label)
        operation = target.operation
        if operation is Operation.FULL_CMC:
            return answer(501, "full CMC is not offered: use simpleenroll")
        if request.method != operation.method:
            return answer(405, f"use {operation.method}", {"Allow": operation.method})
        if operation is Operation.CA_CERTIFICATES:
            return _encoded(label.ca_certificates, CERTIFICATES)
        if operation is Operation.CSR_ATTRIBUTES:
            return _encoded(label.csr_attributes, CSR_ATTRIBUTES)
        return await self._enrol(request, operation, label)

    async def _enrol(self, request: web.BaseRequest, operation: Operation, label: Label) -> web.Response:
        client = await self._client(request, label)
        if isinstance(client, web.Response):
            return client
        headers = request.headers
        received = read_request(
            await _body(request),
            content_type=headers.get("Content-Type"),
            transfer_encoding=headers.get(TRANSFER_ENCODING),
        )
        asked = Enrolment(
            label,
            client,
            received.der,
            renewal=operation is Operation.SIMPLE_REENROLL,
            bindings=_bindings(request) if is_linked_or_changed(received.der) else (),
        )
        if operation is Operation.SERVER_KEY_GENERATION:
            return _noting(received, await self._with_new_key(asked))
        certificate = await self._desk.enrol(asked)
        if isinstance(client, CertificateClient) and client.kind == label.profile.kind and not client.replaced:
            self._certificates.succeeded(client)
        return _noting(received, _encoded(encode_body(certificates_only([certificate])), CERTIFICATES))

    async def _with_new_key(self, asked: Enrolment) -> web.Response:
        """The key is made for this answer, goes out in it, and is nowhere else (RFC 7030 4.4)."""
        if not asked.label.makes_keys:
            why = f"under the label {asked.label.name!r}"
            raise AccessDenied(
                "keys are not made here", why=why, hint="make the key on the device, and use simpleenroll"
            )
        key = await asyncio.to_thread(new_private_key, asked.label.key_type)
        certificate = await self._desk.enrol(
            Enrolment(asked.label, asked.client, asked.der, bindings=asked.bindings, made_key=key.public_key())
        )
        body = encode_key_and_certificate(_pkcs8(key), certificates_only([certificate]))
        return web.Response(body=body, headers={"Content-Type": KEY_AND_CERTIFICATE})

    async def _client(self, request: web.BaseRequest, label: Label) -> Client | web.Response:
        """Who asks, or the answer to somebody who is nobody. A certificate that counts goes before a password."""
        now = self._clock()
        refused: LeafwardError | None = None
        if certificates := _presented(request):
            try:
                return self._certificates.admit(certificates, label, now)
            except LeafwardError as error:
                refused = error
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            return await self._account(authorization, request.remote or "", label, now)
        if refused is not None:
            logger.warning("refused from %s: %s", request.remote, refused)
            return unauthorised(refused)
        return unauthorised(
            AccessDenied("who asks is not known", hint="present a certificate, or a name and a password")
        )

    async def _account(self, authorization: str, source: str, label: Label, now: datetime) -> Client | web.Response:
        try:
            credentials = parse_basic(authorization)
        except EncodingError as error:
            return unauthorised(error)
        if credentials is None:
            return unauthorised(AccessDenied("this way of signing in is not known", hint="use Basic"))
        try:
            account = await self._accounts.admit(credentials, source, now)
        except AccessDenied as error:
            logger.warning("refused from %s: a wrong name or password", source)
            return unauthorised(error)
        if isinstance(account, timedelta):
            seconds = math.ceil(account.total_seconds())
            text = "too many wrong passwords from this address: wait, then try again"
            return answer(429, text, {"Retry-After": str(seconds)})
        if label.name not in account.labels:
            why, hint = f"the label {label.name!r} is not among its labels", "ask the maker for another account"
            raise AccessDenied("this account is for something else", why=why, hint=hint)
        return AccountClient(account)


async def _body(request: web.BaseRequest) -> bytes:
    """The body; most came with the header. Raises `TimeoutError` for one that dribbles."""
    if request.content.is_eof():
        return await request.read()
    async with asyncio.timeout(BODY_SECONDS):
        return await request.read()


def _presented(request: web.BaseRequest) -> tuple[x509.Certificate, ...]:
    connection = _connection(request)
    try:
        return connection.peer_certificates() if connection is not None else ()
    except EncodingError:
        # A certificate that cannot be read is nobody's; its holder may still have a password.
        return ()


def _connection(request: web.BaseRequest) -> TlsConnection | None:
    transport = request.transport
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    return connection if isinstance(connection, TlsConnection) else None


def _bindings(request: web.BaseRequest) -> tuple[bytes, ...]:
    """What a challengePassword may hold on this connection (`wire/est/linking.py`)."""
    connection = _connection(request)
    if connection is None:
        return ()
    kind = "tls-unique" if connection.version() == "TLSv1.2" else "tls-exporter"
    binding = connection.get_channel_binding(kind)
    return () if binding is None else (binding,)


def _encoded(body: bytes, content_type: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": content_type, TRANSFER_ENCODING: BASE64})


def _noting(received: Received, response: web.Response) -> web.Response:
    """Tells a client what it does not do as the RFCs say, so that its maker can mend it."""
    if received.deviations:
        response.headers[DEVIATIONS_HEADER] = ", ".join(received.deviations)
        logger.info("taken with deviations: %s", ", ".join(received.deviations))
    return response


def _pkcs8(key: PrivateKey) -> bytes:
    return read_blocks(private_key_to_pem(key))[0].data
