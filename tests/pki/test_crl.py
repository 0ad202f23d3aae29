"""Revocation lists as they are issued: what they say, to `cryptography` and to OpenSSL, and what is refused."""

import itertools
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import RuleViolation, UsageError
from leafward.pki.bulk import BulkIssuer
from leafward.pki.chain import Chain
from leafward.pki.crl import REASONS, Line, issue_crl, parse_reason
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import KEY_TYPES
from leafward.pki.pointers import Pointers
from leafward.pki.profiles import profile
from leafward.pki.signed_object import algorithm
from leafward.pki.verify import verify
from tests.pki.chain_forge import ca, root, usage
from tests.pki.conftest import make_key

WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
HERE, ELSEWHERE = "http://pki.example/crl/aa/1.crl", "http://pki.example/crl/aa/2.crl"


def issued(issuer: Issuer, lines: list[Line], now: datetime, **more: Any) -> x509.CertificateRevocationList:
    made = issue_crl(issuer, lines, **{"number": 1, "now": now, "lifetime": WEEK, **more})
    return x509.load_der_x509_crl(made.der)


def test_what_a_list_says(gateway) -> None:
    """A complete list: issuer, times, AKI, number, each line with its reason; no extension is critical."""
    issuer, now = gateway.intermediates[0], gateway.now
    lines = [Line(number + 1, now - HOUR, reason) for number, reason in enumerate(REASONS)]
    crl = issued(issuer, lines, now, number=300)
    assert crl.issuer.public_bytes() == issuer.chain.leaf.subject.public_bytes()
    assert (crl.last_update_utc, crl.next_update_utc) == (now, now + WEEK)
    assert crl.is_signature_valid(issuer.chain.leaf.public_key())
    ski = issuer.chain.leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    found = {one.oid: (one.value, one.critical) for one in crl.extensions}
    assert found == {
        x509.AuthorityKeyIdentifier.oid: (x509.AuthorityKeyIdentifier(ski.digest, None, None), False),
        x509.CRLNumber.oid: (x509.CRLNumber(300), False),
    }
    for line, entry in zip(lines, crl, strict=True):
        assert (entry.serial_number, entry.revocation_date_utc) == (line.serial, line.revoked)
        reasons = [one.value.reason.value for one in entry.extensions]
        assert reasons == ([] if line.reason == "unspecified" else [line.reason])


def test_an_empty_list_has_no_lines_at_all(gateway) -> None:
    """RFC 5280 5.1.2.6: revokedCertificates is absent, not empty."""
    crl = issued(gateway.root, [], gateway.now)
    assert len(crl) == 0
    assert b"\x30\x00" not in crl.tbs_certlist_bytes


def test_a_part_names_its_address_and_that_is_critical(gateway) -> None:
    scope = issued(gateway.root, [], gateway.now, distribution_point=HERE).extensions.get_extension_for_class(
        x509.IssuingDistributionPoint
    )
    assert scope.critical
    assert scope.value.full_name == [x509.UniformResourceIdentifier(HERE)]
    limits = (scope.value.only_contains_ca_certs, scope.value.only_contains_user_certs, scope.value.indirect_crl)
    assert not any(limits)


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "ed25519", "ml-dsa-44"])
def test_every_kind_of_key(hierarchy, key_type: str) -> None:
    root = hierarchy.root(hierarchy.key(key_type, "crl"), allow_rsa_2048_after_2030=True)
    crl = issued(root, [Line(7, hierarchy.now, "superseded")], hierarchy.now)
    assert crl.is_signature_valid(root.chain.leaf.public_key())
    assert crl.signature_algorithm_oid == root.chain.leaf.signature_algorithm_oid


def test_it_ends_with_its_issuer(hierarchy) -> None:
    root = hierarchy.root(lifetime=timedelta(days=3))
    made = issue_crl(root, [], number=1, now=hierarchy.now, lifetime=WEEK)
    assert made.next_update == root.chain.leaf.not_valid_after_utc


def test_from_2050_on_times_are_generalized(hierarchy) -> None:
    now = datetime(2049, 12, 30, tzinfo=UTC)
    root = hierarchy.root(now=now)
    crl = issued(root, [Line(1, now + WEEK, "superseded")], now)
    assert crl.next_update_utc == now + WEEK
    assert crl[0].revocation_date_utc == now + WEEK
    assert crl.tbs_certlist_bytes.count(b"20500106") == 2


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, (1 << 159) - 1),
            st.integers(0, 100 * 365 * 86400),
            st.sampled_from(sorted(REASONS)),
        ),
        max_size=20,
        unique_by=lambda one: one[0],
    ),
    st.integers(1, (1 << 159) - 1),
)
def test_any_lines_read_back_as_they_were(gateway, drawn: list[tuple[int, int, str]], number: int) -> None:
    lines = [Line(serial, datetime.fromtimestamp(at, UTC), reason) for serial, at, reason in drawn]
    crl = issued(gateway.root, lines, gateway.now, number=number)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == number
    assert [(one.serial_number, one.revocation_date_utc) for one in crl] == [(one.serial, one.revoked) for one in lines]
    for line in lines:
        assert crl.get_revoked_certificate_by_serial_number(line.serial) is not None


def test_refused(gateway, hierarchy) -> None:
    """A number that is none; an issuer that has ended, or not begun: **refused**, and nothing is signed"""
    for number in (0, -1, 1 << 159):
        with pytest.raises(ValueError, match="number"):
            issue_crl(gateway.root, [], number=number, now=gateway.now, lifetime=WEEK)
    root = hierarchy.root(lifetime=timedelta(days=3))
    for now, code in ((WEEK, "certificate-expired"), (-WEEK, "certificate-not-yet-valid")):
        with pytest.raises(RuleViolation) as refused:
            issue_crl(root, [], number=1, now=hierarchy.now + now, lifetime=WEEK)
        assert refused.value.code == code


def test_a_key_that_signs_garbage_is_found_out(gateway) -> None:
    issuer = Issuer(gateway.root.chain, gateway.root.key)
    issuer._key = make_key()  # what a broken token does
    with pytest.raises(RuleViolation) as refused:
        issue_crl(issuer, [], number=1, now=gateway.now, lifetime=WEEK)
    assert refused.value.code == "signature-invalid"


def test_reasons_in_any_case() -> None:
    assert parse_reason("KeyCompromise") == "keyCompromise"
    for wrong in ("removeFromCRL", "stolen", ""):
        with pytest.raises(UsageError) as refused:
            parse_reason(wrong)
        assert "keyCompromise" in (refused.value.hint or "")


# ---- what verifiers make of it: root -> intermediate -> leaf, and the leaf names HERE


def leaf_of(issuer: Issuer, gateway, address: str | None = HERE) -> Chain:
    return gateway.issue("device_identity", issuer=issuer, pointers=Pointers(crl=address))


def ours(chain: Chain, crls: list[x509.CertificateRevocationList], at: datetime) -> str | None:
    return verify(chain, [chain.top], now=at, purpose="client", crls=crls).rule


def openssl(chain: Chain, crls: list[x509.CertificateRevocationList], folder: Path, at: datetime) -> str:
    """The error that `openssl verify -crl_check` gives; "OK" where none."""
    files = {"leaf": chain.certificates[:1], "between": chain.certificates[1:-1], "root": chain.certificates[-1:]}
    for name, certificates in files.items():
        (folder / name).write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    (folder / "crls").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in crls))
    command = ["openssl", "verify", "-x509_strict", "-crl_check", "-attime", str(int(at.timestamp()))]
    paths = {"-CAfile": "root", "-untrusted": "between", "-CRLfile": "crls"}
    options = [*itertools.chain(*((option, str(folder / name)) for option, name in paths.items()))]
    done = subprocess.run([*command, *options, str(folder / "leaf")], capture_output=True, text=True, check=False)
    return "OK" if done.returncode == 0 else done.stderr


CASES = {
    # name: (pointers of the leaf, [(revoked?, address of the list)], our rule, OpenSSL's words)
    "complete list, not in it": (HERE, [(False, None)], None, "OK"),
    "complete list, in it": (HERE, [(True, None)], "certificate-revoked", "certificate revoked"),
    "its part, not in it": (HERE, [(False, HERE)], None, "OK"),
    "its part, in it": (HERE, [(True, HERE)], "certificate-revoked", "certificate revoked"),
    "another part": (HERE, [(False, ELSEWHERE)], "crl-unusable", "different CRL scope"),
    "another part and its own": (HERE, [(False, ELSEWHERE), (True, HERE)], "certificate-revoked", "revoked"),
    "it names no part": (None, [(False, HERE)], "crl-unusable", "different CRL scope"),
    "it names no part, complete list": (None, [(True, None)], "certificate-revoked", "certificate revoked"),
}


@pytest.mark.parametrize("case", CASES)
def test_verifiers_agree(gateway, tmp_path: Path, case: str) -> None:
    address, lists, rule, words = CASES[case]
    issuer, now = gateway.intermediates[0], gateway.now
    chain = leaf_of(issuer, gateway, address)
    line = Line(chain.leaf.serial_number, now, "keyCompromise")
    crls = [issued(issuer, [line] if revoked else [], now, distribution_point=part) for revoked, part in lists]
    assert ours(chain, crls, now + HOUR) == rule
    assert words in openssl(chain, crls, tmp_path, now + HOUR)


def test_after_its_end_a_list_is_no_answer(gateway, tmp_path: Path) -> None:
    issuer, now = gateway.intermediates[0], gateway.now
    chain = leaf_of(issuer, gateway)
    crls = [issued(issuer, [], now, distribution_point=HERE)]
    assert ours(chain, crls, now + WEEK + HOUR) == "crl-expired"
    assert "CRL has expired" in openssl(chain, crls, tmp_path, now + WEEK + HOUR)


def test_the_list_of_another_key_of_that_name_is_not_asked(hierarchy, gateway) -> None:
    """After a rollover two roots have one name; each has its own list, and both may be given at once."""
    old, new = hierarchy.root(), hierarchy.root()
    crls = [issued(one, [], hierarchy.now) for one in (old, new)]
    for one in (old, new):
        chain = gateway.issue("device_identity", issuer=one)
        assert ours(chain, crls, hierarchy.now + HOUR) is None
        assert ours(chain, crls[::-1], hierarchy.now + HOUR) is None


# ---- pointers in certificates


def test_pointers_stand_in_certificates_and_not_in_short_lived_ones(gateway) -> None:
    """RFC 9608 section 4: noRevAvail and a place where revocation is told exclude one another."""
    pointers = Pointers(HERE, "http://pki.example/ocsp")
    for kind, there in (("device_identity", True), ("leaf_device", True), ("verification", False)):
        leaf = gateway.issue(kind, pointers=pointers).leaf
        found = {one.oid: one for one in leaf.extensions}
        assert (x509.CRLDistributionPoints.oid in found) is there, kind
        assert (x509.AuthorityInformationAccess.oid in found) is there, kind


def test_a_list_is_signed_by_whoever_may(gateway) -> None:
    """A CA whose keyUsage has no cRLSign: **key-usage-missing-crl-sign**"""
    top = root()
    party = ca("No lists", top, key_usage=usage("key_cert_sign"))
    issuer = Issuer(Chain.of(party.certificate, top.certificate), party.key)
    with pytest.raises(RuleViolation) as refused:
        issue_crl(issuer, [], number=1, now=gateway.now, lifetime=WEEK)
    assert refused.value.code == "key-usage-missing-crl-sign"


def test_the_algorithm_of_every_kind_of_key_is_known() -> None:
    for key_type in KEY_TYPES.values():
        assert algorithm(key_type)[0] == 0x30


def test_the_bulk_path_points_where_the_ordinary_one_does(gateway) -> None:
    issuer, kind, pointers = (
        gateway.intermediates[0],
        profile("device_identity"),
        Pointers(HERE, "http://pki.example/o"),
    )
    request = gateway.request("device_identity", pointers=pointers)
    serial = 1 << 150
    prepared = issuer.prepare(kind, request, now=gateway.now, serial=serial)
    bulk = BulkIssuer(issuer, kind, now=gateway.now, pointers=pointers)
    made = x509.load_der_x509_certificate(bulk.issue(request, request.common_name, serial))
    assert made.tbs_certificate_bytes == prepared.rehearsal.tbs_certificate_bytes
