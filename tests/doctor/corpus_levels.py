"""One fault at each level of chains of two to seven certificates, with EC keys and with RSA keys.

root -> CA depth-2 -> … -> CA 1 -> hub          level 0 is the hub, the last level is the root
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

from cryptography import x509

from tests.doctor.corpus import Broken
from tests.pki.chain_forge import CLIENT, NOW, Party, ca, key, name, root, server, usage

DEPTHS = range(2, 8)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
DAY = timedelta(days=1)
ENDED = {"not_before": NOW - 3 * DAY, "not_after": NOW - DAY}
_RSA_KEYS = 3  # each takes a while to make

# Fault -> (what is special about the certificate, the levels it can be at: "leaf", "ca", "root").
FAULTS: dict[str, tuple[dict[str, Any], frozenset[str]]] = {
    "certificate-expired": (ENDED, frozenset({"leaf", "ca", "root"})),
    "certificate-not-yet-valid": ({"not_before": NOW + DAY}, frozenset({"leaf", "ca", "root"})),
    "unknown-critical-extension": ({"extra": [(UNKNOWN, True)]}, frozenset({"leaf", "ca", "root"})),
    "not-a-ca": ({"ca": False, "key_usage": usage("key_cert_sign")}, frozenset({"ca", "root"})),
    "key-usage-missing-cert-sign": ({"key_usage": usage("crl_sign")}, frozenset({"ca", "root"})),
    "eku-not-nested": ({"eku": [CLIENT]}, frozenset({"ca", "root"})),
    "eku-missing-server-auth": ({"eku": [CLIENT]}, frozenset({"leaf"})),
    "signature-invalid": ({"signing_key": "another"}, frozenset({"leaf", "ca"})),
    "key-id-mismatch": ({"aki": b"another key"}, frozenset({"leaf", "ca"})),
    "issuer-name-mismatch": ({"issuer_name": name("another ca")}, frozenset({"leaf", "ca"})),
}
WARNINGS: dict[str, tuple[dict[str, Any], frozenset[str]]] = {
    "basic-constraints-not-critical": ({"bc_critical": False}, frozenset({"ca", "root"})),
    "authority-key-id-missing": ({"aki": False}, frozenset({"leaf", "ca"})),
    "subject-key-id-missing": ({"ski": False}, frozenset({"ca", "root"})),
}


def cases() -> Iterator[Broken]:
    """All of them: every fault at every level with EC keys; with RSA keys at the middle of five."""
    for depth in DEPTHS:
        for code, (special, places) in FAULTS.items():
            for level in levels(depth, places):
                yield case(depth, level, code, special)
        for level in range(1, depth):
            yield missing(depth, level)
        for level in range(2, depth):
            yield path_length(depth, level)
    for code, (special, places) in WARNINGS.items():
        for level in levels(5, places):
            hub = chain(5, {level: special})
            yield Broken(f"{code} at level {level} of 5", tuple(hub.line), (hub.root,), None, (code,))
    for code, (special, places) in FAULTS.items():
        yield case(5, 0 if places == {"leaf"} else 2, code, special, kind="rsa-2048")


def levels(depth: int, places: frozenset[str]) -> Iterator[int]:
    """The levels of a chain that are of these kinds."""
    for level in range(depth):
        if ("leaf" if level == 0 else "root" if level == depth - 1 else "ca") in places:
            yield level


def case(depth: int, level: int, code: str, special: dict[str, Any], kind: str = "ec-p256") -> Broken:
    """A chain with one fault at one level; its root is trusted and presented."""
    hub = chain(depth, {level: special}, kind)
    return Broken(f"{code} at level {level} of {depth}, {kind}", tuple(hub.line), (hub.root,), code)


def missing(depth: int, level: int) -> Broken:
    """One certificate is not sent; without its root, no other of that name is trusted."""
    hub = chain(depth, {})
    line, is_root = hub.line, level == depth - 1
    sent = tuple(one for place, one in enumerate(line) if place not in (level, depth - 1))
    trusted = root("Other Root").certificate if is_root else hub.root
    also = () if level == 1 and not is_root else ("root-not-trusted", "intermediate-missing")
    cause = "root-not-trusted" if is_root and depth > 2 else "intermediate-missing"
    return Broken(f"level {level} of {depth} is not sent", sent, (trusted,), cause, also=also)


def path_length(depth: int, level: int) -> Broken:
    """A CA with one level too many below it."""
    hub = chain(depth, {level: {"path_length": level - 2}})
    name_ = f"path-length-exceeded at level {level} of {depth}"
    return Broken(name_, tuple(hub.line), (hub.root,), "path-length-exceeded")


def chain(depth: int, special: dict[int, dict[str, Any]], kind: str = "ec-p256") -> Party:
    """The hub of a chain of `depth` certificates, each level as asked for."""
    party: Party | None = None
    for level in range(depth - 1, -1, -1):
        part = {"own_key": level_key(level, kind), **special.get(level, {})}
        if part.get("signing_key") == "another":
            part["signing_key"] = key("another", kind)
        make: Callable[..., Party] = server if level == 0 else ca
        party = root("Test Root", **part) if party is None else _below(make, party, level, part)
    assert party is not None
    return party


def _below(make: Callable[..., Party], party: Party, level: int, part: dict[str, Any]) -> Party:
    return make(party, **part) if level == 0 else make(f"Test CA {level}", party, **part)


@cache
def level_key(level: int, kind: str) -> Any:
    """A key for a level; RSA keys serve several levels."""
    return key(f"level {level % _RSA_KEYS if kind.startswith('rsa') else level}", kind)
