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
from functools import partial

from cryptography import x509

from leafward.authority.est_accounts import AccountDoor
from leafward.authority.est_answers import DEVIATIONS_HEADER, refusal, unauthorised
from leafward.authority.est_clients import AccountClient, CertificateClient, CertificateDoor, Client
from leafward.authority.est_desk import Desk
from leafward.authority.est_labels import Label, Labels
from leafward.authority.est_requests import Enrolment, is_linked_or_changed
from leafward.authority.serve_http import Answer, Reply, Request, text_answer
from leafward.authority.serve_routes import Tasks
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
    certificates_only_of,
    encode_body,
    read_request,
)
from leafward.wire.est.key_delivery import KEY_AND_CERTIFICATE, encode_key_and_certificate
from leafward.wire.est.targets import Operation, parse_target
from leafward.wire.percent import percent_decoded
from leafward.wire.tls.connection import TlsConnection

logger = logging.getLogger(__name__)


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
        self._tasks = Tasks()

    def replace(self, labels: Labels) -> None:
        """From the next request on, other labels; every client is judged anew."""
        self._labels = labels
        self._certificates.forget()

    def handle(self, request: Request, reply: Reply) -> None:
        """Answers one request, whatever it is; see `est_answers` for the refusals. A `serve_http.Handler`.

        Who shows a certificate that counts goes to the desk and back without a task or a future.
        """
        try:
            answer = self._begin(request, reply)
        except LeafwardError as error:
            answer = refusal(error, self._retry_after)
        if answer is not None:
            reply(answer)

    def _begin(self, request: Request, reply: Reply) -> Answer | None:
        """What can be answered at once; None where `reply` will be called."""
        target = parse_target(_path(request))
        label, operation = self._labels.get(target.label), target.operation
        if operation is Operation.FULL_CMC:
            return text_answer(501, "full CMC is not offered: use simpleenroll")
        if request.method != operation.method:
            return text_answer(405, f"use {operation.method}", {"Allow": operation.method})
        if operation is Operation.CA_CERTIFICATES:
            return _encoded(label.ca_certificates, CERTIFICATES)
        if operation is Operation.CSR_ATTRIBUTES:
            return _encoded(label.csr_attributes, CSR_ATTRIBUTES)
        client = self._client(request, label)
        if isinstance(client, CertificateClient) and operation is not Operation.SERVER_KEY_GENERATION:
            self._enrol(request, operation, label, client, reply)
        elif isinstance(client, Answer):
            return client
        else:
            self._tasks.answer(self._later(request, operation, label, client), reply)
        return None

    async def _later(self, request: Request, operation: Operation, label: Label, client: Client | str) -> Answer:
        """For whoever shows a password (`client` is the Authorization header then), or wants a key made."""
        try:
            if isinstance(client, str):
                found = await self._account(client, request.source, label, self._clock())
                if isinstance(found, Answer):
                    return found
                client = found
            if operation is Operation.SERVER_KEY_GENERATION:
                received, asked = self._asked(request, operation, label, client)
                return _noting(received, await self._with_new_key(asked))
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._enrol(request, operation, label, client, answer.set_result)
            return await answer
        except LeafwardError as error:
            return refusal(error, self._retry_after)

    def _enrol(self, request: Request, operation: Operation, label: Label, client: Client, reply: Reply) -> None:
        received, asked = self._asked(request, operation, label, client)
        self._desk.submit(asked, partial(self._enrolled, received, asked, reply))

    def _enrolled(self, received: Received, asked: Enrolment, reply: Reply, given: bytes | Exception) -> None:
        """The desk has answered."""
        if isinstance(given, LeafwardError):
            reply(refusal(given, self._retry_after))
            return
        if isinstance(given, Exception):
            reply(text_answer(500, "the authority has a fault; its log says which"))
            return
        client = asked.client
        if isinstance(client, CertificateClient) and client.kind == asked.label.profile.kind and not client.replaced:
            self._certificates.succeeded(client)
        reply(_noting(received, _encoded(encode_body(certificates_only_of([given])), CERTIFICATES)))

    def _asked(
        self, request: Request, operation: Operation, label: Label, client: Client
    ) -> tuple[Received, Enrolment]:
        headers = request.headers
        received = read_request(
            request.body,
            content_type=headers.get("content-type"),
            transfer_encoding=headers.get(_TRANSFER_ENCODING),
        )
        renewal = operation is Operation.SIMPLE_REENROLL
        bindings = _bindings(request.tls) if is_linked_or_changed(received.der) else ()
        return received, Enrolment(label, client, received.der, renewal=renewal, bindings=bindings)

    async def _with_new_key(self, asked: Enrolment) -> Answer:
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
        body = encode_key_and_certificate(_pkcs8(key), certificates_only_of([certificate]))
        return Answer(200, body, {"Content-Type": KEY_AND_CERTIFICATE})

    def _client(self, request: Request, label: Label) -> Client | Answer | str:
        """Who asks; or the Authorization header of somebody to be judged by it; or the answer to who is nobody.

        A certificate that counts goes before a password.
        """
        refused: LeafwardError | None = None
        if certificates := _presented(request.tls):
            try:
                return self._certificates.admit(certificates, label, self._clock())
            except LeafwardError as error:
                refused = error
        authorization = request.headers.get("authorization")
        if authorization is not None:
            return authorization
        if refused is not None:
            logger.warning("refused from %s: %s", request.source, refused)
            return unauthorised(refused)
        return unauthorised(
            AccessDenied("who asks is not known", hint="present a certificate, or a name and a password")
        )

    async def _account(self, authorization: str, source: str, label: Label, now: datetime) -> Client | Answer:
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
            return text_answer(429, text, {"Retry-After": str(seconds)})
        if label.name not in account.labels:
            why, hint = f"the label {label.name!r} is not among its labels", "ask the maker for another account"
            raise AccessDenied("this account is for something else", why=why, hint=hint)
        return AccountClient(account)


_TRANSFER_ENCODING = TRANSFER_ENCODING.lower()


def _path(request: Request) -> str:
    """The path, decoded. One that does not decode is nobody's."""
    if "%" not in request.path:
        return request.path
    try:
        return percent_decoded(request.path, "path")
    except EncodingError:
        return ""


def _presented(connection: TlsConnection | None) -> tuple[x509.Certificate, ...]:
    try:
        return connection.peer_certificates() if connection is not None else ()
    except EncodingError:
        # A certificate that cannot be read is nobody's; its holder may still have a password.
        return ()


def _bindings(connection: TlsConnection | None) -> tuple[bytes, ...]:
    """What a challengePassword may hold on this connection (`wire/est/linking.py`)."""
    if connection is None:
        return ()
    kind = "tls-unique" if connection.version() == "TLSv1.2" else "tls-exporter"
    binding = connection.get_channel_binding(kind)
    return () if binding is None else (binding,)


def _encoded(body: bytes, content_type: str) -> Answer:
    return Answer(200, body, {"Content-Type": content_type, TRANSFER_ENCODING: BASE64})


def _noting(received: Received, answer: Answer) -> Answer:
    """Tells a client what it does not do as the RFCs say, so that its maker can mend it."""
    if received.deviations:
        answer.headers[DEVIATIONS_HEADER] = ", ".join(received.deviations)
        logger.info("taken with deviations: %s", ", ".join(received.deviations))
    return answer


def _pkcs8(key: PrivateKey) -> bytes:
    return read_blocks(private_key_to_pem(key))[0].data
