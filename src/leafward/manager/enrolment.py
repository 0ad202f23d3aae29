"""The device CA by EST (RFC 7030, with RFC 8951): asked for, judged, put in use, and asked for again in time.

    who asks     enrolment_credentials    the device's identity, or a bootstrap credential
    its identity enrolment_identity       enrolled first, where the settings say so
    the server   enrolment_client         HTTPS, bounded in every direction
    the answer   enrolment_answer         ours, our name, a path to a root that was trusted before
    the disk     enrolment_slots          key and certificate in slots; what is in use stays until the new one is proved

A new device CA is judged exactly as one that somebody put there by hand (`judge_device_ca`), and by what will be read
back at the next start. Whatever fails, the old one stays in use, and is asked for again later: soon where it may mend
itself, slowly where somebody has to change something first.
"""

import logging
import random as system_random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509

from leafward import disk
from leafward.errors import (
    Damaged,
    InputError,
    LeafwardError,
    NotFound,
    RuleViolation,
    SettingsError,
)
from leafward.keys.key_reference import KeyReference
from leafward.keys.key_store import open_key
from leafward.manager import enrolment_credentials as credentials
from leafward.manager.backoff import SLOWLY, SOON, Random
from leafward.manager.device_ca import DeviceCaFiles, FoundDeviceCa, judge_device_ca
from leafward.manager.enrolment_answer import ca_chains, own_certificate
from leafward.manager.enrolment_client import Credential, EstClient
from leafward.manager.enrolment_identity import EnrolledIdentity, ask
from leafward.manager.enrolment_report import EnrolmentReport, may_mend
from leafward.manager.enrolment_slots import DEVICE_CA_FOLDER, EnrolledFiles, EnrolledPairs
from leafward.manager.settings import DeviceSettings, EnrolmentSettings, ManagerSettings
from leafward.manager.trust_bundle import read_roots
from leafward.pki.certification_request import certification_request
from leafward.pki.chain import Chain
from leafward.pki.key_types import PrivateKey
from leafward.pki.names import common_name, subject
from leafward.pki.profiles import profile
from leafward.pki.renewal import RenewalPolicy
from leafward.pki.request import CertificateRequest
from leafward.pki.rules import LEAST_TIME_LEFT
from leafward.store.home import Home
from leafward.wire.est.server_url import ServerUrl

_log = logging.getLogger(__name__)

_KIND = profile("device_ca")

Result = TypeVar("Result")


class Enrolment:
    """The enrolment of one home. `now` gives aware UTC times, `random` numbers in [0, 1).

    `enrol`, `tend`, `tidy` and `take_back` block, on the network and the disk, and are for one thread at a
    time of the process that holds the manager's lock; the others are for any thread.
    """

    def __init__(
        self,
        home: Home,
        settings: EnrolmentSettings,
        device: DeviceSettings,
        *,
        now: Callable[[], datetime],
        random: Random = system_random.random,
        rekey: bool = True,
        policy: RenewalPolicy | None = None,
    ) -> None:
        credentials.check_settings(settings)
        if device.device_ca_certificate is not None or device.device_ca_key is not None:
            why = "[enrolment] gets it from an EST server, and [device] names its files"
            raise SettingsError("it is not clear where the device CA comes from", why=why, hint="remove one of the two")
        self._home = home
        self._settings = settings
        self._device = device
        self._now = now
        self._random = random
        self._rekey = rekey
        self._policy = policy or RenewalPolicy.parse()
        self._name = settings.common_name or device.device_id
        self._url = ServerUrl.parse(settings.url)
        self._identity_url = None if settings.identity_url is None else ServerUrl.parse(settings.identity_url)
        self._pairs = EnrolledPairs(home.manager / DEVICE_CA_FOLDER, settings.key, settings.key_type)
        self._report = EnrolmentReport()
        self._failure: LeafwardError | None = None
        self._asked_to_wait: timedelta | None = None
        self._clients: list[EstClient] = []
        self._stopped = threading.Event()

    @classmethod
    def of(
        cls,
        home: Home,
        settings: ManagerSettings,
        *,
        now: Callable[[], datetime],
        random: Random = system_random.random,
    ) -> "Enrolment | None":
        """The enrolment that the settings ask for; None without `[enrolment]`. Raises `SettingsError`."""
        if settings.enrolment is None:
            return None
        rekey, policy = settings.renewal.rekey, settings.renewal.policy
        return cls(home, settings.enrolment, settings.device, now=now, random=random, rekey=rekey, policy=policy)

    def current(self) -> DeviceCaFiles | None:
        """The pair in use; None before the first. Raises `Damaged` where it does not read back."""
        files = self._pairs.active()
        return None if files is None else DeviceCaFiles(files.certificate, files.key)

    def check(self) -> None:
        """Raises for what is seen to be wrong without the network: `SettingsError`, and what the files named raise."""
        self._tls_roots()
        self._anchors()
        self._refuse_the_hosts_name()
        try:
            credentials.bootstrap(self._settings, self._now())
            credentials.identity(credentials.given_identity(self._settings), self._now())
        except RuleViolation as error:
            if error.code != credentials.EXPIRED:  # the clock may be the wrong one, and right in a minute
                raise

    def enrol(self) -> DeviceCaFiles:
        """Asks for a device CA: the first one, or the one that follows the present one. It is in use when this returns.

        What was in use before stays on disk until `tidy`, so that `take_back` can return to it.
        Raises, with the old one in use, `PeerUnavailable`, `KeyUnavailable` and `StoreError` for what may mend itself;
        `AccessDenied`, `RequestError`, `NotFound`, `AlreadyExists`, `ProtocolError`, `EncodingError`, `SettingsError`
        and `RuleViolation`, with the rule's code, for what will not.
        """
        return self._noting(self._enrol)

    def tend(self) -> None:
        """Renews the device's enrolled identity where that is due, long before a device CA may be; nothing without one.

        Raises as `enrol`.
        """
        self._clients = []  # else there were one more each hour, for as long as the process runs
        identity = self._identity()
        if identity is not None and self.current() is not None and (reason := identity.due()):
            _log.info("enrolling the device identity: %s", reason)
            self._noting(self._enrol_identity)

    def tidy(self) -> None:
        """The pair in use has proved itself: destroys the one before it, its key too, and what a kill left behind.

        What waits for a certificate stays. Until this is called the old key stays where it is, since whoever still
        signs with it may hold only a handle. Raises `StoreError`.
        """
        self._pairs.settle()

    def take_back(self) -> DeviceCaFiles | None:
        """Puts the pair before the last `enrol` in use again, destroys the other; None, no change, where it is gone."""
        files = self._pairs.roll_back()
        return None if files is None else DeviceCaFiles(files.certificate, files.key)

    def needed(self) -> str | None:
        """Why nothing can be served before the next `enrol`: there is no device CA, or it has ended; None otherwise."""
        present = self._present()
        if present is None:
            return "there is no device CA yet"
        left = present.not_valid_after_utc - self._now()
        return None if left > LEAST_TIME_LEFT else f"the device CA ends at {present.not_valid_after_utc.isoformat()}"

    def stop(self) -> None:
        """Ends the request under way, and every later one. From any thread."""
        self._stopped.set()
        for client in self._clients:
            client.stop()

    def next_attempt(self, failures: int) -> timedelta:
        """How long to wait after so many failures in a row, with jitter; never less than the server asked for."""
        refused = self._failure is not None and not may_mend(self._failure)
        wanted = (SLOWLY if refused else SOON).delay(failures, self._random)
        asked = self._asked_to_wait
        # All who were told the same number shall not come at the same instant.
        return wanted if asked is None else max(wanted, asked * (1 + self._random() / 10))

    def report(self) -> EnrolmentReport:
        """How it stands."""
        return self._report

    # ---- one attempt

    def _noting(self, attempt: Callable[[], Result]) -> Result:
        """Makes an attempt, and keeps what is to be told of it."""
        self._clients, self._asked_to_wait = [], None
        self._report = replace(self._report, last_attempt=self._now())
        try:
            done = attempt()
        except LeafwardError as error:
            self._note(error)
            raise
        self._failure = None
        self._report = EnrolmentReport(last_attempt=self._report.last_attempt, last_success=self._now())
        return done

    def _enrol_identity(self) -> None:
        if (identity := self._identity()) is not None:
            identity.enrol()

    def _enrol(self) -> DeviceCaFiles:
        self._refuse_the_hosts_name()
        self._pairs.tidy()
        client = self._client(self._url)
        issuers = client.ca_certificates()  # first: a certificate that was given and cannot be judged helps nobody
        who = self._credential()
        present = self._present()
        renewal = self._is_renewal(present, who)
        # RFC 7030 4.2.2: a renewal repeats the names as they are.
        wanted = present.subject if renewal and present is not None else subject(self._name)
        waiting = self._pairs.wait(lambda key: _request(key, wanted), keep_key=not self._rekey)
        found = ask(client, waiting.request, who, renewal=renewal)
        leaf = own_certificate(found, waiting.key.public_key(), wanted, present)
        chain = self._judged(leaf, [*found, *issuers], waiting.key)
        files = self._pairs.put(waiting, chain, self._prove)
        _log.info("the device CA %r is good until %s", self._name, leaf.not_valid_after_utc.isoformat())
        return DeviceCaFiles(files.certificate, files.key)

    def _credential(self) -> Credential:
        """Who asks; an identity of our own is enrolled first where it is due."""
        identity = self._identity()
        if identity is not None and identity.due() is not None:
            try:
                identity.enrol()
            except LeafwardError as error:
                if identity.files() is None:
                    raise
                _log.warning("the device identity was not renewed, the old one asks: %s", error)
        files = identity.files() if identity is not None else credentials.given_identity(self._settings)
        sources = (
            lambda: credentials.identity(files, self._now()),
            lambda: credentials.bootstrap(self._settings, self._now()),
        )
        return credentials.first_usable(sources)

    def _identity(self) -> EnrolledIdentity | None:
        if self._identity_url is None or credentials.given_identity(self._settings) is not None:
            return None
        client = self._client(self._identity_url)
        return EnrolledIdentity(
            self._home, self._settings, self._name, client, anchors=self._anchors(), policy=self._policy, now=self._now
        )

    def _client(self, url: ServerUrl) -> EstClient:
        client = EstClient(url, self._tls_roots(), self._now)
        self._clients.append(client)
        if self._stopped.is_set():
            client.stop()
        return client

    def _present(self) -> x509.Certificate | None:
        """The certificate in use. One that does not read back is not replaced behind the operator's back: it raises."""
        files = self._pairs.active()
        if files is None:
            return None
        try:
            return Chain.from_pem(disk.read_file(files.certificate)).leaf
        except (NotFound, InputError) as error:
            hint = "restore it from a copy; to enrol anew, with the maker's consent, remove the folder above it"
            raise Damaged(f"{files.certificate} does not read back", why=str(error), hint=hint) from error

    def _is_renewal(self, present: x509.Certificate | None, who: Credential) -> bool:
        """A password renews nothing, an expired certificate is not renewed, another name is another certificate."""
        if present is None or who.chain is None or common_name(present.subject) != self._name:
            return False
        return present.not_valid_after_utc > self._now()

    # ---- judging

    def _judged(self, leaf: x509.Certificate, others: list[x509.Certificate], key: PrivateKey) -> Chain:
        """The first chain that passes as a device CA's. Raises what the likeliest one is refused for."""
        refused: RuleViolation | None = None
        # Named by the folder: there is no file yet.
        files = DeviceCaFiles(self._home.manager / DEVICE_CA_FOLDER, KeyReference("file", "none"))
        for chain in ca_chains(leaf, others, self._anchors()):
            try:
                self._judge(FoundDeviceCa(files, chain, key, self._anchors()))
            except RuleViolation as error:
                refused = refused or error
            else:
                return chain
        assert refused is not None
        what = "the certificate that the EST server gave cannot be a device CA"
        hint = "ask the maker what its EST server issues under this label; the old one stays in use"
        raise RuleViolation(refused.code, what, why=refused.why, hint=hint)

    def _prove(self, files: EnrolledFiles) -> None:
        chain = Chain.ordered(Chain.from_pem(disk.read_file(files.certificate)).certificates)
        found = DeviceCaFiles(files.certificate, files.key)
        self._judge(FoundDeviceCa(found, chain, open_key(files.key), self._anchors()))

    def _judge(self, found: FoundDeviceCa) -> None:
        judge_device_ca(found, self._home, self._device, now=self._now())

    def _refuse_the_hosts_name(self) -> None:
        """Before anybody is asked: an account for one certificate shall not be spent on one that cannot be used."""
        if self._name.lower() == str(self._device.hostname).lower():
            raise RuleViolation(
                "common-name-equals-device-ca",
                "the device CA would have the gateway's own name",
                why=f"enrolment.common_name and device.hostname are both {self._name!r}",
                hint="choose another enrolment.common_name",
            )

    def _anchors(self) -> tuple[x509.Certificate, ...]:
        """The roots that a device CA must reach."""
        return read_roots(self._device.trust_bundle) or self._tls_roots()

    def _tls_roots(self) -> tuple[x509.Certificate, ...]:
        roots = read_roots(self._settings.trust or self._device.trust_bundle)
        if not roots:
            why = "neither enrolment.trust nor device.trust_bundle is set"
            hint = "name a file with the root that the EST server's certificate, and the device CA, stand below"
            raise SettingsError("it is not known whom to trust as EST server", why=why, hint=hint)
        return roots

    def _note(self, error: LeafwardError) -> None:
        self._failure = error
        waits = [client.asked_to_wait for client in self._clients if client.asked_to_wait is not None]
        self._asked_to_wait = max(waits, default=None)
        failures, refused = self._report.failures + 1, not may_mend(error)
        self._report = replace(self._report, failures=failures, last_error=str(error), refused=refused)


def _request(key: PrivateKey, wanted: x509.Name) -> x509.CertificateSigningRequest:
    request = CertificateRequest(public_key=key.public_key())
    return certification_request(key, _KIND, request, wanted, path_length=_KIND.path_length)
