"""Enrolments in the JSON shapes of the Device Provisioning Service's service API (2021-10-01).

Keys are never written but where they are asked for by name (`attestation_body`), as the service does it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import EncodingError, InputError
from leafward.pki.encoding import load_certificate
from leafward.pki.extension import says_ca, serial_number
from leafward.provisioning.enrolling import fresh_keys
from leafward.store.enrolments import (
    Attestation,
    CaReferences,
    Certificates,
    EndorsementKey,
    Enrolment,
    SymmetricKeys,
)
from leafward.store.enrolments.values import Allocation, Reprovision
from leafward.wire.api_fields import Fields, moment
from leafward.wire.base64_text import decode_base64, encode_base64
from leafward.wire.dps_tpm_public import TpmPublic
from leafward.wire.twins import parse_service_patch

LARGEST_BODY = 256 * 1024
_ID = {False: "registrationId", True: "enrollmentGroupId"}
_POLICIES: Mapping[Reprovision, tuple[bool, bool]] = {
    "never": (False, False),
    "migrate": (True, True),
    "reset": (True, False),
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a new version of an enrolment is stamped with: a fresh ETag, and the time in UTC."""

    etag: str
    now: datetime


def read_enrolment(body: bytes, enrolment_id: str, *, group: bool, before: Enrolment | None, stamp: Stamp) -> Enrolment:
    """An enrolment as a service sends it; `before` is the one it replaces. Raises `InputError`."""
    fields = Fields.parse(body, "enrolment", limit=LARGEST_BODY)
    named = fields.text(_ID[group], enrolment_id)
    if named.lower() != enrolment_id.lower():
        raise EncodingError(f"the {_ID[group]} is another than the path's", why=f"got {named[:128]!r}")
    status = fields.text("provisioningStatus", "enabled")
    if status not in ("enabled", "disabled"):
        raise InputError("the provisioningStatus is neither enabled nor disabled", why=f"got {status[:64]!r}")
    return Enrolment(
        id=enrolment_id if before is None else before.id,
        group=group,
        attestation=_read_attestation(fields.object("attestation"), group, before),
        created=stamp.now if before is None else before.created,
        updated=stamp.now,
        etag=stamp.etag,
        device_id=None if group else fields.optional_text("deviceId"),
        enabled=status == "enabled",
        # What is none of ours, `custom` among them, `Enrolment` refuses.
        allocation=cast("Allocation", fields.text("allocationPolicy", "hashed")),
        hubs=_read_hubs(fields),
        reprovision=_read_policy(fields),
        initial_twin=read_twin(fields.values.get("initialTwin")),
        edge=fields.object("capabilities").values.get("iotEdge") is True,
    )


def enrolment_body(enrolment: Enrolment) -> dict[str, Any]:
    """An enrolment as a service is told of it: without keys."""
    update, migrate = _POLICIES[enrolment.reprovision]
    values = {
        _ID[enrolment.group]: enrolment.id,
        "deviceId": enrolment.device_id,
        "attestation": attestation_body(enrolment.attestation, group=enrolment.group, secrets=False),
        "capabilities": {"iotEdge": enrolment.edge},
        "iotHubs": list(enrolment.hubs) or None,
        "allocationPolicy": enrolment.allocation,
        "initialTwin": None if enrolment.initial_twin is None else json.loads(enrolment.initial_twin),
        "reprovisionPolicy": {"updateHubAssignment": update, "migrateDeviceData": migrate},
        "provisioningStatus": "enabled" if enrolment.enabled else "disabled",
        "createdDateTimeUtc": moment(enrolment.created),
        "lastUpdatedDateTimeUtc": moment(enrolment.updated),
        "etag": enrolment.etag,
    }
    return {name: value for name, value in values.items() if value is not None}


def attestation_body(attestation: Attestation, *, group: bool, secrets: bool) -> dict[str, Any]:
    """`{"type": …, …}`; with `secrets` symmetric keys too."""
    match attestation:
        case Certificates():
            named = {"signingCertificates" if group else "clientCertificates": _certificates(attestation.all)}
            return {"type": "x509", "x509": named}
        case CaReferences(primary, secondary):
            return {"type": "x509", "x509": {"caReferences": _pair((primary, secondary))}}
        case SymmetricKeys(primary_key, secondary_key):
            keys = {"primaryKey": encode_base64(primary_key), "secondaryKey": encode_base64(secondary_key)}
            return {"type": "symmetricKey", "symmetricKey": keys if secrets else {}}
        case EndorsementKey(endorsement, storage):
            keys = {"endorsementKey": encode_base64(endorsement)}
            return {
                "type": "tpm",
                "tpm": keys | ({} if storage is None else {"storageRootKey": encode_base64(storage)}),
            }


def read_twin(value: Any) -> str | None:
    """An initial twin as JSON text, checked as a hub will check it; None for none. Raises `InputError`."""
    if value is None:
        return None
    text = json.dumps(value, separators=(",", ":"))
    parse_service_patch(text.encode())
    return text


def read_signer(certificate: x509.Certificate, *, group: bool) -> x509.Certificate:
    """A certificate that an enrolment may name. Raises `InputError` for a CA as a device, and the other way round."""
    if group and not says_ca(certificate):
        why = f"{certificate.subject.rfc4514_string()} is no CA"
        raise InputError("a group is of devices that a CA has signed", why=why, hint="give the CA's certificate")
    if not group and says_ca(certificate):
        why = f"{certificate.subject.rfc4514_string()} is a CA"
        raise InputError("an individual enrolment is of one device", why=why, hint="--group")
    return certificate


def _read_attestation(fields: Fields, group: bool, before: Enrolment | None) -> Attestation:
    kind = fields.text("type")
    body = fields.object(kind) if kind in ("x509", "symmetricKey", "tpm") else Fields({}, "attestation")
    if kind == "x509":
        return _read_x509(body, group)
    if kind == "symmetricKey":
        return _read_keys(body, before)
    if kind == "tpm":
        storage = body.optional_text("storageRootKey")
        known = None if not storage else decode_base64(storage, "storageRootKey")
        endorsement_key = body.binary("endorsementKey")
        TpmPublic.parse(endorsement_key, "endorsement key")
        return EndorsementKey(endorsement_key, known)
    raise InputError("the attestation is of no kind", why=f"got {kind[:64]!r}, expected x509, symmetricKey or tpm")


def _read_x509(fields: Fields, group: bool) -> Attestation:
    references = fields.object("caReferences")
    if references.values:
        return CaReferences(references.text("primary"), references.optional_text("secondary") or None)
    certificates = fields.object("signingCertificates" if group else "clientCertificates")
    primary = _read_certificate(certificates.object("primary"), group)
    secondary = certificates.object("secondary")
    return Certificates(primary, _read_certificate(secondary, group) if secondary.values else None)


def _read_certificate(fields: Fields, group: bool) -> x509.Certificate:
    text = fields.text("certificate")
    data = text.encode() if "-----BEGIN" in text else decode_base64("".join(text.split()), "certificate")
    return read_signer(load_certificate(data), group=group)


def _read_keys(fields: Fields, before: Enrolment | None) -> SymmetricKeys:
    """Those given; without any those of before, or fresh ones."""
    texts = [fields.optional_text(name) for name in ("primaryKey", "secondaryKey")]
    if not any(texts):
        kept = None if before is None else before.attestation
        return kept if isinstance(kept, SymmetricKeys) else fresh_keys()
    fresh = fresh_keys()
    primary, secondary = (decode_base64(text, "symmetric key") if text else None for text in texts)
    return SymmetricKeys(primary or fresh.primary, secondary or fresh.secondary)


def _read_hubs(fields: Fields) -> tuple[str, ...]:
    hubs = fields.values.get("iotHubs")
    if hubs is not None and not (isinstance(hubs, list) and all(isinstance(one, str) for one in hubs)):
        raise EncodingError("the field 'iotHubs' of the enrolment is wrong", why="expected a list of strings")
    one = fields.optional_text("iotHubHostName")
    return tuple(hubs or ()) or ((one,) if one else ())


def _read_policy(fields: Fields) -> Reprovision:
    policy = fields.object("reprovisionPolicy").values
    if not policy:
        return "migrate"
    if policy.get("updateHubAssignment") is not True:
        return "never"
    return "migrate" if policy.get("migrateDeviceData") is True else "reset"


def _certificates(certificates: Sequence[x509.Certificate]) -> dict[str, Any]:
    return {
        name: {"certificate": one.public_bytes(Encoding.PEM).decode("ascii"), "info": _info(one)}
        for name, one in zip(("primary", "secondary"), certificates, strict=False)
    }


def _info(certificate: x509.Certificate) -> dict[str, Any]:
    return {
        "subjectName": certificate.subject.rfc4514_string(),
        # SHA-1 because the shape has it; it names a certificate and proves nothing.
        "sha1Thumbprint": certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303
        "sha256Thumbprint": certificate.fingerprint(hashes.SHA256()).hex().upper(),
        "issuerName": certificate.issuer.rfc4514_string(),
        "notBeforeUtc": moment(certificate.not_valid_before_utc),
        "notAfterUtc": moment(certificate.not_valid_after_utc),
        "serialNumber": f"{serial_number(certificate):X}",
        "version": certificate.version.value + 1,
    }


def _pair(values: tuple[str, str | None]) -> dict[str, str]:
    return {name: one for name, one in zip(("primary", "secondary"), values, strict=True) if one is not None}
