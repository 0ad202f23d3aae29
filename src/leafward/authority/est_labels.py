"""The labels of the EST server as they stand now: who signs, for how long, whom each trusts, what cacerts answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509

from leafward.authority.authorities import Authorities, Authority
from leafward.authority.est_settings import EstTable
from leafward.errors import NotFound
from leafward.pki.chain import Chain
from leafward.pki.key_types import KeyType, key_type_of, parse_key_type
from leafward.pki.profile import Profile
from leafward.pki.profiles import profile
from leafward.wire.est.bodies import certificates_only, encode_body
from leafward.wire.est.csr_attributes import encode_attributes, wanted_attributes


@dataclass(frozen=True)
class Trust:
    """What a label's client certificates are judged by: its hierarchy's root, and all CAs as material for paths."""

    anchors: tuple[x509.Certificate, ...]
    material: tuple[x509.Certificate, ...]


@dataclass(frozen=True)
class Label:
    """One label. `lifetime` None is the profile's. The two bodies are ready to be sent.

    `key_type` is what a device is told to make, and what is made here for serverkeygen where `makes_keys`.
    """

    name: str
    profile: Profile
    authority: Authority
    lifetime: timedelta | None
    key_type: KeyType
    makes_keys: bool
    trust: Trust = field(repr=False)
    ca_certificates: bytes = field(repr=False)
    csr_attributes: bytes = field(repr=False)


@dataclass(frozen=True)
class Labels:
    """All labels, by name, and which one a path without a label means."""

    by_name: Mapping[str, Label]
    default: str

    @classmethod
    def of(cls, settings: EstTable, authorities: Authorities) -> "Labels":
        """As settings and the maker's CAs say now. Raises `NotFound` for an issuer that is not there, or not clear."""
        everyone = list(authorities)
        rollovers = [authorities.rollover_certificates(authority) for authority in everyone if authority.is_root]
        found = {}
        for name, table in settings.labels.items():
            signer = _signer(authorities, table.issuer or settings.issuer, name)
            chain = with_rollover(signer.chain, rollovers)
            kind = profile(table.profile)
            key_type = _key_type(kind, signer)
            found[name] = Label(
                name,
                kind,
                signer,
                timedelta(days=table.days) if table.days else None,
                key_type,
                table.makes_keys,
                _trust(signer, everyone, chain),
                encode_body(certificates_only(chain)),
                encode_body(encode_attributes(wanted_attributes(key_type))),
            )
        return cls(found, settings.default_label)

    def get(self, name: str | None) -> Label:
        """The label of a path; None is the default one. Raises `NotFound`, which does not list the others."""
        label = self.by_name.get(name or self.default)
        if label is None:
            raise NotFound("there is no such label here", hint="leave it out of the path for the default one")
        return label


def with_rollover(chain: Chain, rollovers: Iterable[Iterable[Chain]]) -> list[x509.Certificate]:
    """A chain, and where its root takes or loses another's place RFC 7030 4.1.3's three certificates; each once."""
    found = list(chain.certificates)
    for chains in rollovers:
        certificates = [certificate for one in chains for certificate in one]
        if any(certificate in chain.certificates for certificate in certificates):
            found += certificates
    return list(dict.fromkeys(found))


def _signer(authorities: Authorities, wanted: str | None, label: str) -> Authority:
    try:
        return authorities.get(wanted) if wanted else authorities.default_issuer()
    except NotFound as error:
        hint = "name it in leafward.toml: [est] issuer = NAME" if wanted is None else error.hint
        raise NotFound(f"who signs for the label {label!r} is not clear", why=str(error), hint=hint) from error


def _trust(signer: Authority, everyone: Iterable[Authority], chain: Iterable[x509.Certificate]) -> Trust:
    top = signer.chain.top
    anchors = (top,) if signer.chain.is_complete else ()
    material = [certificate for authority in everyone for certificate in authority.chain]
    return Trust(anchors, tuple(dict.fromkeys((*chain, *material))))


def _key_type(kind: Profile, signer: Authority) -> KeyType:
    if kind.default_key_type is not None:
        return parse_key_type(kind.default_key_type)
    return key_type_of(signer.chain.leaf.public_key())
