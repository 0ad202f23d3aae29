"""What an EST server gave, held against what was asked: ours, under our name, and on a path to a root we trust.

    certificates of the answer -> the one with our key -> our name -> paths through cacerts to a trusted root

What comes from a server is material. Issuers are taken from it where a signature leads from our certificate through
them to a root that was trusted before; nothing becomes trusted by being sent. So the three certificates of a root
rollover (RFC 7030 4.1.3) help where the old root is the one trusted: it signed the new one, and that is the path.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from leafward.errors import ProtocolError, RuleViolation
from leafward.pki.chain import Chain
from leafward.pki.extension import unreadable
from leafward.pki.key_types import PublicKey
from leafward.pki.names import common_name
from leafward.pki.paths import Pool, candidate_paths, likeliest_path
from leafward.pki.verify import verify

_HINT = "ask the maker what its EST server issues under this label; the old certificate stays in use"


def own_certificate(
    found: Sequence[x509.Certificate], public_key: PublicKey, wanted: x509.Name, present: x509.Certificate | None
) -> x509.Certificate:
    """The one certificate among `found` that is for our key and under the name `wanted`; `present` is the one in use.

    Raises `RuleViolation` ("key-mismatch") where none has our key, `ProtocolError` for several, for another name, and
    for the certificate that is to be renewed.
    """
    found = [one for one in found if not unreadable(one)]
    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ours = [one for one in found if _spki(one) == spki]
    if not ours:
        names = ", ".join(repr(_short(one.subject)) for one in found[:3]) or "nobody"
        why = f"got {len(found)} of them, for {names}, and none has our public key"
        raise RuleViolation("key-mismatch", "the EST server gave somebody else's certificate", why=why, hint=_HINT)
    if len(set(ours)) > 1:
        raise ProtocolError("the EST server gave more than one certificate for our key", hint=_HINT)
    leaf = ours[0]
    for oid, what in ((NameOID.COMMON_NAME, "common name"), (NameOID.SERIAL_NUMBER, "serial number")):
        if (asked := _values(wanted, oid)) and asked != (got := _values(leaf.subject, oid)):
            why = f"got the {what} {', '.join(got)[:64]!r}, asked for {', '.join(asked)!r}"
            raise ProtocolError("the EST server gave a certificate of another name", why=why, hint=_HINT)
    if leaf == present:
        why = "it is the one that was to be renewed"
        raise ProtocolError("the EST server gave no new certificate", why=why, hint=_HINT)
    return leaf


def ca_chains(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> Iterator[Chain]:
    """The chains from a CA's certificate to one of `anchors`, likeliest first; signatures hold, nothing else is judged.

    Raises `RuleViolation` ("root-not-trusted") where there is none.
    """
    pool, roots = Pool(one for one in others if not unreadable(one)), Pool(anchors)
    paths = candidate_paths(leaf, pool, roots)
    first = next(paths, None)
    if first is None:
        raise _unanchored(likeliest_path(leaf, pool, roots)[-1], anchors)
    yield Chain(first)
    for path in paths:
        yield Chain(path)


def client_chain(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime
) -> Chain:
    """The chain of a device identity, judged as a TLS client's. Raises `RuleViolation` with the rule's code."""
    verdict = verify(Chain.of(leaf), anchors, now=now, purpose="client", intermediates=others)
    if verdict.path is None:
        what = "the device identity that the EST server gave cannot be used"
        raise RuleViolation(verdict.rule or "root-not-trusted", what, why=verdict.reason, hint=_HINT)
    return Chain(verdict.path)


def _unanchored(top: x509.Certificate, anchors: Sequence[x509.Certificate]) -> RuleViolation:
    roots = ", ".join(repr(_short(root.subject)) for root in anchors[:3])
    why = f"it ends at {_short(top.subject)!r}, issued by {_short(top.issuer)!r}; trusted are {roots}"
    what = "the certificate that the EST server gave does not reach a trusted root"
    hint = "name the maker's root in device.trust_bundle (enrolment.trust where there is none)"
    return RuleViolation("root-not-trusted", what, why=why, hint=hint)


def _spki(certificate: x509.Certificate) -> bytes | None:
    """None for a key of a kind that is not known, which is not ours."""
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return None


def _values(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]


def _short(name: x509.Name) -> str:
    return (common_name(name) or name.rfc4514_string())[:64]
