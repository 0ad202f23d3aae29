"""What a device brings to a registration, and what it is admitted as."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509

from leafward.store.enrolments import Enrolment
from leafward.store.identity import AuthType


@dataclass(frozen=True, slots=True)
class Credential:
    """The token of a request, or the chain (leaf first) whose key TLS has proved.

    `opens_hub`: the hub of this gateway would let the chain in as it is.
    """

    token: str | None = field(default=None, repr=False)
    certificates: Sequence[x509.Certificate] = ()
    opens_hub: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """A device that is admitted, and what its hub is to know of it.

    `enrolment` is None for a device that stands in a registry by itself; `generation_id` is its there, and `shared`
    says that it is the one of several gateways. `leaf` is the SHA-256 of the certificate it came with, `challenge` what
    its TPM makes the key of.
    """

    registration_id: str
    device_id: str
    auth: AuthType
    enrolment: Enrolment | None
    primary_key: bytes | None = field(default=None, repr=False)
    secondary_key: bytes | None = field(default=None, repr=False)
    primary_thumbprint: str | None = None
    secondary_thumbprint: str | None = None
    leaf: str | None = None
    challenge: bytes | None = field(default=None, repr=False)
    generation_id: str | None = None
    shared: bool = False
