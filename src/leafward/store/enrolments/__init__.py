"""Enrolments, registered CAs and registrations: the provisioning service's database."""

from leafward.store.enrolments.book import EnrolmentBook
from leafward.store.enrolments.cas import CaBook, RegisteredCa
from leafward.store.enrolments.registrations import Challenge, Registration, RegistrationBook
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
    "Challenge",
    "EndorsementKey",
    "Enrolment",
    "EnrolmentBook",
    "RegisteredCa",
    "Registration",
    "RegistrationBook",
    "Stale",
    "SymmetricKeys",
]
