"""Registrations: a device says who it is, proves it, and learns which hub is its own.

    throttle -> judge (in a thread: certificates cost) -> assign (durable, together with others) -> 202, its operation
    operation -> the same credential again -> 200, the hub

Order of judgement: ID scope, registration id, then the one credential that was brought (a token, else a certificate),
by the individual enrolment if there is one, else by a group, else by the registry's own keys.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from leafward.errors import InputError, NotFound
from leafward.pki.chain import fingerprint
from leafward.pki.names import parse_registration_id
from leafward.pki.validity import Validity
from leafward.provisioning import key_attestation, tpm_attestation, x509_attestation
from leafward.provisioning.admission import Admission, Credential
from leafward.provisioning.assignments import Assignments
from leafward.provisioning.decision import Wanted
from leafward.provisioning.hub_registry import HubRegistry
from leafward.provisioning.index import Index
from leafward.provisioning.refused import Refused
from leafward.provisioning.throttle import Throttle
from leafward.store.enrolments import EndorsementKey, EnrolmentBook, Registration, RegistrationBook
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.wire import dps
from leafward.wire.base64_text import encode_base64
from leafward.wire.dps import Operation, RegisterRequest, RegistrationState, TpmChallenge
from leafward.wire.sas import SasToken

# Of a device's payload, as JSON text: it is kept, and given back.
LONGEST_PAYLOAD = 8192
# Judges at work: a certificate's signatures are checked outside Python's lock.
WORKERS = 4


@dataclass(frozen=True, slots=True)
class Books:
    """Where it is all kept. `registry` is this gateway's own; `shared` that of several, where they share a database."""

    enrolments: EnrolmentBook
    registrations: RegistrationBook
    registry: HubRegistry
    shared: Registry | None = None


class Registrations:
    """Judges and answers, for one event loop. `now` is an aware UTC datetime everywhere."""

    def __init__(
        self,
        books: Books,
        index: Index,
        assignments: Assignments,
        throttle: Throttle,
        *,
        id_scope: str,
        crls: Callable[[], Sequence[x509.CertificateRevocationList]] = tuple,
    ) -> None:
        self._books = books
        self._index = index
        self._assignments = assignments
        self._throttle = throttle
        self._id_scope = id_scope
        self._crls = crls
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="judge")

    def close(self) -> None:
        """Ends the judges."""
        self._workers.shutdown(cancel_futures=True)

    async def register(
        self, scope: str, registration_id: str, credential: Credential, body: bytes, now: datetime
    ) -> Operation | TpmChallenge:
        """Starts an operation, or challenges a TPM.

        Raises `Refused`, `Throttled`, `StoreError`; `InputError` for a body that is none, once the device is admitted.
        """
        with self._throttle.place():
            loop = asyncio.get_running_loop()
            admitted = await loop.run_in_executor(
                self._workers, self._judge, scope, registration_id, credential, body, now
            )
            if isinstance(admitted, TpmChallenge):
                return admitted
            payload = _payload(RegisterRequest.parse(body, registration_id).payload)
            row = await self._assignments.assign(Wanted(admitted, payload, secrets.token_hex(16)))
            return Operation(row.operation, "assigning")

    async def operation(
        self, scope: str, registration_id: str, operation_id: str, credential: Credential, now: datetime
    ) -> Operation:
        """How an operation goes. Raises `Refused`; `NotFound` for one that is not this registration's last."""
        self._check_scope(scope)
        row = await asyncio.get_running_loop().run_in_executor(
            self._workers, self._books.registrations.find, registration_id
        )
        _prove_again(row, scope, registration_id, credential, now)
        if row is None or not hmac.compare_digest(row.operation.encode(), operation_id.encode()):
            raise NotFound("no such operation", hint="register again")
        return Operation(row.operation, row.status, None if row.status == "assigning" else state_of(row))

    def _check_scope(self, scope: str) -> None:
        if scope != self._id_scope:
            raise Refused("id-scope-wrong", f"got {scope[:64]!r}, expected {self._id_scope!r}")

    def _judge(
        self, scope: str, registration_id: str, credential: Credential, body: bytes, now: datetime
    ) -> Admission | TpmChallenge:
        """In a thread. Raises `Refused`."""
        self._check_scope(scope)
        parse_registration_id(registration_id)
        individual = self._books.enrolments.find(registration_id, group=False)
        if credential.token is not None:
            token = key_attestation.parsed(credential.token, scope, registration_id)
            if individual is None:
                return self._by_group_or_registry(registration_id, token, now)
            if isinstance(individual.attestation, EndorsementKey):
                return tpm_attestation.admit(registration_id, token, individual, self._books.registrations, now)
            return key_attestation.admit_individually(registration_id, token, individual, now)
        if individual is not None and isinstance(individual.attestation, EndorsementKey):
            request = RegisterRequest.parse(body, registration_id)
            return tpm_attestation.challenge(registration_id, request, individual, self._books.registrations, now)
        if not credential.certificates:
            raise Refused("credential-missing", "neither a token nor a client certificate")
        shared = self._shared(registration_id) if individual is None else None
        if shared is not None and shared.auth != "x509-ca":
            return x509_attestation.admit_registered(registration_id, credential, shared, now)
        return x509_attestation.admit(
            registration_id, credential, individual, self._index.now(), now, crls=self._crls()
        )

    def _by_group_or_registry(self, registration_id: str, token: SasToken, now: datetime) -> Admission:
        """A device of the shared registry is decided by that alone, as by an enrolment of its own."""
        shared = self._shared(registration_id)
        if shared is not None:
            return key_attestation.admit_registered(registration_id, token, shared, now, shared=True)
        admitted = key_attestation.admit_by_group(registration_id, token, self._index.now(), now)
        registered = self._registered(registration_id) if admitted is None else None
        return admitted or key_attestation.admit_registered(registration_id, token, registered, now)

    def _shared(self, device_id: str) -> Identity | None:
        return None if self._books.shared is None else self._books.shared.get(device_id)

    def _registered(self, device_id: str) -> Identity | None:
        """A device that was added to this gateway's registry by hand: one that an enrolment, or the shared registry,
        put there needs that."""
        identity = self._books.registry.get(device_id)
        row = self._books.registrations.find(device_id)
        if identity is None or row is None or row.enrolment is None:
            return identity
        return None if identity.generation_id in (row.generation_id, row.previous_generation) else identity


def state_of(row: Registration) -> RegistrationState:
    """A registration as devices and the service API are told of it."""
    failed = row.status == "failed"
    return RegistrationState(
        registration_id=row.registration_id,
        status=row.status,
        created=row.created,
        updated=row.updated,
        etag=row.etag,
        assigned_hub=None if failed else row.hub,
        device_id=row.device_id,
        substatus=None if failed else row.substatus,
        error_code=row.error_code,
        error_message=row.error_message,
        payload=None if row.payload is None else json.loads(row.payload),
        result=_result(row),
    )


def _result(row: Registration) -> dict[str, dict[str, Any]]:
    group = {"enrollmentGroupId": row.enrolment} if row.grouped else {}
    if row.challenge is not None:
        return {"tpm": {"authenticationKey": encode_base64(row.challenge)}}
    return {"symmetricKey" if row.auth == "sas" else "x509": group}


def _prove_again(
    row: Registration | None, scope: str, registration_id: str, credential: Credential, now: datetime
) -> None:
    """It is the device that registered: by the key or the certificate that it was admitted with. Raises `Refused`."""
    if credential.token is not None:
        token = key_attestation.parsed(credential.token, scope, registration_id)
        keys = () if row is None else (row.primary_key, row.secondary_key)
        key_attestation.prove(token, [key for key in keys if key] or [bytes(32)], now)
        return
    if not credential.certificates:
        raise Refused("credential-missing", "neither a token nor a client certificate")
    leaf = credential.certificates[0]
    try:
        current = Validity.of(leaf).contains(now)
    except (InputError, ValueError) as error:
        raise Refused("certificate-malformed", str(error), number=dps.INVALID_CERTIFICATE) from error
    if row is None or row.leaf is None or not current or fingerprint(leaf) != row.leaf:
        raise Refused(
            "certificate-not-registered", "another certificate than it registered with", number=dps.INVALID_CERTIFICATE
        )


def _payload(payload: Any) -> Any:
    if payload is not None and len(json.dumps(payload)) > LONGEST_PAYLOAD:
        raise InputError("the payload is too large", why=f"expected at most {LONGEST_PAYLOAD} characters")
    return payload
