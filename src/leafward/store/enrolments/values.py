"""An enrolment as a value: whom the provisioning service admits, and what they are given."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from cryptography import x509

from leafward.errors import InputError, LeafwardError
from leafward.pki.names import parse_device_id, parse_registration_id
from leafward.pki.paths import public_key_bytes
from leafward.store.identity import LONGEST_KEY, SHORTEST_KEY

# How a device gets its hub: by a hash of its registration id, the first of the list, or the nearest by a measure.
Allocation: TypeAlias = Literal["hashed", "static", "geoLatency"]
ALLOCATIONS: tuple[Allocation, ...] = get_args(Allocation)
# When a device registers again: it stays where it is; it may move, with its data; it begins anew.
Reprovision: TypeAlias = Literal["never", "migrate", "reset"]
REPROVISIONS: tuple[Reprovision, ...] = get_args(Reprovision)

LONGEST_TWIN = 64 * 1024  # bytes of JSON: two twins' worth of IoT Hub's 32 KB
MOST_HUBS = 100
_HUB = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")


class Stale(LeafwardError):
    """What is to be changed was changed by somebody else meanwhile; nothing was changed now."""


def signer_of(certificate: x509.Certificate) -> bytes:
    """The CA that a certificate is of: its name and public key, so that a renewed certificate is the same CA."""
    return hashlib.sha256(certificate.subject.public_bytes() + public_key_bytes(certificate)).digest()


@dataclass(frozen=True, slots=True)
class Certificates:
    """Of an individual enrolment: the device's own certificates. Of a group: those of CAs that sign its devices'."""

    primary: x509.Certificate
    secondary: x509.Certificate | None = None

    @property
    def all(self) -> tuple[x509.Certificate, ...]:
        """One or two."""
        return (self.primary,) if self.secondary is None else (self.primary, self.secondary)


@dataclass(frozen=True, slots=True)
class CaReferences:
    """Names of registered CAs that sign the devices of a group."""

    primary: str
    secondary: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """One or two."""
        return (self.primary,) if self.secondary is None else (self.primary, self.secondary)


@dataclass(frozen=True, slots=True)
class SymmetricKeys:
    """Of an individual enrolment: the device's keys. Of a group: those that its devices' are derived from."""

    primary: bytes = field(repr=False)
    secondary: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for key in (self.primary, self.secondary):
            if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
                why = f"got {len(key)} bytes, expected {SHORTEST_KEY} to {LONGEST_KEY}"
                raise InputError("a symmetric key of the wrong length", why=why)


@dataclass(frozen=True, slots=True)
class EndorsementKey:
    """A TPM's endorsement key, and the storage root key where it is known: TPM2B_PUBLIC structures."""

    endorsement_key: bytes
    storage_root_key: bytes | None = None


Attestation: TypeAlias = Certificates | CaReferences | SymmetricKeys | EndorsementKey


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An individual enrolment, `id` being the registration id, or a group. Ids differ by more than case.

    `hubs` are the names of those that a device may get; empty for all that the service knows. `initial_twin` is JSON
    text with `tags` and `properties.desired`. `edge`: the device is itself a gateway. Times are aware UTC. `etag`
    changes with each change. Raises `InputError` for what does not fit together.
    """

    id: str
    group: bool
    attestation: Attestation
    created: datetime
    updated: datetime
    etag: str
    device_id: str | None = None
    enabled: bool = True
    allocation: Allocation = "hashed"
    hubs: tuple[str, ...] = ()
    reprovision: Reprovision = "migrate"
    initial_twin: str | None = None
    edge: bool = False

    def __post_init__(self) -> None:
        parse_registration_id(self.id)
        if self.group and self.device_id is not None:
            raise InputError("a group has a device id", why="each of its devices has its own")
        if self.group and isinstance(self.attestation, EndorsementKey):
            raise InputError("a group by TPM", why="an endorsement key is one device's", hint="enrol each device")
        if not self.group and isinstance(self.attestation, CaReferences):
            raise InputError("an individual enrolment by a CA", why="a CA is for a group", hint="--group")
        if self.device_id is not None:
            parse_device_id(self.device_id)
        _check_choice("allocation", self.allocation, ALLOCATIONS)
        _check_choice("reprovisioning", self.reprovision, REPROVISIONS)
        _check_hubs(self.hubs)
        if self.initial_twin is not None and len(self.initial_twin.encode()) > LONGEST_TWIN:
            raise InputError("the initial twin is too large", why=f"expected at most {LONGEST_TWIN} bytes")

    @property
    def label(self) -> str:
        """For messages."""
        return f"the {'group' if self.group else 'enrolment'} {self.id!r}"


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"no {what} {value[:64]!r}", hint=f"one of {', '.join(choices)}")


def _check_hubs(hubs: tuple[str, ...]) -> None:
    if len(hubs) > MOST_HUBS:
        raise InputError("too many hubs", why=f"got {len(hubs)}, expected at most {MOST_HUBS}")
    if len(set(hubs)) != len(hubs):
        raise InputError("a hub is named twice")
    for name in hubs:
        if not _HUB.fullmatch(name):
            raise InputError(f"{name[:64]!r} is no hub", why="expected a host name or an address")
