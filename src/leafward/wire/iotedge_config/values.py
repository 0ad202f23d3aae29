"""What a configuration says, each value with the key and the line it stands at; secrets never show themselves."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:  # a YAML library with it, which a manager needs only where its settings are IoT Edge's
    from leafward.wire.iotedge_config.documents import Branch

T = TypeVar("T")
Form: TypeAlias = Literal["config.yaml", "config.toml"]


@dataclass(frozen=True, slots=True)
class Located(Generic[T]):
    """A value and where it stands: the dotted key, the line counted from 1."""

    value: T
    key: str
    line: int


class Secret:
    """A password, a PIN or a symmetric key: `reveal()` gives it, and nothing else does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(type(self))


@dataclass(frozen=True, slots=True)
class KeyLocation:
    """Where a private key is: a file's path, or a PKCS#11 URI (RFC 7512) without its PIN, which stands beside it."""

    scheme: Literal["file", "pkcs11"]
    rest: str
    pin: Secret | None = None

    @property
    def reference(self) -> str:
        """`file:/path` or `pkcs11:…`, without the PIN."""
        return f"{self.scheme}:{self.rest}"


@dataclass(frozen=True, slots=True)
class ApiUri:
    """Where an API listens or is reached. `rest` is a path (unix), `host:port` (http), or a socket's name (fd)."""

    scheme: Literal["unix", "http", "fd"]
    rest: str

    def __str__(self) -> str:
        # A path of Windows begins with its drive.
        slash = "/" if self.scheme == "unix" and not self.rest.startswith("/") else ""
        return f"{self.scheme}://{slash}{self.rest}"


@dataclass(frozen=True, slots=True)
class ApiUris:
    """`[connect]` or `[listen]`."""

    workload: Located[ApiUri] | None = None
    management: Located[ApiUri] | None = None


@dataclass(frozen=True, slots=True)
class AutoRenew:
    """When a certificate is made anew, in the words of the file ("80%", "10day", "30min"). None: not said."""

    rotate_key: Located[bool] | None = None
    threshold: Located[str] | None = None
    retry: Located[str] | None = None


@dataclass(frozen=True, slots=True)
class FilePair:
    """A certificate (with its chain) in a file, and its private key."""

    certificate: Located[str]
    key: Located[KeyLocation]


@dataclass(frozen=True, slots=True)
class EstAuth:
    """Who asks an EST server: a name and password, a certificate, or one to begin with (bootstrap)."""

    username: Located[str] | None = None
    password: Located[Secret] | None = None
    identity: FilePair | None = None
    bootstrap: FilePair | None = None


@dataclass(frozen=True, slots=True)
class Issuance:
    """A certificate that is made on demand. `url` and `auth` are EST's, and None means those of `[cert_issuance.est]`.

    `subject` holds what names the certificate: `common_name` as CN, or the parts of `subject`.
    """

    method: Located[str]
    url: Located[str] | None = None
    auth: EstAuth | None = None
    subject: Mapping[str, Located[str]] = field(default_factory=dict)
    expiry_days: Located[int] | None = None
    auto_renew: AutoRenew | None = None


@dataclass(frozen=True, slots=True)
class Quickstart:
    """A CA that the daemon makes and signs itself. `days` None: the default, 90."""

    days: Located[int] | None = None
    subject: Mapping[str, Located[str]] = field(default_factory=dict)
    auto_renew: AutoRenew | None = None


# Where the CA comes from that issues hub and module certificates ("device CA" in 1.0 and 1.1, "Edge CA" since).
EdgeCa: TypeAlias = FilePair | Issuance | Quickstart


@dataclass(frozen=True, slots=True)
class EstServer:
    """`[cert_issuance.est]`: what holds for every certificate issued by EST. `urls` by certificate id, or `default`."""

    urls: Mapping[str, Located[str]] = field(default_factory=dict)
    trusted: tuple[Located[str], ...] = ()
    auth: EstAuth | None = None
    identity_auto_renew: AutoRenew | None = None


@dataclass(frozen=True, slots=True)
class Pkcs11:
    """`[aziot_keys]`: the token's library, and where new keys are made."""

    library: Located[str] | None = None
    base_slot: Located[KeyLocation] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning:
    """How the device comes to its identity with IoT Hub. Which fields are there follows from `source` and `method`.

    source   manual, dps, external, none
    method   connection_string, sas, x509 (manual); symmetric_key, x509, tpm (dps)
    """

    source: Located[str]
    method: Located[str] | None = None
    iothub_hostname: Located[str] | None = None
    device_id: Located[str] | None = None
    registration_id: Located[str] | None = None
    id_scope: Located[str] | None = None
    global_endpoint: Located[str] | None = None
    external_endpoint: Located[str] | None = None
    payload: Located[str] | None = None
    symmetric_key: Located[Secret] | Located[KeyLocation] | None = None
    identity: FilePair | Issuance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IotEdgeConfig:
    """A configuration of IoT Edge. None is what the file does not say; what is wrong in it is None too, and a fault.

    Paths are texts, as the file gives them, without `file://`; they may be relative in a config.yaml. `document` is the
    whole file, for who needs what has no place here (the agent's image, container settings): it shows no value itself.
    """

    form: Form
    hostname: Located[str] | None = None
    parent_hostname: Located[str] | None = None
    trust_bundle: Located[str] | None = None
    edge_ca: EdgeCa | None = None
    local_ca: FilePair | Issuance | None = None
    est: EstServer | None = None
    provisioning: Provisioning | None = None
    connect: ApiUris = ApiUris()
    listen: ApiUris = ApiUris()
    pkcs11: Pkcs11 = Pkcs11()
    homedir: Located[str] | None = None
    imported_master_encryption_key: Located[str] | None = None
    document: "Branch" = field(repr=False)
