"""Admission by TPM: the device shows that it is the TPM of its endorsement key, by a key that only this TPM gets.

First it is challenged: a fresh HMAC key, encrypted for its endorsement key and its storage root key. A token that is
signed with it proves both. The key then is the device's at its hub, and never was outside the TPM but in our database.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from leafward.errors import InputError
from leafward.provisioning.admission import Admission
from leafward.provisioning.key_attestation import prove
from leafward.provisioning.refused import Refused
from leafward.store.enrolments import Challenge, EndorsementKey, Enrolment, RegistrationBook
from leafward.wire.dps import RegisterRequest, TpmChallenge
from leafward.wire.dps_tpm import INNER_KEY_SIZE, Randomness, activation
from leafward.wire.dps_tpm_public import TpmPublic
from leafward.wire.sas import SasToken

KEY_SIZE = 32
# A slow TPM needs some seconds for RSA.
CHALLENGE_HOLDS = timedelta(minutes=10)


def challenge(
    registration_id: str, request: RegisterRequest, enrolment: Enrolment, book: RegistrationBook, now: datetime
) -> TpmChallenge:
    """What the TPM is to activate. Raises `Refused` where it is another's, or disabled; `EncodingError`."""
    enrolled = _enrolled(enrolment)
    if request.endorsement_key is None or request.storage_root_key is None:
        raise Refused("credential-missing", "neither a token nor a TPM's keys")
    if not hmac.compare_digest(request.endorsement_key, enrolled.endorsement_key):
        raise Refused("endorsement-key-mismatch", f"not the endorsement key of {enrolment.label}")
    if enrolled.storage_root_key not in (None, request.storage_root_key):
        raise Refused("storage-root-key-mismatch", f"not the storage root key of {enrolment.label}")
    _refuse_disabled(enrolment)
    asked = hashlib.sha256(request.endorsement_key + request.storage_root_key).digest()
    standing = book.challenge(registration_id, now + CHALLENGE_HOLDS / 2)
    if standing is not None and standing.asked == asked:
        # The keys of a TPM are no secret: who asks in its name does not undo the challenge that it is working on.
        return TpmChallenge(standing.blob)
    made = _made(request.endorsement_key, request.storage_root_key, asked)
    book.put_challenge(registration_id, made, now + CHALLENGE_HOLDS)
    return TpmChallenge(made.blob)


def admit(
    registration_id: str, token: SasToken, enrolment: Enrolment, book: RegistrationBook, now: datetime
) -> Admission:
    """The device whose TPM has activated the key. Raises `Refused`."""
    _enrolled(enrolment)
    found = book.challenge(registration_id, now)
    if found is None:
        raise Refused("not-challenged", "no challenge, or one that is too old: begin with the TPM's keys")
    prove(token, [found.key], now)
    _refuse_disabled(enrolment)
    device_id = enrolment.device_id or registration_id
    return Admission(registration_id, device_id, "sas", enrolment, found.key, found.key, challenge=found.blob)


def _enrolled(enrolment: Enrolment) -> EndorsementKey:
    if not isinstance(enrolment.attestation, EndorsementKey):
        raise Refused("credential-of-other-type", f"{enrolment.label} is not by TPM")
    return enrolment.attestation


def _refuse_disabled(enrolment: Enrolment) -> None:
    if not enrolment.enabled:
        raise Refused("enrolment-disabled", f"{enrolment.label} is disabled")


def _made(endorsement_key: bytes, storage_root_key: bytes, asked: bytes) -> Challenge:
    try:
        endorsement = TpmPublic.parse(endorsement_key, "endorsement key")
        storage = TpmPublic.parse(storage_root_key, "storage root key")
    except InputError as error:
        raise Refused("endorsement-key-malformed", str(error)) from error
    key = secrets.token_bytes(KEY_SIZE)
    fresh = Randomness(
        inner_key=secrets.token_bytes(INNER_KEY_SIZE),
        credential=secrets.token_bytes(endorsement.randomness),
        duplication=secrets.token_bytes(storage.randomness),
        obfuscation=secrets.token_bytes(KEY_SIZE),
    )
    return Challenge(key, activation(endorsement, storage, key, fresh), asked)
