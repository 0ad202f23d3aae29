"""Two faults at once: the one that a TLS client meets first is the cause, the other a finding.

OpenSSL goes: path, extensions from the leaf up, key strength, name, then signatures and dates from the root down, then
name constraints. The pairs are of faults of different passes, and of one pass at different levels.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from cryptography import x509

from tests.doctor.corpus import Broken
from tests.doctor.corpus_levels import ENDED, FAULTS, UNKNOWN, chain
from tests.pki.chain_forge import CLIENT, DEFAULT, key, san

DEPTH = 5
FENCE = x509.NameConstraints([x509.DNSName("plant.example")], None)

# In OpenSSL's order: code, the level, what is special there.
ORDERED: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("key-id-mismatch", 1, {"aki": b"another key"}),
    ("eku-missing-server-auth", 0, {"eku": [CLIENT]}),
    ("unknown-critical-extension", 2, {"extra": [(UNKNOWN, True)]}),
    ("key-usage-missing-cert-sign", 3, FAULTS["key-usage-missing-cert-sign"][0]),
    ("hostname-mismatch", 0, {"names": san("other.local")}),
    ("certificate-expired", 4, ENDED),
    ("signature-invalid", 2, {"signing_key": "another"}),
    ("certificate-expired", 1, ENDED),
)


def cases() -> Iterator[Broken]:
    """Every two that do not stand at one certificate, and a name outside of a fence beside each."""
    for (first, at, special), (second, below, more) in combinations(ORDERED, 2):
        if at == below or (first == second):
            continue
        hub = chain(DEPTH, {at: special, below: more})
        found = () if first == "key-id-mismatch" else (second,)
        yield Broken(f"{first} at {at} and {second} at {below}", tuple(hub.line), (hub.root,), first, found)
    for code, at, special in ORDERED:
        if at != 3:
            hub = chain(DEPTH, {at: special, 3: {"extra": [(FENCE, True)]}})
            yield Broken(f"{code} at {at} and a fence", tuple(hub.line), (hub.root,), code)
    yield from _same_certificate()


def _same_certificate() -> Iterator[Broken]:
    """Two faults of one certificate."""
    both = {"eku": [CLIENT], "names": san("other.local")}
    hub = chain(DEPTH, {0: both})
    yield Broken(
        "wrong use and wrong name", tuple(hub.line), (hub.root,), "eku-missing-server-auth", ("hostname-mismatch",)
    )
    hub = chain(DEPTH, {0: {"names": san("other.local"), **ENDED}})
    yield Broken("wrong name and ended", tuple(hub.line), (hub.root,), "hostname-mismatch", ("certificate-expired",))
    hub = chain(DEPTH, {0: {"signing_key": "another", **ENDED}})
    yield Broken("forged and ended", tuple(hub.line), (hub.root,), "signature-invalid", ("certificate-expired",))
    hub = chain(DEPTH, {1: ENDED, 0: {"names": None}})
    yield Broken("no SAN and an ended CA", tuple(hub.line), (hub.root,), "certificate-expired", ("san-missing",))
    hub = chain(DEPTH, {0: {"extra": [(UNKNOWN, True)], "key_usage": DEFAULT, **ENDED}})
    short = tuple(hub.line[:1])
    yield Broken(
        "alone, unknown extension, ended", short, (hub.root,), "intermediate-missing", ("certificate-expired",)
    )
    stranger = key("stranger")
    yield Broken(
        "another's key and ended",
        tuple(hub.line),
        (hub.root,),
        "key-mismatch",
        ("unknown-critical-extension",),
        key=stranger.public_key(),
    )
