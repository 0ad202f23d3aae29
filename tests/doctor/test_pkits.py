"""NIST PKITS: 240 end-entities below CAs that are broken in every way of RFC 5280, judged as OpenSSL judges them.

The package `cryptography-vectors` has the certificates; without it the test is skipped. Revocation and policies are not
asked for: clients in their default mode do not. Each end-entity is sent with all CAs that its issuers' names lead to.
"""

import importlib.util
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from leafward.doctor.runner import diagnose
from tests.doctor.corpus import Broken
from tests.doctor.test_openssl import asked

FOUND = importlib.util.find_spec("cryptography_vectors")
pytestmark = [
    pytest.mark.skipif(FOUND is None, reason="cryptography-vectors is not installed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed (package openssl)"),
]
NOW = datetime(2020, 6, 1, tzinfo=UTC)
# Why we part ways with OpenSSL: none of them.
DIFFERENT: dict[str, str] = {}


def certificates() -> dict[str, x509.Certificate]:
    """All of the suite that decode, by their file names."""
    assert FOUND is not None
    assert FOUND.origin is not None
    folder = Path(FOUND.origin).parent / "x509" / "PKITS_data" / "certs"
    found = {}
    for path in sorted(folder.glob("*.crt")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                certificate = x509.load_der_x509_certificate(path.read_bytes())
                _ = certificate.serial_number, certificate.subject, certificate.issuer, certificate.extensions
            except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
                continue
        found[path.stem] = certificate
    return found


def test_pkits(tmp_path: Path) -> None:
    """Failed where OpenSSL refuses, and nowhere else."""
    everything = certificates()
    anchor = everything.pop("TrustAnchorRootCertificate")
    cas = tuple(one for name, one in everything.items() if not _is_end(name))
    ends = {name: one for name, one in everything.items() if _is_end(name)}
    questions = [
        Broken(name, (one,), (anchor,), None, host=None, now=NOW, more=_above(one, cas)) for name, one in ends.items()
    ]
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(asked, questions, [tmp_path / one.name for one in questions]))
    wrong = []
    for question, words in zip(questions, said, strict=True):
        report = diagnose(question.case)
        if report.failed != bool(words) and question.name not in DIFFERENT:
            wrong.append((question.name, report.cause.code if report.cause else report.verdict, words[-200:]))
    assert len(questions) > 200
    assert not wrong


def _above(one: x509.Certificate, cas: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """The CAs that could stand above it, by their names."""
    found: dict[x509.Certificate, None] = {}
    wanted = [one.issuer.rfc4514_string().casefold()]
    for name in wanted:
        for ca in cas:
            if ca not in found and " ".join(ca.subject.rfc4514_string().casefold().split()) == " ".join(name.split()):
                found[ca] = None
                wanted.append(ca.issuer.rfc4514_string().casefold())
    return tuple(found)


def _is_end(name: str) -> bool:
    return "EE" in name or name.startswith(("Valid", "Invalid", "Different", "AllCertificates", "UserNotice", "CPS"))
