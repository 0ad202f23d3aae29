"""Admission by certificate: an individual enrolment names the certificate itself, a group a CA on its path.

TLS has proved that the device holds the key. Here is judged what that is worth (the dialect's own order):

1. The leaf is no CA, it is within its dates, and its common name is the registration id, in any case.
2. Where there is an individual enrolment, the leaf is one of its certificates; it alone decides.
3. Otherwise the path leads to a verified CA, and the nearest CA on it that a group names decides.
4. What decides and is disabled refuses.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import InputError
from leafward.pki import extension
from leafward.pki.chain import fingerprint
from leafward.pki.names import common_name
from leafward.pki.partial import verify_below
from leafward.pki.validity import Validity
from leafward.provisioning.admission import Admission, Credential
from leafward.provisioning.index import Snapshot
from leafward.provisioning.refused import Refused
from leafward.store.enrolments import Certificates, Enrolment
from leafward.store.enrolments.values import signer_of
from leafward.store.identity import Identity
from leafward.wire import dps

# Worded from a client's side, where the rules have it from a server's.
_CODES = {"intermediate-missing": "client-chain-incomplete"}


def admit(
    registration_id: str,
    credential: Credential,
    individual: Enrolment | None,
    snapshot: Snapshot,
    now: datetime,
    *,
    crls: Sequence[x509.CertificateRevocationList] = (),
) -> Admission:
    """What the device is admitted as. Raises `Refused`."""
    leaf = credential.certificates[0]
    name = _judge_leaf(leaf, registration_id, now)
    if individual is not None:
        return _individually(registration_id, leaf, individual)
    path = _path(credential.certificates, snapshot, now, crls)
    group = next((found for ca in path[1:] if (found := snapshot.by_signer.get(signer_of(ca))) is not None), None)
    if group is None:
        raise _refused("not-enrolled", "no group is enrolled for a CA on its path")
    if not group.enabled:
        raise _refused("enrolment-disabled", f"{group.label} is disabled")
    sha256 = fingerprint(leaf)
    by_ca = credential.opens_hub
    return Admission(
        registration_id,
        name,
        "x509-ca" if by_ca else "x509-thumbprint",
        group,
        primary_thumbprint=None if by_ca else sha256,
        leaf=sha256,
    )


def admit_registered(registration_id: str, credential: Credential, identity: Identity, now: datetime) -> Admission:
    """By the thumbprints of the registry that gateways share, as an individual enrolment decides. Raises `Refused`."""
    leaf = credential.certificates[0]
    _judge_leaf(leaf, registration_id, now)
    if identity.auth != "x509-thumbprint":
        raise _refused("credential-of-other-type", f"{identity.label} is not by thumbprint")
    seen = fingerprint(leaf)
    sha1 = hashlib.sha1(leaf.public_bytes(Encoding.DER), usedforsecurity=False).hexdigest()
    if not {seen, sha1} & {identity.primary_thumbprint, identity.secondary_thumbprint}:
        raise _refused("thumbprint-mismatch", f"got sha256 {seen}, which the registry does not have for it")
    if not identity.enabled:
        raise _refused("device-disabled", f"{identity.label} is disabled")
    return Admission(
        registration_id,
        identity.device_id,
        identity.auth,
        None,
        primary_thumbprint=identity.primary_thumbprint,
        secondary_thumbprint=identity.secondary_thumbprint,
        leaf=seen,
        generation_id=identity.generation_id,
        shared=True,
    )


def _judge_leaf(leaf: x509.Certificate, registration_id: str, now: datetime) -> str:
    """Step 1; the common name."""
    try:
        validity, name = Validity.of(leaf), common_name(leaf.subject)
    except (InputError, ValueError) as error:
        raise _refused("certificate-malformed", str(error)) from error
    if extension.says_ca(leaf):
        raise _refused("end-entity-is-a-ca", "a CA certificate is no device's own")
    if not validity.contains(now):
        code = "certificate-expired" if now > validity.not_after else "certificate-not-yet-valid"
        raise _refused(code, f"valid {validity.not_before} to {validity.not_after}, it is {now}")
    if name is None or name.lower() != registration_id.lower():
        raise _refused("common-name-not-device-id", f"got {name!r}, expected the registration id {registration_id!r}")
    return name


def _individually(registration_id: str, leaf: x509.Certificate, enrolment: Enrolment) -> Admission:
    """Steps 2 and 4. The hub is to know both certificates, so that the device may go over to its second one."""
    if not isinstance(enrolment.attestation, Certificates):
        raise _refused("credential-of-other-type", f"{enrolment.label} is not by certificate")
    seen = fingerprint(leaf)
    known = [fingerprint(one) for one in enrolment.attestation.all]
    if seen not in known:
        raise _refused("thumbprint-mismatch", f"got sha256 {seen}, which {enrolment.label} does not name")
    if not enrolment.enabled:
        raise _refused("enrolment-disabled", f"{enrolment.label} is disabled")
    return Admission(
        registration_id,
        enrolment.device_id or common_name(leaf.subject) or registration_id,
        "x509-thumbprint",
        enrolment,
        primary_thumbprint=known[0],
        secondary_thumbprint=known[1] if len(known) > 1 else None,
        leaf=seen,
    )


def _path(
    certificates: Sequence[x509.Certificate],
    snapshot: Snapshot,
    now: datetime,
    crls: Sequence[x509.CertificateRevocationList],
) -> tuple[x509.Certificate, ...]:
    """Step 3, the first half."""
    verdict = verify_below(certificates[0], certificates[1:], snapshot.vouched, now=now, crls=crls)
    if not verdict.valid or verdict.path is None:
        code = verdict.rule or "root-not-trusted"
        raise _refused(_CODES.get(code, code), verdict.reason or "no path to a verified CA")
    return verdict.path


def _refused(code: str, why: str) -> Refused:
    return Refused(code, why, number=dps.INVALID_CERTIFICATE)
