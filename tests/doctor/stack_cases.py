"""Chains for other people's TLS clients, in time now: broken ones and healthy ones, each with the name it is called by.

root -> intermediate -> device CA (pathlen 1) -> workload CA (pathlen 0) -> hub, unless a case says otherwise
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509

from leafward.doctor.case import Case
from leafward.pki.chain import Chain
from tests.oracles.case import Case as OracleCase
from tests.pki.chain_forge import CLIENT, HOST, OTHER_USE, Party, issue, key, name, san, signed_over_sha1, usage

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
_TIMES = {"not_before": NOW - DAY, "not_after": NOW + 30 * DAY}


@dataclass(frozen=True)
class Shown:
    """What a client is shown: certificates, the key that proves the first, what the client trusts, and the name."""

    chain: list[x509.Certificate]
    key: Any
    anchors: list[x509.Certificate]
    host: str = HOST
    traits: frozenset[str] = field(default_factory=frozenset)

    @property
    def case(self) -> Case:
        """As the doctor sees it."""
        return Case(target="chain", now=NOW, presented=tuple(self.chain), anchors=tuple(self.anchors), name=self.host)

    def for_stand(self, label: str) -> OracleCase:
        """As the stand presents it."""
        return OracleCase(label, Chain(tuple(self.chain)), self.key, "server", self.anchors[0], NOW, self.host)


CASES: dict[str, Callable[[], Shown]] = {}


def case(label: str) -> Callable[[Callable[[], Shown]], Callable[[], Shown]]:
    """Registers a case under its label."""

    def register(make: Callable[[], Shown]) -> Callable[[], Shown]:
        assert label not in CASES
        CASES[label] = cache(make)
        return make

    return register


def root(subject: str = "Test Root", **more: Any) -> Party:
    return issue(subject, None, **{"ca": True, **_TIMES, **more})


def ca(subject: str, issuer: Party, path_length: int | None = None, **more: Any) -> Party:
    return issue(subject, issuer, **{"ca": True, "path_length": path_length, **_TIMES, **more})


def server(issuer: Party | None, *hosts: str, subject: Any = None, **more: Any) -> Party:
    hosts = hosts or (HOST,)
    special = {"eku": [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH], "names": san(*hosts), **_TIMES, **more}
    return issue(hosts[0] if subject is None else subject, issuer, **special)


@cache
def levels() -> tuple[Party, Party, Party, Party]:
    """root, intermediate, device CA, workload CA"""
    top = root()
    middle = ca("Test Intermediate", top)
    device = ca("iotgateway.ca", middle, 1)
    return top, middle, device, ca("iotedge workload ca", device, 0)


def workload() -> Party:
    return levels()[3]


def whole(party: Party, host: str = HOST, *, anchors: list[x509.Certificate] | None = None) -> Shown:
    return Shown(party.line, party.key, anchors or [party.root], host)


def below(**more: Any) -> Shown:
    """A hub below the workload CA with something special about it."""
    return whole(server(workload(), **more))


case("healthy")(below)
case("healthy without its root")(lambda: Shown(below().chain[:-1], below().key, below().anchors))
case("healthy rsa")(
    lambda: whole(
        server(
            ca("RSA CA", root("RSA Root", key_kind="rsa-2048"), key_kind="rsa-2048"),
            key_kind="rsa-2048",
            key_usage=usage("digital_signature", "key_encipherment"),
        )
    )
)
case("healthy below a root")(lambda: whole(server(root("Direct Root"))))
case("healthy capitals")(lambda: Shown(below().chain, below().key, below().anchors, HOST.upper()))
case("healthy address")(lambda: whole(server(workload(), "192.0.2.1"), "192.0.2.1"))
case("healthy wildcard")(lambda: whole(server(workload(), "*.plant.example", subject="wild"), "gw.plant.example"))
case("leaf alone")(lambda: Shown(below().chain[:1], below().key, below().anchors))
case("intermediate not sent")(lambda: Shown(below().chain[:3], below().key, below().anchors))
case("another root")(lambda: Shown(below().chain[:-1], below().key, [root("Other Root").certificate]))
case("another root, its own sent")(lambda: Shown(below().chain, below().key, [root("Other Root").certificate]))
case("root of the same name")(
    lambda: Shown(below().chain[:-1], below().key, [root(own_key=key("another root")).certificate])
)
case("self-signed server")(lambda: Shown([_alone().certificate], _alone().key, below().anchors))
case("device CA as anchor")(lambda: Shown(below().chain[:-1], below().key, [levels()[2].certificate]))
case("out of order")(lambda: Shown([below().chain[i] for i in (0, 2, 1, 3, 4)], below().key, below().anchors))
case("server expired")(lambda: below(not_before=NOW - 3 * DAY, not_after=NOW - DAY))
case("server not yet valid")(lambda: below(not_before=NOW + DAY))
case("workload CA expired")(lambda: whole(server(ca("iotedge workload ca", levels()[2], 0, **_ENDED))))
case("root expired")(lambda: whole(server(root("Ended Root", **_ENDED))))
case("wrong name")(lambda: whole(server(workload(), "other.local")))
case("no SAN, CN fits")(lambda: below(names=None))
case("no SAN, CN does not fit")(lambda: whole(server(workload(), "other.local", names=None)))
case("address in a DNS SAN")(lambda: whole(server(workload(), "DNS:192.0.2.1", subject="gw"), "192.0.2.1"))
case("address without SAN for it")(lambda: whole(server(workload()), "192.0.2.1"))
case("one-label wildcard")(lambda: whole(server(workload(), "*.local", subject="wild")))
case("device CA without CA:TRUE")(lambda: whole(server(ca("iotedge workload ca", _no_ca(), 0))))
case("workload CA without keyCertSign")(
    lambda: whole(server(ca("iotedge workload ca", levels()[2], 0, key_usage=usage("digital_signature"))))
)
case("path length exceeded")(lambda: whole(server(ca("iotedge workload ca", ca("iotgateway.ca", levels()[1], 0), 0))))
case("for clients only")(lambda: below(eku=[CLIENT]))
case("device CA for code signing")(
    lambda: whole(server(ca("iotedge workload ca", ca("iotgateway.ca", levels()[1], 1, eku=[OTHER_USE]), 0)))
)
case("key may not sign")(lambda: below(key_usage=usage("content_commitment")))
case("unknown critical extension")(lambda: below(extra=[(_UNKNOWN, True)]))
case("signature by another key")(
    lambda: whole(server(ca("iotedge workload ca", ca("iotgateway.ca", levels()[1], 1, signing_key=key("x")), 0)))
)
case("stale workload CA")(lambda: Shown([_earlier().certificate, *workload().line], _earlier().key, below().anchors))
case("same name, no key ids")(lambda: whole(server(ca(HOST, root(), ski=False), ski=False, aki=False)))
case("same name, key ids")(lambda: whole(server(ca(HOST, root()))))
case("device CA without AKI")(lambda: whole(server(ca("iotgateway.ca", levels()[1], aki=False))))
case("device CA without SKI")(lambda: whole(server(ca("iotgateway.ca", levels()[1], ski=False))))
case("basic constraints not critical")(lambda: whole(server(ca("iotgateway.ca", levels()[1], bc_critical=False))))
case("device CA without key usage")(lambda: whole(server(ca("iotgateway.ca", levels()[1], key_usage=None))))
case("SHA-1 signature")(lambda: whole(signed_over_sha1(server(workload()))))
case("fenced, outside")(lambda: whole(server(ca("iotgateway.ca", levels()[1], extra=[(_FENCE, True)]))))
case("wrong name and expired")(lambda: whole(server(workload(), "other.local", **_ENDED)))
case("another root and expired")(
    lambda: Shown(below(**_ENDED).chain[:-1], below(**_ENDED).key, [root("Other Root").certificate])
)

case("root expired, not sent")(lambda: _without_root(whole(server(root("Ended Root", **_ENDED)))))
case("intermediate expired")(lambda: _without_root(whole(server(ca("Ended CA", levels()[0], **_ENDED)))))
case("intermediate not yet valid")(lambda: whole(server(ca("Early CA", levels()[0], not_before=NOW + DAY))))
case("device CA without basic constraints")(
    lambda: whole(server(ca("iotedge workload ca", issue("iotgateway.ca", levels()[1], ca=None, **_TIMES), 0)))
)
case("issuer's name in other capitals")(lambda: below(issuer_name=name("IoTEdge Workload CA")))
case("another issuer's name")(lambda: below(issuer_name=name("another ca")))
case("key identifier of another")(
    lambda: whole(server(ca("iotedge workload ca", ca("iotgateway.ca", levels()[1], 1, aki=b"another key"), 0)))
)
case("no extended key usage")(lambda: below(eku=None))
case("any extended key usage")(lambda: below(eku=[x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]))
case("server certificate is a CA's")(lambda: below(ca=True, key_usage=usage("digital_signature", "key_cert_sign")))
case("sent twice")(lambda: replace(below(), chain=[below().chain[i] for i in (0, 1, 1, 2, 3, 4)]))
case("an unrelated root sent too")(lambda: replace(below(), chain=[*below().chain, root("Other Root").certificate]))
case("fenced, inside")(lambda: whole(server(ca("iotgateway.ca", levels()[1], extra=[(_WIDE, True)]))))
case("healthy by an address of version 6")(lambda: whole(server(workload(), "fd00::7"), "fd00::7"))
case("healthy, deep")(lambda: whole(server(_deep(6))))
case("key may encipher only")(lambda: below(key_usage=usage("key_encipherment")))

_ENDED = {"not_before": NOW - 3 * DAY, "not_after": NOW - DAY}
_UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
_WIDE = x509.NameConstraints([x509.DNSName("local")], None)
_FENCE = x509.NameConstraints([x509.DNSName("plant.example")], None)


@cache
def _alone() -> Party:
    return server(None)


@cache
def _earlier() -> Party:
    return server(ca("iotedge workload ca", levels()[2], 0, own_key=key("earlier workload")))


def _without_root(shown: Shown) -> Shown:
    return replace(shown, chain=shown.chain[:-1])


def _deep(count: int) -> Party:
    party = root("Deep Root")
    for number in range(count):
        party = ca(f"Level {number}", party)
    return party


def _no_ca() -> Party:
    return issue("iotgateway.ca", levels()[1], ca=False, **_TIMES)


def shown_cases() -> Iterator[tuple[str, Shown]]:
    """All of them, by label."""
    return ((label, make()) for label, make in CASES.items())


__all__ = ["CASES", "NOW", "Shown", "name", "shown_cases"]
