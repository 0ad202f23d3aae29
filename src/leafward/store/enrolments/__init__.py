"""Enrolments, registered CAs and registrations: the provisioning service's database."""

from leafward.store.enrolments.book import EnrolmentBook
from leafward.store.enrolments.cas import CaBook, RegisteredCa
from leafward.store.enrolments.registrations import Registration, RegistrationBook
from leafward.store.enrolments.values import (
    Attestation,
    CaReferences,
    Certificates,
    EndorsementKey,
    Enrolment,
    Stale,
    SymmetricKeys,
)

__all__ = [
    "Attestation",
    "CaBook",
    "CaReferences",
    "Certificates",
    "EndorsementKey",
    "Enrolment",
    "EnrolmentBook",
    "RegisteredCa",
    "Registration",
    "RegistrationBook",
    "Stale",
    "SymmetricKeys",
]
