"""Building paths: from a leaf, through any certificates at hand, to a trusted root. Bounded, whatever the input.

Certificates at hand may be anything: unordered, unrelated, cross-signed in circles, hundreds under one name. Each
search has a budget, no key is met twice on a path, and only a verified signature leads further.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward.pki.link import Link, names_itself, signs_itself

Path: TypeAlias = tuple[x509.Certificate, ...]

# The longest path, leaf and root included. Real hierarchies have five; small devices give up long before sixteen.
MAX_PATH = 16
# Signature checks and complete paths a search may spend. A hostile pool of cross-signed CAs costs at most this.
MAX_STEPS = 512
MAX_CANDIDATES = 32


class Pool:
    """Certificates found by the bytes of their subject name, the first given first."""

    def __init__(self, certificates: Iterable[x509.Certificate]) -> None:
        self.certificates = tuple(dict.fromkeys(certificates))
        self._members = frozenset(self.certificates)
        self._by_name: Mapping[bytes, list[x509.Certificate]] = defaultdict(list)
        for certificate in self.certificates:
            self._by_name[certificate.subject.public_bytes()].append(certificate)

    def __contains__(self, certificate: object) -> bool:
        return certificate in self._members

    def named(self, name: x509.Name) -> Sequence[x509.Certificate]:
        """Those whose subject is `name`, byte for byte."""
        return self._by_name.get(name.public_bytes(), ())


def candidate_paths(leaf: x509.Certificate, pool: Pool, anchors: Pool) -> Iterator[Path]:
    """Paths whose names and signatures hold, from `leaf` to a self-signed anchor, the likeliest first.

    Anchors are tried before the pool, as OpenSSL does (X509_V_FLAG_TRUSTED_FIRST), so a short way to a root wins.
    """
    steps, found = MAX_STEPS, 0
    waiting: list[Path] = [(leaf,)]
    while waiting and steps > 0 and found < MAX_CANDIDATES:
        path = waiting.pop()
        if is_anchor(path[-1], anchors):
            found += 1
            yield path
            continue
        if len(path) >= MAX_PATH:
            continue
        further = []
        for issuer in _issuers(path, pool, anchors):
            steps -= 1
            if steps < 0:
                break
            if Link(path[-1], issuer).signed:
                further.append((*path, issuer))
        waiting.extend(reversed(further))


def likeliest_path(leaf: x509.Certificate, pool: Pool, anchors: Pool) -> Path:
    """Where no path holds: the one to explain the failure by. Never fails, and may end anywhere.

    At each step the issuer that signed; else one of the right name; else one of nearly the right name, or of another
    name, that signed. Anchors are taken only where they signed: a root of the same name is not on the path.
    """
    path: Path = (leaf,)
    while len(path) < MAX_PATH and not is_anchor(path[-1], anchors):
        issuer = _likely_issuer(path, pool, anchors)
        if issuer is None:
            break
        path = (*path, issuer)
    return path


def extend_to_anchor(certificates: Path, anchors: Iterable[x509.Certificate]) -> Path:
    """A chain as presented, cut at the first trusted root, or completed from the anchors that issued its top."""
    pool = Pool(anchors)
    for position, certificate in enumerate(certificates):
        if is_anchor(certificate, pool):
            return certificates[: position + 1]
    path = certificates
    if len(path) > 1 and names_itself(path[-1]):
        # A root presented beside a trusted one of the same name and key, re-issued with other dates.
        path = path[:-1] if any(Link(path[-2], other).holds for other in pool.named(path[-1].subject)) else path
    while len(path) < MAX_PATH and not is_anchor(path[-1], pool):
        issuer = next((one for one in _issuers(path, _EMPTY, pool) if Link(path[-1], one).signed), None)
        if issuer is None:
            break
        path = (*path, issuer)
    return path


def is_anchor(certificate: x509.Certificate, anchors: Pool) -> bool:
    """True for a trusted root. A trusted certificate that is not self-signed ends no path: no partial chains."""
    return certificate in anchors and signs_itself(certificate)


_EMPTY = Pool(())


def _issuers(path: Path, pool: Pool, anchors: Pool) -> Iterator[x509.Certificate]:
    """Certificates of the issuer's name not on the path yet: fitting key identifiers first, then trusted ones."""
    top = path[-1]
    seen = {_identity(one) for one in path}
    named = dict.fromkeys((*anchors.named(top.issuer), *pool.named(top.issuer)))
    fresh = [one for one in named if _identity(one) not in seen]
    yield from sorted(fresh, key=lambda one: Link(top, one).key_ids_match is False)


def _identity(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    """Name and key: a path that meets the same CA twice, under another certificate, only goes in a circle."""
    return certificate.subject.public_bytes(), public_key_bytes(certificate)


def public_key_bytes(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo; the certificate's own bytes where its key is of a kind that cannot be read."""
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # unreadable keys raise several kinds, and none of them may stop a diagnosis
        return certificate.public_bytes(Encoding.DER)


def _likely_issuer(path: Path, pool: Pool, anchors: Pool) -> x509.Certificate | None:
    top, named = path[-1], list(_issuers(path, pool, anchors))
    for issuer in named[:MAX_STEPS]:
        if Link(top, issuer).signed:
            return issuer
    if names_itself(top):
        return None
    for issuer in named:
        if issuer not in anchors:
            return issuer
    others = [one for one in (*pool.certificates, *anchors.certificates)[:MAX_STEPS] if one not in path]
    return next((one for one in others if Link(top, one).signed), None)
