"""What a device brings to a service that listens itself: its token, or else what the TLS handshake has proved."""

import asyncio

from aiohttp import web

from leafward.provisioning.admission import Credential


def credential_of(token: str | None, transport: asyncio.BaseTransport | None) -> Credential:
    """Of a connection. Raises `EncodingError` for certificates that cannot be read."""
    tls = None if transport is None or token is not None else transport.get_extra_info("ssl_object")
    return Credential(token, () if tls is None else tls.peer_chains())


def credential_of_request(request: web.Request) -> Credential:
    """Of an HTTPS request. Raises `EncodingError`."""
    return credential_of(request.headers.get("Authorization"), request.transport)
