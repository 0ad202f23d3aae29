"""An enrolment as a row of its table, and back."""

from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import Damaged, LeafwardError
from leafward.store.enrolments.schema import microseconds, moment
from leafward.store.enrolments.values import (
    Attestation,
    CaReferences,
    Certificates,
    EndorsementKey,
    Enrolment,
    SymmetricKeys,
)

X509, CA, SYMMETRIC, TPM = "x509", "ca", "symmetricKey", "tpm"


def row_of(enrolment: Enrolment) -> dict[str, Any]:
    """The columns of an enrolment."""
    kind, primary, secondary = _bodies(enrolment.attestation)
    return {
        "folded": enrolment.id.lower(),
        "grouped": enrolment.group,
        "id": enrolment.id,
        "kind": kind,
        "primary_body": primary,
        "secondary_body": secondary,
        "device_id": enrolment.device_id,
        "enabled": enrolment.enabled,
        "allocation": enrolment.allocation,
        "hubs": " ".join(enrolment.hubs),
        "reprovision": enrolment.reprovision,
        "initial_twin": enrolment.initial_twin,
        "edge": enrolment.edge,
        "etag": enrolment.etag,
        "created": microseconds(enrolment.created),
        "updated": microseconds(enrolment.updated),
    }


def enrolment_of(row: Mapping[str, Any]) -> Enrolment:
    """The enrolment of a row. Raises `Damaged`."""
    try:
        return Enrolment(
            id=row["id"],
            group=bool(row["grouped"]),
            attestation=_attestation(row["kind"], bytes(row["primary_body"]), row["secondary_body"]),
            created=moment(row["created"]),
            updated=moment(row["updated"]),
            etag=row["etag"],
            device_id=row["device_id"],
            enabled=bool(row["enabled"]),
            allocation=row["allocation"],
            hubs=tuple(row["hubs"].split()),
            reprovision=row["reprovision"],
            initial_twin=row["initial_twin"],
            edge=bool(row["edge"]),
        )
    except (LeafwardError, ValueError, TypeError, KeyError, OverflowError) as error:
        what = f"the enrolment {row['id']!r} is damaged"
        raise Damaged(what, why=str(error), hint="remove it and add it again") from error


def _bodies(attestation: Attestation) -> tuple[str, bytes, bytes | None]:
    match attestation:
        case Certificates(primary, secondary):
            der = None if secondary is None else secondary.public_bytes(Encoding.DER)
            return X509, primary.public_bytes(Encoding.DER), der
        case CaReferences(name, other):
            return CA, name.encode(), None if other is None else other.encode()
        case SymmetricKeys(key, spare):
            return SYMMETRIC, key, spare
        case EndorsementKey(endorsement, storage):
            return TPM, endorsement, storage


def _attestation(kind: str, primary: bytes, secondary: bytes | None) -> Attestation:
    other = None if secondary is None else bytes(secondary)
    if kind == X509:
        loaded = None if other is None else x509.load_der_x509_certificate(other)
        return Certificates(x509.load_der_x509_certificate(primary), loaded)
    if kind == CA:
        return CaReferences(primary.decode(), None if other is None else other.decode())
    if kind == SYMMETRIC and other is not None:
        return SymmetricKeys(primary, other)
    if kind == TPM:
        return EndorsementKey(primary, other)
    raise ValueError(f"no attestation {kind!r}")
