"""Broken chains one by one: those of the rules' own tests, and what only a diagnosis looks at."""

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from leafward.doctor.case import FileEvidence, Limits
from tests.doctor.corpus import Broken
from tests.doctor.corpus_levels import DAY, chain
from tests.pki.chain_faults import FAULTS
from tests.pki.chain_forge import HOST, NOW, ca, client, edge, key, name, root, san, server, usage, with_bytes
from tests.pki.fault import Fault

# Our rules and OpenSSL part ways, with the reason.
DIFFERS = {
    "key-mismatch": "openssl verify is shown no key",
    "chain-too-deep": "OpenSSL takes a hundred levels",
    "certificate-revoked": "openssl verify is shown no list",
    "crl-expired": "openssl verify is shown no list",
    "crl-unusable": "openssl verify is shown no list",
    "post-quantum-chain": "depends: OpenSSL before 3.5 cannot read the key, newer ones can",
}
# A rule of ours is an error for `verify`; a diagnosis says what OpenSSL does.
WARNINGS_HERE = {"chain-too-deep"}


def cases() -> Iterator[Broken]:
    """Those of the rules that are a TLS peer's, then our own."""
    for case, make in FAULTS.items():
        fault, code = make(), case.partition("/")[0]
        if fault.purpose in ("server", "client"):
            yield of_fault(case, code, fault)
    yield from _names()
    yield from _times()
    yield from _trust()
    yield from _sizes()
    yield from _lists()
    yield from _clients()


def of_fault(case: str, code: str, fault: Fault) -> Broken:
    """A chain of the rules' tests, as it is sent."""
    is_cause = fault.severity == "error" and code not in WARNINGS_HERE
    return Broken(
        f"rule {case}",
        tuple(fault.presented or fault.chain),
        tuple(fault.anchors),
        code if is_cause else None,
        () if is_cause else (code,),
        host=fault.host,
        purpose=fault.purpose,
        now=fault.now,
        key=fault.key,
        crls=tuple(fault.crls),
        differs="" if not is_cause else DIFFERS.get(code, ""),
    )


def _named(title: str, cause: str | None, names: Any, host: str, *found: str, subject: Any = None) -> Broken:
    hub = server(edge().workload_ca, names=names, subject=subject or name(HOST))
    return Broken(title, tuple(hub.line), (hub.root,), cause, found, host=host)


def _names() -> Iterator[Broken]:
    """The name that the leaf uses against the names of the certificate."""
    yield _named("upper case in the leaf's name", None, san(HOST), "IoTEdgeGW.local", "hostname-case-mismatch")
    yield _named("upper case in the certificate", None, san("IoTEdgeGW.local"), HOST, "hostname-case-mismatch")
    yield _named("a short name", "hostname-mismatch", san(HOST), "iotedgegw")
    yield _named("a wildcard of one label", "hostname-mismatch", san("*.local"), HOST)
    yield _named("a wildcard too high", "hostname-mismatch", san("*.plant.example"), "a.b.plant.example")
    yield _named("a name of the common name only, beside a SAN", "hostname-mismatch", san("other.local"), HOST)
    yield _named("a common name and an address", None, san("192.0.2.7"), "192.0.2.7")
    yield _named("an address in a DNS name", "ip-in-dns-san", san("DNS:192.0.2.7"), "192.0.2.7")
    yield _named("an address where there are names", "ip-san-missing", san(HOST), "192.0.2.7")
    yield _named("another address", "hostname-mismatch", san("192.0.2.8"), "192.0.2.7")
    yield _named("an IPv6 address", "ip-san-missing", san(HOST), "2001:db8::7")
    yield _named("a port in the leaf's name", "hostname-invalid", san(HOST), f"{HOST}:8883")
    yield _named("a scheme in the leaf's name", "hostname-invalid", san(HOST), f"mqtts://{HOST}")
    yield _named("a final dot in the leaf's name", "hostname-invalid", san(HOST), f"{HOST}.")
    yield _named("no SAN, the common name fits", None, None, HOST, "san-missing")
    yield _named("no SAN, the common name is another", "san-missing", None, "gw.example")
    hub = server(edge().workload_ca, names=None)
    yield Broken("no SAN, and no name to compare", tuple(hub.line), (hub.root,), None, ("san-missing",), host=None)
    device_ca = ca(HOST, edge().intermediate, 1)
    hub = server(ca("iotedge workload ca", device_ca, 0), "other.local")
    yield Broken(
        "a CA is named as the host, and it is not the cause", tuple(hub.line), (hub.root,), "hostname-mismatch"
    )


def _times() -> Iterator[Broken]:
    """Clocks and ends."""
    line = tuple(edge().hub.line)
    yield Broken("1970", line, line[-1:], "clock-wrong", now=datetime(1970, 1, 1, tzinfo=UTC))
    yield Broken("a day before all", line, line[-1:], "clock-wrong", now=NOW - 2 * DAY)
    behind = {"clock_is_real": True}
    yield Broken("a clock behind", line, line[-1:], "clock-wrong", now=datetime(2025, 1, 1, tzinfo=UTC), special=behind)
    ahead = {"peer_time": NOW}
    yield Broken("a clock ahead", line, line[-1:], "clock-wrong", now=NOW + 90 * DAY, special=ahead)
    late = {"peer_time": NOW + DAY}
    yield Broken("a clock a day behind, all valid", line, line[-1:], None, ("clock-wrong",), special=late)
    ended = {"peer_time": NOW + 90 * DAY}
    far = NOW + 80 * DAY
    yield Broken(
        "ended, whichever clock is right",
        line,
        line[-1:],
        "certificate-expired",
        ("clock-wrong",),
        now=far,
        special=ended,
    )
    both = chain(4, {2: {"not_after": NOW - timedelta(hours=1)}, 0: {"not_after": NOW - timedelta(hours=1)}})
    yield Broken("a CA and the hub ended", tuple(both.line), (both.root,), "certificate-expired")
    near = chain(4, {1: {"not_after": NOW + timedelta(days=1)}})
    yield Broken("a CA ends tomorrow", tuple(near.line), (near.root,), None, ("expires-soon", "outlives-issuer"))


def _trust() -> Iterator[Broken]:
    """What is sent and what is trusted."""
    hub = edge().hub
    line, trusted = hub.line, (hub.root,)
    yield Broken("in reverse after the hub", (line[0], *line[:0:-1]), trusted, None, ("chain-out-of-order",))
    yield Broken("everything twice", tuple(line * 2), trusted, None, ("duplicate-certificate",))
    stranger = ca("Stranger", root("Elsewhere"))
    mixed = (*line[:2], stranger.certificate, *line[2:])
    yield Broken("a stranger among them", mixed, trusted, None, ("unrelated-certificate-in-chain",))
    wrong = (line[0], stranger.certificate)
    yield Broken(
        "a stranger in place of the issuer", wrong, trusted, "intermediate-missing", ("unrelated-certificate-in-chain",)
    )
    again = root(own_key=key("made again")).certificate
    yield Broken("the scripts were run twice", tuple(line), (again,), "root-same-name-different-key")
    yield Broken("both roots of one name", tuple(line), (again, *trusted), None)
    yield Broken("the device CA is trusted too", tuple(line[:-1]), (line[2], *trusted), "anchor-not-self-signed")
    yield Broken("the hub itself is trusted", tuple(line), (line[0],), "root-file-is-not-root")
    alone = server(None)
    yield Broken("a self-signed server, trusted", tuple(alone.line), tuple(alone.line), None)
    made = server(None, ca=True, key_usage=usage("digital_signature", "key_cert_sign"), eku=None)
    yield Broken("openssl req -x509", tuple(made.line), trusted, "self-signed-server")
    apart, files = (line[0],), {"files": (FileEvidence("hub.pem", "server chain"),)}
    yield Broken(
        "the rest in files of its own",
        apart,
        trusted,
        None,
        ("intermediate-missing",),
        more=tuple(line[1:]),
        special=files,
    )
    earlier = ca("iotedge workload ca", edge().device_ca, 0, own_key=key("earlier workload"))
    stale = (server(earlier).certificate, *edge().workload_ca.line)
    yield Broken("a stale workload CA, root not sent", stale[:-1], trusted, "stale-workload-ca")
    yield Broken("no roots are known", tuple(line[:3]), (), None)
    damaged = with_bytes(edge().workload_ca, b"iotedge workload ca", b"\xff" * 19)
    sent = (line[0], damaged.certificate, *line[2:])
    yield Broken("a CA that cannot be read", sent, trusted, "certificate-malformed")
    direct = ca(HOST, root("Plain Root", ski=False, aki=False), ski=False, aki=False)
    plain = server(direct, ski=False, aki=False)
    yield Broken(
        "named as its issuer, root not sent", tuple(plain.line[:-1]), (plain.root,), "issuer-same-name-as-server"
    )


def _sizes() -> Iterator[Broken]:
    """For small devices."""
    line = tuple(edge().hub.line)
    small = Limits(chain_bytes=1024)
    yield Broken("1 KiB", line, line[-1:], None, ("chain-too-large-for-small-devices",), limits=small)
    yield Broken("four levels", line, line[-1:], None, ("chain-too-deep",), limits=Limits(depth=4))
    hub = server(root(), extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), bytes(17000)), False)])
    yield Broken("17 KB", tuple(hub.line), (hub.root,), None, ("chain-too-large-for-small-devices",))
    many = tuple(root(f"Root {number}", own_key=key("one for all")).certificate for number in range(101))
    yield Broken(
        "a hundred and two are sent", (line[0], *many), line[-1:], "chain-too-deep", also=("intermediate-missing",)
    )
    net = ipaddress.ip_network("192.0.2.0/24")
    fence = x509.NameConstraints([x509.IPAddress(net)], None)
    hub = server(ca("fenced", root(), extra=[(fence, True)]), HOST, "198.51.100.7")
    yield Broken("an address outside of a fence", tuple(hub.line), (hub.root,), "name-constraint-violated")


def _lists() -> Iterator[Broken]:
    """Revocation lists that cannot be had."""
    line = tuple(edge().hub.line)
    unreachable = {"unreachable_crls": (("http://127.0.0.1:1/ca.crl", "connection refused"),)}
    yield Broken("no list to be had", line, line[-1:], None, ("crl-unreachable",), special=unreachable)


def _clients() -> Iterator[Broken]:
    """Leaf devices that prove themselves with a certificate."""
    leaf = client(edge().device_ca)
    line = tuple(leaf.line)
    of_a_client: dict[str, Any] = {"purpose": "client", "host": None}
    yield Broken("a leaf without its issuers", line[:1], line[-1:], "intermediate-missing", **of_a_client)
    yield Broken("a leaf of another maker", line, (root("Other").certificate,), "root-not-trusted", **of_a_client)
    hub = tuple(edge().hub.line)
    yield Broken("a server's certificate on a leaf", hub, hub[-1:], "eku-missing-client-auth", **of_a_client)
    expired = client(edge().device_ca, not_after=NOW - timedelta(hours=1))
    yield Broken("an ended leaf", tuple(expired.line), line[-1:], "certificate-expired", **of_a_client)
    other = key("another leaf").public_key()
    differs = "openssl verify is shown no key"
    yield Broken("another leaf's key", line, line[-1:], "key-mismatch", key=other, differs=differs, **of_a_client)
