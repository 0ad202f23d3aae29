"""OpenSSL's verification as a model: every error in the order in which it meets them (crypto/x509/x509_vfy.c, 3.0).

Most programs stop at the first error. Those whose callback lets it go on, as Node's does, end with the last one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.doctor.clients.prediction import Shown
from leafward.doctor.clients.signing import is_signed
from leafward.pki.chain import Chain
from leafward.pki.extension import extension, path_length, purposes, subject_key_id, value
from leafward.pki.link import Link, names_itself
from leafward.pki.names import HostName
from leafward.pki.rule import Context
from leafward.pki.rules import rule

TEXTS = {
    2: "unable to get issuer certificate",
    7: "certificate signature failure",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    22: "certificate chain too long",
    25: "path length constraint exceeded",
    26: "unsuitable certificate purpose",
    32: "key usage does not include certificate signing",
    34: "unhandled critical extension",
    47: "permitted subtree violation",
    62: "hostname mismatch",
    64: "IP address mismatch",
    66: "EE certificate key too weak",
    67: "CA certificate key too weak",
    68: "CA signature digest algorithm too weak",
    79: "invalid CA certificate",
    85: "Missing Authority Key Identifier",
    86: "Missing Subject Key Identifier",
    89: "Basic Constraints of CA cert not marked critical",
    92: "CA cert does not include key usage extension",
}
_MOST_DEPTH = 100
_LEVELS = {0: 0, 1: 80, 2: 112}
_NAME_RULES = ("hostname-mismatch", "san-missing", "ip-in-dns-san", "ip-san-missing")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a program asks OpenSSL: X509_V_FLAG_X509_STRICT, _PARTIAL_CHAIN, the security level, whether the name too."""

    strict: bool = False
    partial: bool = False
    level: int = 2
    names: bool = True


def openssl_errors(shown: Shown, manner: Manner) -> list[int]:
    """The numbers (X509_V_ERR_*) of all errors, the first first; empty where it accepts."""
    return list(_Verification(shown, manner).errors())


class _Verification:
    def __init__(self, shown: Shown, manner: Manner) -> None:
        self._shown, self._manner = shown, manner
        self._now: datetime = shown.case.now.replace(microsecond=0)
        self._end: int | None = None
        self._trusted = 0  # how many of the path came from the trusted ones
        self.path = self._build()

    def errors(self) -> Iterator[int]:
        bits = _LEVELS[self._manner.level]
        if _key_bits(self._shown.leaf) < bits:
            yield 66
        if self._end is not None:
            yield self._end
        for place in range(len(self.path)):
            yield from self._extensions(place)
        yield from self._strength(bits)
        if self._manner.names and (wrong := self._name()) is not None:
            yield wrong
        yield from self._signatures_and_dates()
        if self._context_finds("name-constraint-violated"):
            yield 47

    def _build(self) -> list[x509.Certificate]:
        path, sent = [self._shown.leaf], list(self._shown.sent[1:])
        while len(path) <= _MOST_DEPTH:
            top = path[-1]
            if top in self._shown.anchors and (self._manner.partial or _looks_self_signed(top)):
                return path
            if _looks_self_signed(top):
                self._end = 18 if len(path) == 1 else 19
                return path
            issuer = self._best(top, self._shown.anchors, path)
            if issuer is not None:
                sent, self._trusted = [], self._trusted + 1
            else:
                issuer = self._best(top, sent, path)
            if issuer is None:
                self._end = 2 if self._trusted or top in self._shown.anchors else 20
                return path
            path.append(issuer)
        self._end = 22
        return path

    def _best(self, top: x509.Certificate, pool: "Pool", path: list[x509.Certificate]) -> x509.Certificate | None:
        likely = [one for one in pool if one not in path and _is_likely(top, one)]
        valid = (one for one in likely if self._date(one) is None)
        return next(valid, max(likely, key=lambda one: one.not_valid_after_utc, default=None))

    def _date(self, certificate: x509.Certificate) -> int | None:
        if self._now < certificate.not_valid_before_utc:
            return 9
        # The last second is one too late: X509_cmp_time never says "equal".
        return 10 if self._now >= certificate.not_valid_after_utc else None

    def _extensions(self, place: int) -> Iterator[int]:
        certificate = self.path[place]
        if self._context_finds("unknown-critical-extension", certificate):
            yield 34
        is_ca = _check_ca(certificate)
        if place > 0 and (is_ca == 0 or (self._manner.strict and is_ca != 1)):
            yield 79
        if self._manner.strict and len(self.path) > 1:
            yield from self._strictly(place, certificate)
        if not _serves(certificate, is_leaf=place == 0):
            yield 26
        limit = path_length(certificate)
        below = [one for one in self.path[1:place] if not names_itself(one)]
        if place > 1 and limit is not None and len(below) > limit:
            yield 25

    def _strictly(self, place: int, certificate: x509.Certificate) -> Iterator[int]:
        constraints = extension(certificate, x509.BasicConstraints)
        is_ca = constraints is not None and constraints.value.ca
        if is_ca and constraints is not None and not constraints.critical:
            yield 89
        if is_ca and extension(certificate, x509.KeyUsage) is None:
            yield 92
        found = value(certificate, x509.AuthorityKeyIdentifier)
        if place + 1 < len(self.path) and (found is None or found.key_identifier is None):
            yield 85
        if is_ca and subject_key_id(certificate) is None:
            yield 86

    def _strength(self, bits: int) -> Iterator[int]:
        for place, certificate in enumerate(self.path):
            if place > 0 and _key_bits(certificate) < bits:
                yield 67
            if place < len(self.path) - 1 and _hash_bits(certificate) < bits:
                yield 68

    def _name(self) -> int | None:
        if not any(self._context_finds(code) for code in _NAME_RULES):
            return None
        return 62 if isinstance(self._shown.host, HostName) else 64

    def _signatures_and_dates(self) -> Iterator[int]:
        """`internal_verify`: from the top down, the signature and then the dates of each."""
        top = self.path[-1]
        ends_well = _looks_self_signed(top) or self._manner.partial
        if not ends_well and len(self.path) == 1:
            yield 21
        first = len(self.path) - 1 if ends_well or len(self.path) == 1 else len(self.path) - 2
        for place in range(first, -1, -1):
            certificate = self.path[place]
            if place + 1 < len(self.path):
                issuer = self.path[place + 1]
                if not _may_sign(issuer):
                    yield 32
                if not is_signed(certificate, issuer):
                    yield 7
            if (date := self._date(certificate)) is not None:
                yield date

    def _context_finds(self, code: str, certificate: x509.Certificate | None = None) -> bool:
        context = Context(
            chain=Chain(tuple(self.path)) if certificate is None else Chain((certificate,)),
            anchors=self._shown.anchors if certificate is None else (),
            now=self._now,
            host=self._shown.host,
        )
        return any(found.severity == "error" for found in rule(code).check(context))


Pool = tuple[x509.Certificate, ...] | list[x509.Certificate]


def _looks_self_signed(certificate: x509.Certificate) -> bool:
    return names_itself(certificate) and Link(certificate, certificate).key_ids_match is not False


def _is_likely(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    link = Link(child, issuer)
    return link.names_match_loosely and link.key_ids_match is not False


def _may_sign(certificate: x509.Certificate) -> bool:
    usage = value(certificate, x509.KeyUsage)
    return usage is None or usage.key_cert_sign


def _check_ca(certificate: x509.Certificate) -> int:
    """`check_ca`: 1 a CA, 3 an old self-signed root of version 1, 4 one with a key usage alone, 0 none."""
    if not _may_sign(certificate):
        return 0
    constraints = value(certificate, x509.BasicConstraints)
    if constraints is not None:
        return int(constraints.ca)
    if certificate.version == x509.Version.v1 and names_itself(certificate):
        return 3
    return 4 if value(certificate, x509.KeyUsage) is not None else 0


def _serves(certificate: x509.Certificate, *, is_leaf: bool) -> bool:
    """`check_purpose_ssl_server`. A CA's extended key usage counts as the leaf's does."""
    uses = purposes(certificate)
    if uses is not None and ExtendedKeyUsageOID.SERVER_AUTH not in uses:
        return False
    if not is_leaf:
        return _check_ca(certificate) != 0
    usage = value(certificate, x509.KeyUsage)
    return usage is None or usage.digital_signature or usage.key_encipherment or usage.key_agreement


def _key_bits(certificate: x509.Certificate) -> int:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return 256
    if isinstance(key, rsa.RSAPublicKey):
        return 80 if key.key_size < 2048 else 112
    return key.key_size // 2 if isinstance(key, ec.EllipticCurvePublicKey) else 128


def _hash_bits(certificate: x509.Certificate) -> int:
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return 256
    if digest is None:
        return 128
    return {"sha1": 63, "md5": 39}.get(digest.name, digest.digest_size * 4)
