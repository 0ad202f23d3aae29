"""pkilint on every certificate of our chains, alone and with its issuer, on our CRLs and OCSP answers: no finding."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from leafward.pki.crl import REASONS, Line, issue_crl
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import KEY_TYPES
from leafward.pki.ocsp import Responder, Revocation, read_question, sign_answer
from tests.oracles.limits import EXCUSED
from tests.pki.chain_forge import ca, edge

linting = pytest.importorskip("tests.oracles.linting", reason="pkilint is not installed (package pkilint)")
DAY = timedelta(days=1)


def test_every_certificate(docket):
    """Each kind, key type and depth, with all that a profile may hold"""
    found = {}
    for case in docket:
        if case.good and "no fault" not in case.traits:
            excused = {code for kind, code in EXCUSED if kind in case.traits}
            for name, codes in (
                ("alone", linting.lint_certificate(case.chain.leaf)),
                ("in a pair", _with_issuer(case)),
            ):
                found[f"{case.label}, {name}"] = codes - excused
    assert {label: codes for label, codes in found.items() if codes} == {}
    assert len(found) > 500


def _with_issuer(case) -> set[str]:
    subject, issuer = (*case.chain.certificates[:2], case.chain.top)[:2]
    return linting.lint_pair(issuer, subject)


def test_revocation_lists(docket):
    """Whole and in parts, with nothing in it, and with every reason"""
    for root in _roots(docket):
        now = root.now
        lines = [Line(1 << 100 | number, now - DAY, reason) for number, reason in enumerate(REASONS)]
        for entries in ([], lines):
            for point in (None, "http://crl.maker.local/1/7.crl"):
                made = issue_crl(
                    Issuer(root.chain, root.key), entries, number=7, now=now, lifetime=7 * DAY, distribution_point=point
                )
                assert linting.lint_crl(made.der) == set(), root.label


def test_revocation_answers(docket):
    """Good, and revoked for every reason, by the responder of each root"""
    for case in docket:
        if "ocsp_responder" in case.traits:
            leaf, issuer = case.chain.certificates[:2]
            asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()
            question = read_question(asked.public_bytes(Encoding.DER))
            responder = Responder(case.chain, case.key)
            for reason in (None, *REASONS):
                revocation = Revocation(case.now - DAY, reason) if reason else None
                answer = sign_answer(responder, question, revocation, now=case.now, lifetime=DAY)
                assert linting.lint_ocsp(answer.der) == set(), f"{case.label}, {reason}"


def _roots(docket):
    """A root of each key type."""
    found = {key: case for case in docket if "root_ca" in case.traits for key in case.traits & KEY_TYPES.keys()}
    assert found.keys() == KEY_TYPES.keys()
    return found.values()


def test_it_would_find_something():
    """A CA without critical basicConstraints, and one that names another key as its issuer's: **found**"""
    flawed = ca("flawed", edge().root, bc_critical=False, aki=b"another key").certificate
    assert linting.lint_certificate(flawed)
    assert linting.lint_pair(edge().root.certificate, flawed)
