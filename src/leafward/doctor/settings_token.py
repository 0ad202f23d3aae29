"""A shared access signature by itself: whether it is in time, and, with a connection string, whether it is good."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from leafward.doctor.noted import Noted
from leafward.errors import AccessDenied
from leafward.wire.connection_string import ConnectionString
from leafward.wire.sas import SasToken, check_audience, verify

_NEW = "Make a new token from the device's key; the SDKs do so by themselves"


def token_faults(
    token: SasToken, told: ConnectionString | None, now: datetime, gateways: frozenset[str]
) -> Iterator[Noted]:
    """`told` is the connection string whose key should have made it; None: the signature cannot be checked."""
    if told is not None:
        yield from _not_for_this(token, told, gateways)
        if told.shared_access_key is not None:
            yield from _not_by_this_key(token, told.shared_access_key)
    ends = datetime.fromtimestamp(token.expiry, UTC)
    if ends <= now:
        yield Noted(
            code="sas-expired",
            got=f"an end at {ends:%Y-%m-%dT%H:%M:%SZ}",
            expected=f"a time after {now:%Y-%m-%dT%H:%M:%SZ}",
            who="leaf",
            fix=f"{_NEW}. If the token is new, compare the clocks: date -u on both machines.",
            alternatives=("clock-wrong",),
            look="date -u on both machines: where they differ, it is a clock",
        )


def _not_for_this(token: SasToken, told: ConnectionString, gateways: frozenset[str]) -> Iterator[Noted]:
    hosts = {told.host_name.lower(), told.connects_to.lower(), *gateways}
    try:
        check_audience(token, hosts, told.device_id, told.module_id)
    except AccessDenied as error:
        yield _wrong(error.why or error.what, "a token for the host name and the id of the connection string")


def _not_by_this_key(token: SasToken, key: bytes) -> Iterator[Noted]:
    try:
        verify(token, key, datetime.fromtimestamp(token.expiry, UTC) - timedelta(seconds=1))
    except AccessDenied as error:
        yield _wrong(error.why or error.what, "a signature made with the key of the connection string")


def _wrong(got: str, expected: str) -> Noted:
    return Noted(code="sas-signature-wrong", got=got, expected=expected, who="leaf", fix=f"{_NEW}.")
