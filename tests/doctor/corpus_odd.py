"""Odd chains, healthy and broken, as fleets grow them: cross-signed roots, two roots of a name, roots issued again.

What is right about each was read off `openssl verify`, which test_openssl.py asks again.
"""

from collections.abc import Iterator
from datetime import timedelta

from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from tests.doctor.corpus import Broken
from tests.pki.chain_forge import HOST, NOW, Party, ca, edge, key, root, san, server

DAY = timedelta(days=1)
_PAST = {"not_before": NOW - 100 * DAY, "not_after": NOW - DAY}
_BARE = {"ski": False, "aki": False}


def cases() -> Iterator[Broken]:
    """All of them."""
    yield from _cross_signed()
    yield from _issued_again()
    yield from _same_names()
    yield from _without_key_identifiers()
    yield from _written_otherwise()
    yield from _two_clocks()


def _cross_signed() -> Iterator[Broken]:
    """hub -> Cross Int -> New Root, and the same CA (or root) under an Old Root that has ended"""
    old, new = root("Old Root", own_key=key("old root"), **_PAST), root("New Root", own_key=key("new root"))
    below_old = ca("Cross Int", old, own_key=key("cross"), **_PAST)
    below_new = ca("Cross Int", new, own_key=key("cross"))
    hub = server(below_new).certificate
    both = (old.certificate, new.certificate)
    sent = (hub, below_old.certificate, below_new.certificate)
    yield Broken("cross-signed, the ended path first", sent, both, None)
    yield Broken("cross-signed, the ended path last", (hub, *sent[:0:-1]), both, None)
    yield Broken("cross-signed, only the new root is trusted", sent, both[1:], None)
    yield Broken("cross-signed, only the ended path is sent", sent[:2], both, "certificate-expired")
    yield Broken("cross-signed, only the old root is trusted", (hub, sent[2]), both[:1], "root-not-trusted")
    bridge = ca("New Root", old, own_key=key("new root"), **_PAST).certificate
    yield Broken("an ended bridge to the new root", (hub, sent[2], bridge), both[1:], None)
    yield Broken("an ended bridge, both roots trusted", (hub, sent[2], bridge), both, None)
    other = root("Old Good Root", own_key=key("old good root"))
    bridge = ca("New Root", other, own_key=key("new root")).certificate
    yield Broken("a bridge that is needed", (hub, sent[2], bridge), (other.certificate,), None)


def _issued_again() -> Iterator[Broken]:
    """The same root, name and key, with other dates"""
    line, key_of_root = tuple(edge().hub.line), edge().root.key
    longer = root(own_key=key_of_root, not_after=NOW + 90 * DAY).certificate
    ended = root(own_key=key_of_root, **_PAST).certificate
    yield Broken("the old root sent, the one issued again trusted", line, (longer,), None)
    yield Broken("an ended root sent, the one issued again trusted", (*line[:-1], ended), line[-1:], None)
    yield Broken("an ended root trusted beside the one issued again", line[:-1], (ended, line[-1]), None)
    yield Broken("only the ended root is trusted", line[:-1], (ended,), "certificate-expired")


def _same_names() -> Iterator[Broken]:
    """Several of one name"""
    line, trusted = tuple(edge().hub.line), (edge().hub.root,)
    again = root(own_key=key("made again")).certificate
    yield Broken("two roots of a name, the right one first", line[:-1], (*trusted, again), None)
    yield Broken("a root of the name, the other one sent", line, (again,), "root-same-name-different-key")
    yield Broken("a bundle with everything twice", line[:-1], trusted * 4, None)
    yield Broken("a bundle with the intermediate before its root", line[:-1], (line[3], *trusted), None)
    rolled = ca("dev", ca("dev", edge().intermediate, 1, own_key=key("dev 1")), 0, own_key=key("dev 2"))
    yield Broken("a CA that rolled its key over", tuple(server(rolled).line), trusted, None)
    named = server(ca("iotedge workload ca", ca(HOST, edge().intermediate, 1), 0))
    found = ("common-name-equals-device-ca",)
    yield Broken("a device CA of the host's name", tuple(named.line), trusted, None, found)
    yield Broken("the same, and a CA not sent", tuple(named.line[:3]), trusted, "intermediate-missing", found)
    others = ca("iotgateway.ca", edge().intermediate, 1, own_key=key("another device"))
    others = ca("iotedge workload ca", others, 0, own_key=key("another workload"))
    yield Broken("another gateway's CAs are sent", (line[0], *others.line[:-1]), trusted, "stale-workload-ca")


def _without_key_identifiers() -> Iterator[Broken]:
    """Where names alone lead to the issuer, another CA of the name is likelier than a damaged signature"""
    one, two = (root(own_key=key(f"bare {number}"), **_BARE) for number in (1, 2))
    hub: Party = server(ca("c1", one, **_BARE), **_BARE)
    told = ("authority-key-id-missing",)
    sent = tuple(hub.line[:-1])
    wrong, right = two.certificate, one.certificate
    yield Broken("no key identifiers", sent, (right,), None, told)
    yield Broken("no key identifiers, another root of the name", sent, (wrong,), "root-same-name-different-key", told)
    yield Broken("no key identifiers, both roots", sent, (wrong, right), "root-same-name-different-key", told)
    earlier = ca("iotedge workload ca", edge().device_ca, 0, own_key=key("earlier workload"))
    stale = (server(earlier, aki=False).certificate, *edge().workload_ca.line)
    yield Broken("no key identifiers, a stale workload CA", stale, (edge().hub.root,), "stale-workload-ca", told)
    far = (server(earlier, "other.local", aki=False).certificate, *edge().workload_ca.line)
    yield Broken("the same, for another name", far, (edge().hub.root,), "hostname-mismatch", ("stale-workload-ca",))


def _written_otherwise() -> Iterator[Broken]:
    """The same thing in other letters"""
    trusted = (edge().hub.root,)
    workload = edge().workload_ca
    plain = x509.NameAttribute(NameOID.COMMON_NAME, "iotedge workload ca", _type=_ASN1Type.PrintableString)
    hub = server(workload, issuer_name=x509.Name([plain]))
    yield Broken("the issuer's name of another string type", tuple(hub.line), trusted, None, ("issuer-name-mismatch",))
    hub = server(workload, "2001:db8::7")
    yield Broken("an address of version 6, long", tuple(hub.line), trusted, None, host="2001:DB8:0:0:0:0:0:7")
    long = f"{'a' * 40}.{'b' * 40}.example"
    hub = server(workload, long, subject=x509.Name([]))
    yield Broken("a name of more than 64 letters", tuple(hub.line), trusted, None, host=long)
    hub = server(workload, "*.plant.example", subject="w")
    yield Broken("a wildcard and the bare name", tuple(hub.line), trusted, "hostname-mismatch", host="plant.example")
    hub = server(workload, "IoTEdgeGW.Local", not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    found = ("hostname-case-mismatch",)
    yield Broken("other letters, and it has ended", tuple(hub.line), trusted, "certificate-expired", found)
    hub = server(workload, names=san("xn--bcher-kva.example"))
    yield Broken("an international name", tuple(hub.line), trusted, None, host="xn--bcher-kva.example")
    mixed = server(
        ca("Ed CA", ca("384 CA", root("RSA R", key_kind="rsa-2048"), key_kind="ec-p384"), key_kind="ed25519")
    )
    yield Broken("RSA, P-384, Ed25519 and P-256 in one chain", tuple(mixed.line), (mixed.root,), None)


def _two_clocks() -> Iterator[Broken]:
    """This clock and the server's, by the Date of an HTTP answer"""
    line, trusted = tuple(edge().hub.line), (edge().hub.root,)
    ended, past = NOW + 90 * DAY, {"peer_time": NOW - 9 * DAY}
    yield Broken(
        "the server's clock is before what it shows", line, trusted, "certificate-expired", (), now=ended, special=past
    )
    either = {"peer_time": NOW}
    yield Broken(
        "a chain that has ended, or a clock that is ahead", line, trusted, "clock-wrong", (), now=ended, special=either
    )
