"""The order of judgement: who a peer says it is, then the one credential it brought, else nothing.

A password is judged as a SAS token, and only without one the client certificate; a peer with neither is refused. A
login through a child gateway is judged by that gateway's credential (`nested_authenticator.py`). The caller tells the
peer no more than "no".
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509

from leafward.errors import LeafwardError
from leafward.hub.nested_authenticator import NestedAuthenticator
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.hub.sas_authenticator import SasAuthenticator
from leafward.hub.x509_authenticator import X509Authenticator
from leafward.pki.names import parse_device_id, parse_module_id
from leafward.wire.hub_login import Login

# Read only when needed: most peers bring a token, and taking a chain off a TLS connection costs a copy.
Certificates = Callable[[], Sequence[x509.Certificate]]


class Authenticator:
    """Judges MQTT logins and HTTPS requests alike."""

    def __init__(self, sas: SasAuthenticator, x509_: X509Authenticator, nested: NestedAuthenticator) -> None:
        self._sas = sas
        self._x509 = x509_
        self._nested = nested

    def login(
        self, username: str | None, client_id: str, password: bytes | None, certificates: Certificates, now: datetime
    ) -> Peer | Refusal:
        """Judges an MQTT CONNECT."""
        if username is None:
            return Refusal("credential-missing", "no user name")
        try:
            login = Login.parse(username, client_id)
        except LeafwardError as error:
            return Refusal("login-malformed", str(error))
        try:
            text = None if password is None else password.decode("utf-8")
        except UnicodeDecodeError:
            return Refusal("sas-malformed", "the password is not UTF-8")
        if login.auth_chain:
            return self._nested.admit(login, text, now)
        return self.credential(login.device_id, login.module_id, text, certificates, now)

    def opens(self, certificates: Sequence[x509.Certificate], now: datetime) -> bool:
        """Whether a presented chain, leaf first, would let a device in that is registered for it by its CA."""
        return self._x509.opens(certificates, now)

    def credential(
        self, device_id: str, module_id: str | None, token: str | None, certificates: Certificates, now: datetime
    ) -> Peer | Refusal:
        """Judges the credential of whoever says it is this device or module."""
        try:
            parse_device_id(device_id)
            if module_id is not None:
                parse_module_id(module_id)
        except LeafwardError as error:
            return Refusal("login-malformed", str(error))
        if token is not None:
            return self._sas.admit(device_id, module_id, token, now)
        try:
            presented = certificates()
        except LeafwardError as error:
            return Refusal("certificate-malformed", str(error))
        if presented:
            return self._x509.admit(device_id, module_id, presented, now)
        return Refusal("credential-missing", "neither a token nor a client certificate")
