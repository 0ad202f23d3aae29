"""Where upstream is, who we are there, and whom we trust: read from the files anew for each connection.

So a new key, certificate or password needs no restart, and a token is made just before it is used.
"""

import ssl
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from cryptography import x509

from leafward import __version__, disk
from leafward.errors import LeafwardError, SettingsError
from leafward.hub.upstream_settings import BUNDLE, SYSTEM_ROOTS, UpstreamTable
from leafward.hub.upstream_terms import LinkTerms
from leafward.pki.encoding import certificates_to_pem, load_certificates
from leafward.wire import sas
from leafward.wire.connection_string import ConnectionString
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL, PROTOCOL_LEVEL_5, Connect
from leafward.wire.upstream import BrokerForm, Form, HubForm, username
from leafward.wire.upstream_topic import TopicTemplate, TopicWriter

_CLIENT_TYPE = quote(f"leafward/{__version__}", safe="")
_SECRET_LIMIT = 65_536
# MQTT over TLS; connection strings do not name a port.
_LEVELS = {"3.1.1": PROTOCOL_LEVEL, "5": PROTOCOL_LEVEL_5}

Anchors = Callable[[], Sequence[x509.Certificate]]


@dataclass(frozen=True, slots=True)
class Destination:
    """All that one connection needs. `renew_after`: seconds until its token should be replaced, None for never."""

    host: str
    port: int
    tls: ssl.SSLContext
    terms: LinkTerms = field(repr=False)
    form: Form
    renew_after: float | None = None


class UpstreamCredentials:
    """Reads the files that `[hub.upstream]` names, relative to `folder`. `anchors` gives the trust bundle."""

    def __init__(self, table: UpstreamTable, folder: Path, gateway: str, anchors: Anchors) -> None:
        """`gateway` is this device's id."""
        self._table = table
        self._folder = folder
        self._gateway = gateway
        self._anchors = anchors

    @property
    def where(self) -> str:
        """Where upstream is, as far as the settings say; "" where a file says it."""
        return "" if self._table.host is None else f"{self._table.host}:{self._table.port}"

    def read(self, now: datetime) -> Destination:
        """Reads the files; makes a token that begins at `now`. Raises `LeafwardError` naming the setting."""
        return self._broker() if self._table.kind == "mqtt" else self._hub(now)

    def _hub(self, now: datetime) -> Destination:
        table = self._table
        assert table.connection_string_file is not None
        text = self._secret("connection_string_file", table.connection_string_file).decode("utf-8", "replace").strip()
        found = ConnectionString.parse(text)
        password = None
        if found.shared_access_key is not None:
            resource = sas.resource_of(found.host_name, found.device_id, found.module_id)
            expiry = int(now.timestamp()) + table.token_lifetime
            password = sas.sign(resource, found.shared_access_key, expiry).encode()
        elif table.certificate is None:
            raise SettingsError(
                "hub.upstream: the connection string has no key",
                why="x509=true needs a client certificate",
                hint="set certificate and key",
            )
        own = found.device_id if found.module_id is None else f"{found.device_id}/{found.module_id}"
        connect = Connect(
            client_id=own,
            keep_alive=table.keep_alive,
            clean_session=True,
            username=username(found.host_name, found.device_id, found.module_id, _CLIENT_TYPE),
            password=password,
        )
        return Destination(
            found.connects_to,
            table.port,
            self._tls(with_certificate=password is None),
            self._terms(connect),
            HubForm(found.device_id, found.module_id),
            None if password is None else table.token_lifetime * 0.8,
        )

    def _broker(self) -> Destination:
        table = self._table
        assert table.host is not None
        assert table.topic is not None
        password = None
        if table.password_file is not None:
            password = self._secret("password_file", table.password_file).rstrip(b"\r\n")
        level = _LEVELS[table.version]
        connect = Connect(
            client_id=table.client_id or self._gateway,
            keep_alive=table.keep_alive,
            clean_session=True,
            username=table.username,
            password=password,
            level=level,
        )
        topics = TopicWriter(TopicTemplate.parse(table.topic), self._gateway)
        form = BrokerForm(topics, envelope=table.body == "envelope", level=level)
        return Destination(table.host, table.port, self._tls(with_certificate=True), self._terms(connect), form)

    def _terms(self, connect: Connect) -> LinkTerms:
        table = self._table
        return LinkTerms(connect, connect.level, table.window, table.keep_alive, table.acknowledge_timeout)

    def _tls(self, *, with_certificate: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._trust(context)
        table = self._table
        if with_certificate and table.certificate is not None and table.key is not None:
            certificate, key = self._folder / table.certificate, self._folder / table.key
            self._check_private("key", key)
            try:
                context.load_cert_chain(certificate, key, password=_no_passphrase)
            except (OSError, ValueError) as error:
                why = str(error) or type(error).__name__
                hint = "PEM files: the certificate with its chain, and its own key without a passphrase"
                raise SettingsError("hub.upstream: certificate and key cannot be used", why=why, hint=hint) from error
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        trusted = self._table.trusted
        if trusted == SYSTEM_ROOTS:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            return
        if trusted == BUNDLE:
            anchors = list(self._anchors())
        else:
            try:
                anchors = load_certificates(disk.read_file(self._folder / trusted))
            except LeafwardError as error:
                raise SettingsError("hub.upstream.trust cannot be used", why=str(error), hint="a PEM file") from error
        if not anchors:
            raise SettingsError("hub.upstream.trust holds no certificate", hint="put the server's root CA there")
        context.load_verify_locations(cadata=certificates_to_pem(anchors).decode("ascii"))

    def _secret(self, setting: str, name: str) -> bytes:
        path = self._folder / name
        self._check_private(setting, path)
        try:
            return disk.read_file(path, limit=_SECRET_LIMIT)
        except LeafwardError as error:
            raise SettingsError(f"hub.upstream.{setting} cannot be read", why=str(error), hint=error.hint) from error

    def _check_private(self, setting: str, path: Path) -> None:
        """A secret that everybody on this machine can read is none."""
        try:
            with disk.told(f"cannot read {path}"):
                mode = path.stat().st_mode
        except LeafwardError as error:
            raise SettingsError(f"hub.upstream.{setting} cannot be read", why=str(error), hint=error.hint) from error
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            why = f"{path} has mode {stat.S_IMODE(mode):04o}: every user of this machine can read or change it"
            raise SettingsError(f"hub.upstream.{setting} is not private", why=why, hint=f"chmod 600 {path}")


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted, and nobody is here to type the passphrase")
