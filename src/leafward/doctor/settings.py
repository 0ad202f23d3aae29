"""A leaf device's own settings: its connection string, its token, its certificate, judged without a network.

What is judged against a registry needs one: a home's, read as it stands. No secret leaves this room but inside a
`LeafSettings`, which does not show it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509

from leafward.doctor.live_speech import MqttLogin
from leafward.doctor.noted import Noted
from leafward.doctor.settings_identity import certificate_faults, identity_faults
from leafward.doctor.settings_text import string_faults
from leafward.doctor.settings_token import token_faults
from leafward.errors import EncodingError, SettingsError
from leafward.store.identity import Identity
from leafward.wire.connection_string import ConnectionString
from leafward.wire.sas import SCHEME, SasToken, resource_of, sign

API_VERSION = "2021-04-12"
PORT = 8883
_TOKEN_LIFE = timedelta(minutes=5)

# Given a device id and a module id: the identity, or None where there is none.
Registered: TypeAlias = Callable[[str, str | None], Identity | None]


@dataclass(frozen=True, kw_only=True)
class LeafSettings:
    """What a leaf device was told, as far as it can be read. `faults` are those of the texts themselves."""

    connection: ConnectionString | None = field(default=None, repr=False)
    token: SasToken | None = field(default=None, repr=False)
    faults: tuple[Noted, ...] = ()

    @property
    def connects_to(self) -> str | None:
        """The host that the leaf opens its connection to."""
        return None if self.connection is None else self.connection.connects_to

    def login(self, now: datetime, *, by_certificate: bool) -> MqttLogin | None:
        """A login as this device; None where there is nothing to log in with. A token is made when it is sent."""
        told = self.connection
        if told is None or (told.x509 and not by_certificate) or (not told.x509 and told.shared_access_key is None):
            return None
        client_id = told.device_id if told.module_id is None else f"{told.device_id}/{told.module_id}"
        username = f"{told.host_name}/{client_id}/?api-version={API_VERSION}&DeviceClientType=leafward-doctor"
        key = told.shared_access_key
        if key is None:
            return MqttLogin(client_id, username, None)
        resource = resource_of(told.host_name, told.device_id, told.module_id)
        return MqttLogin(client_id, username, lambda: sign(resource, key, int((now + _TOKEN_LIFE).timestamp())))


def read_settings(texts: Sequence[str]) -> LeafSettings:
    """From connection strings and tokens, one of each at most. Never raises for what stands in them."""
    found = LeafSettings()
    for text in texts:
        found = _with_token(found, text) if text.strip().startswith(SCHEME) else _with_string(found, text)
    return found


def _with_string(found: LeafSettings, text: str) -> LeafSettings:
    faults = tuple(string_faults(text))
    if any(one.severity == "error" for one in faults):
        return replace(found, faults=(*found.faults, *faults))
    try:
        connection = ConnectionString.parse(text.strip())
    except SettingsError as error:  # what `string_faults` does not know
        faults = (*faults, malformed(error))
        return replace(found, faults=(*found.faults, *faults))
    return replace(found, connection=connection, faults=(*found.faults, *faults))


def malformed(error: SettingsError) -> Noted:
    """A connection string that does not read."""
    return Noted(
        code="connection-string-malformed",
        got=error.why or error.what,
        expected="HostName=…;DeviceId=…;SharedAccessKey=…;GatewayHostName=…",
        who="leaf",
        fix=f"{(error.hint or 'Copy it again, whole')[:200]}: leafward device show ID --secrets prints it.",
    )


def _with_token(found: LeafSettings, text: str) -> LeafSettings:
    try:
        return replace(found, token=SasToken.parse(text.strip()))
    except EncodingError as error:
        fault = Noted(
            code="sas-signature-wrong",
            got=error.why or error.what,
            expected="SharedAccessSignature sr=…&sig=…&se=…",
            who="leaf",
            fix="Make the token again, from the device's key; the SDKs do so by themselves.",
        )
        return replace(found, faults=(*found.faults, fault))


@dataclass(frozen=True, kw_only=True)
class Around:
    """What is at hand beside the settings. `gateways` are the names that gateways are known by: the server among the
    targets, the hostname of a home. `client` is the leaf's own chain, `anchors` the roots that the hub trusts.
    """

    now: datetime
    gateways: frozenset[str] = frozenset()
    registered: Registered | None = None
    client: tuple[x509.Certificate, ...] = ()
    has_key: bool = False
    anchors: tuple[x509.Certificate, ...] = ()
    more: tuple[x509.Certificate, ...] = ()


def settings_faults(settings: LeafSettings, around: Around) -> tuple[Noted, ...]:
    """All that is wrong with the settings, under the circumstances."""
    return tuple(_faults(settings, around))


def _faults(settings: LeafSettings, around: Around) -> Iterator[Noted]:
    yield from settings.faults
    told = settings.connection
    if settings.token is not None:
        yield from token_faults(settings.token, told, around.now, around.gateways)
    if told is None:
        return
    yield from _credential(told, settings, around)
    yield from _gateway(told, around.gateways)
    identity = None
    if around.registered is not None:
        identity = around.registered(told.device_id, told.module_id)
        yield from identity_faults(told, identity, around.client)
    if told.x509 and around.client:
        yield from certificate_faults(told, identity, around.client, around.anchors, around.more)


def _credential(told: ConnectionString, settings: LeafSettings, around: Around) -> Iterator[Noted]:
    if not told.has_credential and settings.token is None:
        yield Noted(
            code="credential-missing",
            got="neither SharedAccessKey nor x509=true",
            expected="one of the two",
            who="leaf",
            fix="Copy the whole connection string: leafward device show ID --secrets prints it with its key.",
        )
    if told.x509 and around.client and not around.has_key:
        yield Noted(
            code="credential-missing",
            got="a certificate without its private key",
            expected="the key of the client certificate",
            who="leaf",
            severity="warning",
            fix="Give the key file beside the certificate: the SDK needs both (--key FILE here).",
        )


def _gateway(told: ConnectionString, gateways: frozenset[str]) -> Iterator[Noted]:
    name = told.gateway_host_name
    if name is not None and name != name.lower():
        yield Noted(
            code="gateway-host-name-not-lower-case",
            severity="warning",
            got=name,
            expected=name.lower(),
            who="leaf",
            fix=f"Write GatewayHostName={name.lower()} in the connection string.",
        )
    # With a certificate the SDK for Node drops GatewayHostName, so HostName may well be the gateway.
    if name is None and not told.x509 and told.host_name.lower() not in gateways:
        known = sorted(gateways)
        yield Noted(
            code="gateway-host-name-missing",
            got=f"a connection to {told.host_name} itself",
            expected=f"GatewayHostName={known[0] if known else 'NAME'}",
            who="leaf",
            fix=f"Append ;GatewayHostName={known[0] if known else 'NAME'} to the connection string, with the hostname "
            "of the gateway.",
        )
