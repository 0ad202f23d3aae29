"""The path that OpenSSL takes (`build_chain` in crypto/x509/x509_vfy.c), good or not.

It takes one path and stays with it, where `paths.candidate_paths` goes on to try others; and it checks no signature on
its way. So what it refuses may have been verifiable another way: a diagnosis explains the path that clients took.
"""

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509

from leafward.pki.link import Link, names_itself
from leafward.pki.paths import Path, Pool, is_anchor

MAX_DEPTH = 100  # X509_VERIFY_PARAM_set_depth, as it is delivered


def openssl_path(leaf: x509.Certificate, sent: Iterable[x509.Certificate], anchors: Pool, now: datetime) -> Path:
    """From the leaf up, to a trusted root where OpenSSL gets there, else as far as it gets. `now` is aware UTC.

    At each step trusted certificates first (X509_V_FLAG_TRUSTED_FIRST), then those sent. From a trusted one that is no
    root it looks among the trusted ones only.
    """
    path: Path = (leaf,)
    material = tuple(sent)
    while not is_anchor(path[-1], anchors) and len(path) < MAX_DEPTH and not _looks_self_signed(path[-1]):
        issuer = _best(path[-1], anchors.certificates, path, now)
        if issuer is None:
            issuer = _best(path[-1], material, path, now)
        else:
            material = ()
        if issuer is None:
            break
        path = (*path, issuer)
    return path


def _looks_self_signed(certificate: x509.Certificate) -> bool:
    """EXFLAG_SS: self-issued, and no key identifier says otherwise; whose key signed is not looked at."""
    return names_itself(certificate) and Link(certificate, certificate).key_ids_match is not False


def _best(
    top: x509.Certificate, pool: Iterable[x509.Certificate], path: Path, now: datetime
) -> x509.Certificate | None:
    """The first likely issuer that is valid now, else the one that ends last (`find_issuer`)."""
    likely = [one for one in pool if one not in path and _is_likely(Link(top, one))]
    valid = (one for one in likely if one.not_valid_before_utc <= now <= one.not_valid_after_utc)
    return next(valid, max(likely, key=lambda one: one.not_valid_after_utc, default=None))


def _is_likely(link: Link) -> bool:
    """`ossl_x509_likely_issued`: names by RFC 5280 7.1, key identifiers where both are there, no signature."""
    return link.names_match_loosely and link.key_ids_match is not False
