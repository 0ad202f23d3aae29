"""Roots, intermediates of any depth, several hierarchies side by side, cross-signing, rollover; openssl judges."""

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from leafward.authority.authorities import Authorities
from leafward.authority.cross_signing import chain_through, cross_sign
from leafward.authority.issuance import Issuance
from leafward.authority.lifetimes import refuse_beyond
from leafward.authority.rollover import roll_over
from leafward.errors import AlreadyExists, KeyUnavailable, LeafwardError, NotFound, RuleViolation
from leafward.keys.key_store import KeyReference, open_key
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.constraints import policies_of
from leafward.pki.names import parse_host
from leafward.pki.validity import FOREVER
from leafward.pki.verify import verify
from tests.authority.hierarchy_tools import P256, device_ca, intermediate, now, openssl_verify, root


@pytest.fixture
def issuance(tmp_path: Path) -> Iterator[Issuance]:
    with Issuance(tmp_path / "maker") as made:
        yield made


# ---- choosing


def test_a_contractor_under_a_department_under_the_maker(issuance: Issuance, tmp_path: Path) -> None:
    """root -> department (pathlen 3) -> contractor (pathlen 2) -> device CA (1): **valid**"""
    top = root(issuance)
    department = intermediate(issuance, "Department", top, below=1)
    contractor = intermediate(issuance, "Contractor", department)
    chain = device_ca(issuance, "gw.ca", contractor, tmp_path / "gw")
    lengths = [one.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length for one in chain]
    assert lengths == [1, 2, 3, None]
    assert openssl_verify(tmp_path, top.chain.leaf, chain) == "OK"


def test_the_default_issuer_is_the_last_of_the_only_hierarchy(issuance: Issuance) -> None:
    top = root(issuance)
    assert issuance.authorities.default_issuer().name == "maker-root"
    intermediate(issuance, "Factory", top)
    assert issuance.authorities.default_issuer().name == "factory"


def test_with_two_hierarchies_the_issuer_must_be_named(issuance: Issuance) -> None:
    """The deepest CA of all is no choice: it may belong to another maker."""
    intermediate(issuance, "Factory", root(issuance))
    root(issuance, "Other Root")
    with pytest.raises(NotFound) as refused:
        issuance.authorities.default_issuer()
    for name in ("maker-root", "other-root", "factory"):
        assert name in str(refused.value)
    assert "--issuer" in (refused.value.hint or "")


def test_a_ca_is_found_by_name_common_name_and_fingerprint(issuance: Issuance) -> None:
    top = root(issuance)
    digest = fingerprint(top.chain.leaf)
    for wanted in ("maker-root", "Maker Root", digest, digest[:8], digest[:12].upper()):
        assert issuance.authorities.get(wanted).name == "maker-root"
    for wanted in ("maker", digest[:7], "f" * 64):
        with pytest.raises(NotFound, match="none matches"):
            issuance.authorities.get(wanted)


def test_a_common_name_of_two_lists_both(issuance: Issuance) -> None:
    old = root(issuance)
    new = roll_over(issuance, old, P256, now=now()).root
    with pytest.raises(NotFound) as refused:
        issuance.authorities.get("Maker Root")
    for one in (old, new):
        assert f"{one.name} ({fingerprint(one.chain.leaf)[:16]})" in str(refused.value)


def test_no_room_for_an_intermediate_below(issuance: Issuance) -> None:
    """root -> Factory (pathlen 2) -> Line (pathlen 2 does not fit): refused, and nothing is left."""
    factory = intermediate(issuance, "Factory", root(issuance))
    with pytest.raises(RuleViolation) as refused:
        intermediate(issuance, "Line", factory)
    assert refused.value.code == "path-length-exceeded"
    assert "--intermediates-below" in (refused.value.hint or "")
    assert sorted(path.name for path in issuance.authorities.folder.iterdir()) == ["factory", "maker-root"]


# ---- what lies on disk


def test_a_key_elsewhere_is_kept_by_its_reference(issuance: Issuance, tmp_path: Path) -> None:
    at = KeyReference("file", str(tmp_path / "elsewhere" / "root.pem"))
    made = issuance.root("Maker Root", P256, now=now(), at=at)
    folder = issuance.authorities.folder / "maker-root"
    assert sorted(path.name for path in folder.iterdir()) == ["certificate.pem", "key.ref"]
    assert stat.S_IMODE((folder / "key.ref").stat().st_mode) == 0o600
    assert made.key == at
    assert issuance.authorities.get("maker-root").issuer().chain == made.chain


def test_a_run_killed_after_the_record_is_finished_by_the_next(issuance: Issuance, monkeypatch) -> None:
    """Killed between the ledger and the rename: the next run puts the same certificate in place."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Authorities, "_put_in_place", die)
        with pytest.raises(KeyboardInterrupt):
            root(issuance)
    assert list(issuance.authorities) == []
    made = root(issuance)
    assert issuance.has_recorded(made.chain)
    made.issuer()
    with pytest.raises(AlreadyExists):
        root(issuance)


def test_a_refused_ca_leaves_no_key(issuance: Issuance, tmp_path: Path) -> None:
    at = KeyReference("file", str(tmp_path / "elsewhere.pem"))
    factory = intermediate(issuance, "Factory", root(issuance))
    with pytest.raises(RuleViolation):
        issuance.intermediate("Line", P256, now=now(), issuer=factory, at=at)
    with pytest.raises(NotFound):
        open_key(at)


# ---- cross-signing


def test_a_cross_signed_root_serves_those_who_trust_the_other_one(issuance: Issuance, tmp_path: Path) -> None:
    """Other Root -> Maker Root (cross-signed) -> Factory -> device CA: **valid** under either root"""
    maker, other = root(issuance), root(issuance, "Other Root")
    chain = device_ca(issuance, "gw.ca", intermediate(issuance, "Factory", maker), tmp_path / "gw")
    cross = cross_sign(issuance, maker, other, now=now())
    assert cross.leaf.subject == maker.chain.leaf.subject
    assert cross.leaf.public_key() == maker.chain.leaf.public_key()
    assert cross.leaf.not_valid_after_utc <= maker.chain.leaf.not_valid_after_utc
    assert issuance.has_recorded(cross)

    through = chain_through(issuance.authorities, chain, issuance.authorities.get("other-root"))
    assert through.certificates == (*chain.certificates[:2], cross.leaf, other.chain.leaf)
    for anchor in (maker, other):
        assert openssl_verify(tmp_path, anchor.chain.leaf, through) == "OK"
    assert "error 19" in openssl_verify(tmp_path, other.chain.leaf, chain)


def test_our_own_verifier_finds_the_way_through_a_cross_signed_ca(issuance: Issuance, tmp_path: Path) -> None:
    maker, other = root(issuance), root(issuance, "Other Root")
    cross = cross_sign(issuance, maker, other, now=now())
    leaf = device_ca(issuance, "gw.ca", maker, tmp_path / "gw")
    for anchor in (maker.chain.leaf, other.chain.leaf):
        hub = _hub_below(leaf, tmp_path)
        verdict = verify(hub, [anchor], now=now(), name=parse_host("gw.example"), intermediates=[cross.leaf])
        assert verdict.valid, verdict.reason
        assert verdict.path is not None
        assert verdict.path[-1] == anchor


def test_an_intermediate_can_be_cross_signed_with_its_fence(issuance: Issuance) -> None:
    """The fence and the policies go with the name: no way round leads past them."""
    from leafward.authority.elsewhere import Limits
    from leafward.pki.constraints import parse_policy

    maker, other = root(issuance), root(issuance, "Other Root")
    limits = Limits(permit_dns=("maker.example",), policies=(parse_policy("1.3.6.1.4.1.99999.7"),))
    factory = issuance.intermediate("Factory", P256, now=now(), issuer=maker, limits=limits)
    cross = cross_sign(issuance, factory, other, now=now()).leaf
    for kind in (x509.NameConstraints, x509.BasicConstraints, x509.SubjectKeyIdentifier, x509.CertificatePolicies):
        wanted = factory.chain.leaf.extensions.get_extension_for_class(kind)
        assert cross.extensions.get_extension_for_class(kind) == wanted
    assert [one.dotted_string for one in policies_of(cross)] == ["1.3.6.1.4.1.99999.7"]


def test_a_root_is_not_cross_signed_by_what_hangs_below_it(issuance: Issuance) -> None:
    maker = root(issuance)
    factory = intermediate(issuance, "Factory", maker)
    for by in (factory, maker):
        with pytest.raises(RuleViolation) as refused:
            cross_sign(issuance, maker, by, now=now())
        assert refused.value.code == "cross-signed-in-a-circle"
    assert issuance.authorities.get("maker-root").further == ()


def test_two_others_may_cross_sign_the_same_root(issuance: Issuance) -> None:
    maker = root(issuance)
    for name in ("Second Root", "Third Root"):
        cross_sign(issuance, maker, root(issuance, name), now=now())
    assert len(issuance.authorities.get("maker-root").further) == 2


# ---- rollover


def test_both_roots_verify_what_either_signed(issuance: Issuance, tmp_path: Path) -> None:
    """old root -> Factory -> gw1 and new root -> Factory 2 -> gw2: **valid** under the old and under the new root"""
    old = root(issuance)
    first = device_ca(issuance, "gw1.ca", intermediate(issuance, "Factory", old), tmp_path / "gw1")
    made = roll_over(issuance, old, P256, now=now())
    new = made.root
    second = device_ca(issuance, "gw2.ca", intermediate(issuance, "Factory 2", new), tmp_path / "gw2")
    assert new.chain.leaf.subject == old.chain.leaf.subject
    assert new.chain.leaf.public_key() != old.chain.leaf.public_key()

    assert openssl_verify(tmp_path, old.chain.leaf, first) == "OK"
    assert openssl_verify(tmp_path, new.chain.leaf, second) == "OK"
    through_new = [*first.certificates[:-1], made.old_with_new.leaf, new.chain.leaf]
    through_old = [*second.certificates[:-1], made.new_with_old.leaf, old.chain.leaf]
    for anchor in (old.chain.leaf, new.chain.leaf):
        assert openssl_verify(tmp_path, anchor, through_new) == "OK"
        assert openssl_verify(tmp_path, anchor, through_old) == "OK"
    assert "error" in openssl_verify(tmp_path, new.chain.leaf, first)


def test_the_three_certificates_of_rfc_7030(issuance: Issuance) -> None:
    old = root(issuance)
    made = roll_over(issuance, old, P256, now=now())
    old_with_old, old_with_new, new_with_old = issuance.authorities.rollover_certificates(made.root)
    new = made.root.chain.leaf
    assert old_with_old == old.chain
    assert old_with_new.leaf.public_key() == old.chain.leaf.public_key()
    assert new_with_old.leaf.public_key() == new.public_key()
    old_with_new.leaf.verify_directly_issued_by(new)
    new_with_old.leaf.verify_directly_issued_by(old.chain.leaf)
    assert issuance.authorities.rollover_certificates(old) == ()
    for chain in (made.root.chain, old_with_new, new_with_old):
        assert issuance.has_recorded(chain)


def test_a_root_is_rolled_over_once(issuance: Issuance) -> None:
    old = root(issuance)
    new = roll_over(issuance, old, P256, now=now()).root
    with pytest.raises(AlreadyExists, match="maker-root-2"):
        roll_over(issuance, old, P256, now=now())
    third = roll_over(issuance, new, P256, now=now()).root
    assert third.name == "maker-root-3"
    assert len(list(issuance.authorities)) == 3


def test_a_rollover_killed_after_the_record_is_finished_by_the_next(issuance: Issuance, monkeypatch) -> None:
    old = root(issuance)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Authorities, "_put_in_place", die)
        with pytest.raises(KeyboardInterrupt):
            roll_over(issuance, old, P256, now=now())
    made = roll_over(issuance, old, P256, now=now())
    assert len(issuance.authorities.rollover_certificates(made.root)) == 3
    assert issuance.authorities.get("maker-root").further == (made.old_with_new,)


def test_only_a_root_is_rolled_over(issuance: Issuance) -> None:
    factory = intermediate(issuance, "Factory", root(issuance))
    with pytest.raises(RuleViolation) as refused:
        roll_over(issuance, factory, P256, now=now())
    assert refused.value.code == "not-a-root"


# ---- lifetimes


def test_a_lifetime_asked_for_beyond_the_issuers_is_refused_and_a_default_is_capped(issuance: Issuance) -> None:
    top = issuance.root("Maker Root", P256, now=now(), lifetime=timedelta(days=100))
    assert intermediate(issuance, "Factory", top).chain.leaf.not_valid_after_utc == top.chain.leaf.not_valid_after_utc
    refuse_beyond(top, None, now=now())
    refuse_beyond(top, timedelta(days=99), now=now())
    for lifetime in (timedelta(days=101), FOREVER):
        with pytest.raises(RuleViolation) as refused:
            refuse_beyond(top, lifetime, now=now())
        assert refused.value.code == "outlives-issuer"
        assert "99 days" in (refused.value.hint or "")


def test_a_root_without_an_end_allows_any_lifetime(issuance: Issuance) -> None:
    top = issuance.root("Maker Root", P256, now=now(), lifetime=FOREVER)
    refuse_beyond(top, FOREVER, now=now())


def test_a_ca_whose_key_is_elsewhere_signs_nothing(issuance: Issuance, tmp_path: Path) -> None:
    with Issuance(tmp_path / "other") as other:
        foreign = root(other, "Corporate Root")
    issuance.authorities.add_known("corporate-root", foreign.chain, None)
    with pytest.raises(KeyUnavailable, match="its key is elsewhere"):
        issuance.authorities.get("corporate-root").issuer()
    with pytest.raises(LeafwardError):
        issuance.authorities.default_issuer()


def _hub_below(device: Chain, folder: Path) -> Chain:
    """device CA -> workload CA -> hub, as the manager makes them."""
    from leafward.keys.serial import new_serial
    from leafward.pki.issuer import Issuer
    from leafward.pki.profiles import profile
    from leafward.pki.request import CertificateRequest
    from tests.authority.hierarchy_tools import new_key

    issuer = Issuer(device, open_key(KeyReference("file", str(folder / "gw" / "key.pem"))))
    key = new_key()
    request = CertificateRequest(public_key=key.public_key())
    workload = issuer.prepare(profile("workload_ca"), request, now=now(), serial=new_serial()).sign()
    hub = CertificateRequest(public_key=new_key().public_key(), hosts=(parse_host("gw.example"),))
    return Issuer(workload, key).prepare(profile("hub_server"), hub, now=now(), serial=new_serial()).sign()
