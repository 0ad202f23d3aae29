"""Path validation: the verdict drawn in each docstring, and never an answer without a reason."""

import time
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.pki.chain import Chain
from leafward.pki.library_policy import MEANINGS, code_of
from leafward.pki.names import parse_host
from leafward.pki.rule import Context
from leafward.pki.rules import RULES, check
from leafward.pki.verify import MAX_ANCHORS, MAX_CHAIN, Verdict, verify
from tests.pki.chain_faults import FAULTS, Fault, crl
from tests.pki.chain_forge import (
    CLIENT,
    HOST,
    NOW,
    OTHER_USE,
    Party,
    ca,
    client,
    edge,
    issue,
    key,
    name,
    root,
    san,
    server,
)

GATEWAY = parse_host(HOST)
# Faults that no verifier of a TLS peer is asked about.
NOT_ASKED = {"path-length-exceeded/room", "key-mismatch"}
# Warnings of ours for which the library, or we, refuse all the same: nothing that one judge refuses is accepted.
REFUSED_THOUGH_A_WARNING = {
    "issuer-name-mismatch/case",
    "not-a-ca/root",
    "key-usage-missing-cert-sign/absent",
    "basic-constraints-not-critical",
    "path-length-exceeded/self-issued",
    "end-entity-is-a-ca",
    "san-missing",
    "serial-invalid",
}


def ask(fault: Fault) -> Verdict:
    return verify(
        Chain(tuple(fault.chain)),
        fault.anchors,
        now=fault.now,
        name=parse_host(fault.host) if fault.host else None,
        purpose=fault.purpose,
        crls=fault.crls,
    )


def judge(leaf: Party, **special) -> Verdict:
    """The whole chain presented and its root trusted."""
    return verify(leaf.chain, [leaf.root], **{"now": NOW, "name": GATEWAY, **special})


@pytest.mark.parametrize("case", sorted(FAULTS.keys() - NOT_ASKED))
def test_a_fault_is_refused_by_its_code(case):
    """Every chain of `chain_faults`: **refused** with its code if an error, or the library refuses; else valid."""
    fault, code = FAULTS[case](), case.partition("/")[0]
    verdict = ask(fault)
    if fault.severity == "error" or case in REFUSED_THOUGH_A_WARNING:
        assert (verdict.valid, verdict.rule, verdict.path) == (False, code, None), verdict.reason
        assert "got" in verdict.reason
        assert "expected" in verdict.reason
    else:
        assert verdict.valid, verdict
        assert (verdict.rule, verdict.reason) == (None, None)


class TestAccepted:
    def test_five_levels(self):
        """root -> intermediate -> device CA -> workload CA -> hub: **valid**"""
        verdict = judge(edge().hub)
        assert verdict == Verdict(True, path=tuple(edge().hub.line))

    @pytest.mark.parametrize("levels", [0, 1, 4, 13])
    def test_any_depth(self, levels):
        """root -> n intermediates -> server, at most 16 in all: **valid**"""
        party = root()
        for number in range(levels):
            party = ca(f"Intermediate {number}", party)
        assert judge(server(party)).valid

    @pytest.mark.parametrize("kind", ["ec-p384", "rsa-2048", "rsa-3072"])
    def test_key_kinds(self, kind):
        """root -> CA -> server, each with a key of the kind: **valid**"""
        party = ca("CA", root(key_kind=kind), key_kind=kind)
        assert judge(server(party, key_kind=kind)).valid

    def test_without_the_root(self):
        verdict = verify(Chain(tuple(edge().hub.line[:-1])), [edge().root.certificate], now=NOW, name=GATEWAY)
        assert verdict.path == tuple(edge().hub.line)

    def test_intermediates_beside(self):
        """The leaf alone, its issuers handed over apart, in no order, with strangers among them: **valid**"""
        beside = [root("Stranger").certificate, *reversed(edge().workload_ca.line)]
        verdict = verify(Chain.of(edge().hub.certificate), [edge().root.certificate], now=NOW, intermediates=beside)
        assert verdict.path == tuple(edge().hub.line)

    def test_in_any_order(self):
        hub, *issuers = edge().hub.line
        assert verify(Chain.of(hub, *reversed(issuers)), [edge().root.certificate], now=NOW, name=GATEWAY).valid

    def test_among_many_anchors(self):
        """The root is one of 150: **valid**"""
        others = [root(f"Root {number}", own_key=key("shared")).certificate for number in range(150)]
        assert verify(edge().hub.chain, [*others, edge().root.certificate], now=NOW, name=GATEWAY).valid

    def test_an_intermediate_among_the_anchors_is_material(self):
        """anchors: root and intermediate; the intermediate is not presented: **valid**, up to the root"""
        anchors = [edge().intermediate.certificate, edge().root.certificate]
        verdict = verify(Chain(tuple(edge().hub.line[:3])), anchors, now=NOW, name=GATEWAY)
        assert verdict.path == tuple(edge().hub.line)

    def test_a_trusted_self_signed_server(self):
        """A server's own certificate among the anchors, as OpenSSL takes it: **valid**"""
        alone = server(None)
        assert judge(alone).path == (alone.certificate,)

    @pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
    def test_an_address(self, address):
        assert judge(server(edge().workload_ca, address), name=parse_host(address)).valid

    def test_a_wildcard(self):
        assert judge(server(edge().workload_ca, "*.plant.example"), name=parse_host("gw.plant.example")).valid

    @pytest.mark.parametrize("names", [None, san("pump-7"), san("URI:azureiot://hub/devices/d/modules/m")])
    def test_a_client(self, names):
        """A leaf device's certificate, with or without a SAN: **valid** for a client"""
        assert judge(client(edge().device_ca, names=names), purpose="client", name=None).valid

    def test_a_root_for_ever(self):
        """The root ends on 99991231235959Z: **valid**"""
        from leafward.pki.validity import NO_EXPIRY

        assert judge(server(root(not_after=NO_EXPIRY))).valid

    @pytest.mark.parametrize("offset", [timedelta(0), timedelta(seconds=0.9)])
    def test_the_last_second(self, offset):
        """At notAfter, to the second: **valid**; a second later: **refused**"""
        hub = server(edge().workload_ca, not_after=NOW)
        assert judge(hub, now=NOW + offset).valid
        assert judge(hub, now=NOW + timedelta(seconds=1)).rule == "certificate-expired"

    def test_a_name_is_not_asked_for(self):
        assert judge(edge().hub, name=None).valid


class TestCrossSigned:
    def test_an_expired_way_and_a_good_one(self):
        """Two certificates of the CA, under an expired root and a good one: **valid**, by the good one"""
        shared = key("shared CA")
        old_root = root("Old Root", not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=1))
        old = ca("CA", old_root, own_key=shared)
        new = ca("CA", root("New Root"), own_key=shared)
        hub = server(old)
        anchors = [old.root, new.root]
        verdict = verify(Chain.of(hub.certificate, old.certificate, new.certificate), anchors, now=NOW, name=GATEWAY)
        assert verdict.path == (hub.certificate, new.certificate, new.root)

    def test_in_a_circle(self):
        """A signs B, B signs A, no root anywhere: **refused**, and soon"""
        one, two = key("A"), key("B")
        a_by_b = issue("A", Party(root("B", own_key=two).certificate, two, None), ca=True, own_key=one)
        b_by_a = issue("B", Party(root("A", own_key=one).certificate, one, None), ca=True, own_key=two)
        hub = server(Party(a_by_b.certificate, one, None))
        chain = Chain.of(hub.certificate, a_by_b.certificate, b_by_a.certificate)
        verdict = verify(chain, [edge().root.certificate], now=NOW, name=GATEWAY)
        assert not verdict.valid
        assert verdict.rule in ("root-not-trusted", "intermediate-missing")

    def test_a_hostile_mesh(self):
        """15 CAs that have each signed each other, 200 certificates, no way to the root: **refused** within seconds"""
        keys = {f"CA {number}": key(f"mesh {number}") for number in range(15)}
        selves = {label: root(label, own_key=own) for label, own in keys.items()}
        mesh = [
            issue(label, selves[other], ca=True, own_key=own).certificate
            for label, own in keys.items()
            for other in keys
            if other != label
        ]
        hub = server(selves["CA 0"])
        begun = time.monotonic()
        verdict = verify(
            Chain.of(hub.certificate), [edge().root.certificate], now=NOW, name=GATEWAY, intermediates=mesh
        )
        assert not verdict.valid
        assert verdict.rule
        assert time.monotonic() - begun < 10

    def test_many_of_one_name(self):
        """20 CAs of one name and different keys, the right one last: **valid**"""
        crowd = [root("CA", own_key=key(f"crowd {number}")).certificate for number in range(20)]
        right = ca("CA", edge().root, own_key=key("the right one"))
        beside = [*crowd, right.certificate]
        hub = server(right, aki=False)
        assert (
            verify(Chain.of(hub.certificate), [edge().root.certificate], now=NOW, intermediates=beside).rule
            == "authority-key-id-missing"
        )
        hub = server(right)
        assert verify(Chain.of(hub.certificate), [edge().root.certificate], now=NOW, intermediates=beside).valid


class TestRefused:
    def test_no_anchors(self):
        verdict = verify(edge().hub.chain, [], now=NOW)
        assert (verdict.valid, verdict.rule) == (False, "root-not-trusted")

    def test_too_long_a_chain(self):
        chain = Chain((edge().hub.certificate,) * (MAX_CHAIN + 1))
        assert verify(chain, [edge().root.certificate], now=NOW).rule == "chain-too-deep"

    def test_too_many_anchors(self):
        anchors = [edge().root.certificate] * (MAX_ANCHORS + 1)
        assert verify(edge().hub.chain, anchors, now=NOW).rule == "too-many-certificates"

    def test_a_time_without_a_zone(self):
        with pytest.raises(ValueError, match="zone"):
            verify(edge().hub.chain, [edge().root.certificate], now=NOW.replace(tzinfo=None))

    def test_a_client_certificate_for_a_server(self):
        verdict = judge(client(edge().device_ca, names=san(HOST)))
        assert verdict.rule == "eku-missing-server-auth"

    def test_any_purpose_is_none(self):
        """anyExtendedKeyUsage alone: **refused**, as OpenSSL does"""
        hub = server(edge().workload_ca, eku=[x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
        assert judge(hub).rule == "eku-missing-server-auth"

    def test_a_client_under_a_ca_for_servers(self):
        """device CA limited to code signing -> leaf for clients: **refused**"""
        device_ca = ca("gw.ca", edge().intermediate, eku=[OTHER_USE])
        assert judge(client(device_ca, eku=[CLIENT]), purpose="client", name=None).rule == "eku-not-nested"

    def test_a_server_without_a_name(self):
        """No SAN, and no name asked for: **refused**: nobody could call it"""
        assert judge(server(edge().workload_ca, names=None), name=None).rule == "san-missing"

    def test_ed25519_is_refused_for_want_of_support(self):
        top = root(key_kind="ed25519", own_key=key("ed", "ed25519"))
        verdict = judge(server(top))
        assert verdict.rule == "unsupported-algorithm"

    def test_an_empty_subject_needs_a_critical_san(self):
        """empty subject, critical SAN: **valid**"""
        hub = issue(name(None), edge().workload_ca, eku=[x509.ExtendedKeyUsageOID.SERVER_AUTH], names=san(HOST))
        assert judge(hub).valid


class TestRevocation:
    def test_a_list_without_it(self):
        """device CA's list is current and empty: **valid**"""
        assert judge(edge().hub, crls=[crl(edge().device_ca, days=30)]).valid

    def test_a_list_of_another_issuer(self):
        """A list of a CA that is not on the path says nothing: **valid**"""
        assert judge(edge().hub, crls=[crl(root("Stranger"), edge().hub.certificate.serial_number)]).valid

    def test_revoked_in_an_old_list(self):
        """Revoked is revoked, however old the list: **refused**"""
        old = crl(edge().workload_ca, edge().hub.certificate.serial_number, days=1)
        assert judge(edge().hub, crls=[old, crl(edge().workload_ca, days=30)]).rule == "certificate-revoked"

    def test_an_old_list_beside_a_new_one(self):
        """An expired list beside a current one: **valid**"""
        lists = [crl(edge().workload_ca, days=1, begun=20), crl(edge().workload_ca, days=30)]
        assert judge(edge().hub, crls=lists).valid
        assert judge(edge().hub, crls=lists[::-1]).valid
        assert judge(edge().hub, crls=lists[:1]).rule == "crl-expired"

    def test_a_list_from_the_future(self):
        """A list that is not valid yet: **refused**, a clock or a list is wrong"""
        early = NOW - timedelta(days=12)
        hub = server(ca("CA", root(not_before=early), not_before=early), not_before=early)
        assert judge(hub, now=NOW - timedelta(days=11), crls=[crl(hub.issuer, days=30)]).rule == "crl-unusable"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_refusal_has_a_reason(data):
    """Any certificates in any places, at any time: an answer, and where it is no, a rule and a reason."""
    crowd = _crowd()
    chain = data.draw(st.lists(st.sampled_from(crowd), min_size=1, max_size=8))
    anchors = data.draw(st.lists(st.sampled_from(crowd), max_size=4))
    beside = data.draw(st.lists(st.sampled_from(crowd), max_size=4))
    now = NOW + timedelta(days=data.draw(st.integers(-40, 40)))
    purpose = data.draw(st.sampled_from(["server", "client"]))
    host = data.draw(st.sampled_from([None, GATEWAY, parse_host("192.0.2.1")]))
    verdict = verify(Chain(tuple(chain)), anchors, now=now, name=host, purpose=purpose, intermediates=beside)
    if verdict.valid:
        assert verdict.path is not None
        assert verdict.path[-1] in anchors
        assert (verdict.reason, verdict.rule) == (None, None)
    else:
        assert verdict.reason
        assert verdict.rule
        assert verdict.path is None


def _crowd() -> list[x509.Certificate]:
    found = dict.fromkeys(edge().hub.line)
    for case in ("self-signed-server", "issuer-same-name-as-server", "stale-workload-ca", "extension-malformed"):
        found.update(dict.fromkeys(FAULTS[case]().chain))
    return list(found)


def test_every_code_of_the_library_is_known():
    """A refusal of the library gets a rule's code, or one of the two that only it gives."""
    codes = {
        code_of(message, "server") for message in ("anything", "validity dates between 1950 and 2049 must be UtcTime")
    }
    assert codes == {"refused-by-library", "time-encoding-invalid"}
    assert {code for _, code in MEANINGS} - {rule.code for rule in RULES} == {"time-encoding-invalid"}


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(st.integers(0, 4), st.integers(0, 2000), st.integers(1, 255), st.sampled_from(["server", "client"]))
def test_a_flipped_byte(which, where, mask, purpose):
    """Any byte of any certificate of a good chain flipped: an answer, and a yes only for what was signed."""
    line = list(edge().hub.line)
    der = bytearray(line[which].public_bytes(Encoding.DER))
    der[where % len(der)] ^= mask
    try:
        flipped = x509.load_der_x509_certificate(bytes(der))
    except (ValueError, x509.InvalidVersion):
        return
    signed, line[which] = line[which].tbs_certificate_bytes, flipped
    chain = Chain(tuple(line))
    verdict = verify(chain, [edge().root.certificate], now=NOW, name=GATEWAY, purpose=purpose)
    assert verdict.valid or (verdict.rule and verdict.reason)
    if verdict.valid and verdict.path and flipped in verdict.path:
        assert flipped.tbs_certificate_bytes == signed
    for finding in check(Context(chain=chain, anchors=(flipped, edge().root.certificate), now=NOW, host=GATEWAY)):
        assert finding.reason
