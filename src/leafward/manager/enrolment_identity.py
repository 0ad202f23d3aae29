"""The device's own identity, enrolled by EST: asked for once with the bootstrap credential, then renewed by itself.

Where `enrolment.identity_url` names a label for it, a device needs its password or bootstrap certificate once. From
then on its identity asks, for its own next certificate and for every device CA. Its key is a file in
`manager/enrolled-identity/`: TLS needs the bytes of a client's key.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509

from leafward import disk
from leafward.errors import AccessDenied, InputError, NotFound, RequestError
from leafward.manager import enrolment_credentials as credentials
from leafward.manager.enrolment_answer import client_chain, own_certificate
from leafward.manager.enrolment_client import Credential, EstClient
from leafward.manager.enrolment_slots import IDENTITY_FOLDER, EnrolledFiles, EnrolledPairs
from leafward.manager.settings import EnrolmentSettings
from leafward.pki.certification_request import certification_request
from leafward.pki.chain import Chain
from leafward.pki.key_types import DEFAULT_KEY_TYPE, PrivateKey
from leafward.pki.names import common_name, subject
from leafward.pki.profiles import profile
from leafward.pki.renewal import Renew, RenewalPolicy
from leafward.pki.request import CertificateRequest
from leafward.store.home import Home

_log = logging.getLogger(__name__)


class EnrolledIdentity:
    """Keeps the identity of one home. Its calls block on the network; for one thread at a time."""

    name = "device identity"

    def __init__(
        self,
        home: Home,
        settings: EnrolmentSettings,
        device_name: str,
        client: EstClient,
        *,
        anchors: Sequence[x509.Certificate],
        policy: RenewalPolicy,
        now: Callable[[], datetime],
    ) -> None:
        self._pairs = EnrolledPairs(home.manager / IDENTITY_FOLDER, None, DEFAULT_KEY_TYPE)
        self._settings = settings
        self._subject = subject(device_name, settings.serial_number or device_name)
        self._client = client
        self._anchors = tuple(anchors)
        self._policy = policy
        self._now = now

    def files(self) -> EnrolledFiles | None:
        """What is in use; None before the first."""
        return self._pairs.active()

    def due(self) -> str | None:
        """Why it is to be enrolled now; None while the one in use is good."""
        present = self._present()
        if present is None:
            return "there is none"
        if common_name(present.subject) != common_name(self._subject):
            return "its name is another one"
        decision = self._policy.decide(present, self._now())
        return decision.reason if isinstance(decision, Renew) else None

    def enrol(self) -> EnrolledFiles:
        """Asks for the first identity, or for the next one. Raises, with the old one in use, as `EstClient.enrol`."""
        self._pairs.tidy()
        issuers = self._client.ca_certificates()
        present = self._present()
        who = credentials.first_usable(
            (
                lambda: credentials.identity(self._pairs.active(), self._now()),
                lambda: credentials.bootstrap(self._settings, self._now()),
            )
        )
        renewal = present is not None and who.chain is not None and who.chain.leaf == present
        renewal = renewal and present is not None and common_name(present.subject) == common_name(self._subject)
        wanted = present.subject if renewal and present is not None else self._subject
        waiting = self._pairs.wait(lambda key: _request(key, wanted), keep_key=False)
        found = ask(self._client, waiting.request, who, renewal=renewal)
        leaf = own_certificate(found, waiting.key.public_key(), wanted, present)
        chain = client_chain(leaf, [*found, *issuers], self._anchors, self._now())
        files = self._pairs.put(waiting, chain, self._prove)
        _log.info("the device identity is good until %s", leaf.not_valid_after_utc.isoformat())
        return files

    def _prove(self, files: EnrolledFiles) -> None:
        credentials.identity(files, self._now())

    def _present(self) -> x509.Certificate | None:
        """The certificate in use; None without one, and, with a warning, where it does not read back."""
        try:
            files = self._pairs.active()
            return None if files is None else Chain.from_pem(disk.read_file(files.certificate)).leaf
        except (NotFound, InputError) as error:
            _log.warning("the enrolled device identity cannot be used and is asked for anew: %s", error)
            return None


def ask(client: EstClient, request: bytes, who: Credential, *, renewal: bool) -> list[x509.Certificate]:
    """What the server gives for a request; where it does not renew like that, it is asked for a new one.

    Servers differ in what they let renew: some know only the certificate itself, some have forgotten or never knew the
    old one. Raises what the last attempt failed with.
    """
    if renewal:
        try:
            return client.enrol(request, who, renewal=True)
        except (AccessDenied, RequestError, NotFound) as error:
            _log.info("the EST server does not renew, it is asked for a new certificate: %s", error)
    return client.enrol(request, who, renewal=False)


def _request(key: PrivateKey, wanted: x509.Name) -> x509.CertificateSigningRequest:
    kind = profile("device_identity")
    return certification_request(key, kind, CertificateRequest(key.public_key()), wanted, path_length=None)
