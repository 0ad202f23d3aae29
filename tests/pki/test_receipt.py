"""Receipts of a wipe: one form, checked with the root alone, and no byte of it can be another.

root <- intermediate <- device CA --signs--> statement, list of retired workload CAs
"""

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from leafward.errors import EncodingError
from leafward.keys.sealed_key import SealedEcKey, SealedRsaKey
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.crl import Line, issue_crl
from leafward.pki.extension import common_names, serial_number
from leafward.pki.issuer import Issuer
from leafward.pki.pem import read_blocks, write_block
from leafward.pki.receipt import (
    DestroyedKey,
    RetiredCertificate,
    Statement,
    judge_receipt,
    read_receipt,
    sign_receipt,
)
from leafward.pki.signed_data import decode, encode

KEYS = ["ec-p256", "ec-p384", "rsa-2048", "ed25519", "ml-dsa-44"]


@dataclass
class Wiped:
    """A device whose workload CA is retired, and what it signs."""

    hierarchy: Any
    retire: bool = True

    @property
    def anchors(self) -> list[Any]:
        return [self.hierarchy.root.chain.leaf]

    @property
    def now(self) -> Any:
        return self.hierarchy.now

    def receipt(self, signer: Any = None, **changes: Any) -> bytes:
        device_ca, workload_ca = self.hierarchy.device_ca, self.hierarchy.workload_ca.chain.leaf
        lines = [Line(serial_number(workload_ca), self.now, "cessationOfOperation")] if self.retire else []
        crl = issue_crl(device_ca, lines, number=3, now=self.now, lifetime=timedelta(days=30)).der
        facts: dict[str, Any] = {
            "device": common_names(device_ca.chain.leaf)[0],
            "development": False,
            "owner_epoch": 3,
            "begun": self.now,
            "finished": self.now,
            "clock_behind": False,
            "keys": (DestroyedKey(kind="workload-ca", key="ab" * 32, certificate=fingerprint(workload_ca)),),
            "counts": {"devices": 2, "messages": None},
            "retired": (
                RetiredCertificate(
                    kind="workload-ca", sha256=fingerprint(workload_ca), serial=f"{serial_number(workload_ca):x}"
                ),
            ),
            "retired_leaf_certificates": 0,
            "crl_number": 3,
            "crl_sha256": hashlib.sha256(crl).hexdigest(),
            "chain": tuple(map(fingerprint, device_ca.chain)),
        }
        return sign_receipt(Statement(**{**facts, **changes}), signer or device_ca, crl)

    def judged(self, data: bytes, **more: Any) -> tuple[bool, str | None]:
        asked = {"anchors": self.anchors, "now": self.now, **more}
        verdict = judge_receipt(read_receipt(data), **asked)
        return verdict.valid, verdict.rule


@pytest.fixture
def wiped(hierarchy: Callable[..., Any]) -> Wiped:
    return Wiped(hierarchy())


@pytest.mark.parametrize("key_type", KEYS)
def test_a_receipt_is_read_and_believed(hierarchy: Callable[..., Any], key_type: str) -> None:
    """Every kind of key that a device CA may have signs one."""
    wiped = Wiped(hierarchy(1, key_type))
    data = wiped.receipt(challenge="buyer's 7")
    assert wiped.judged(data) == (True, None)
    statement = read_receipt(data).statement
    assert statement.owner_epoch == 3
    assert statement.counts == {"devices": 2, "messages": None}
    assert wiped.judged(data, challenge="buyer's 7") == (True, None)
    assert wiped.judged(data, challenge="another") == (False, "receipt-challenge")


class _Device:
    """Signs digests, as a token or TPM does: the handle in front of it gives no key bytes away."""

    label = "a device"

    def __init__(self, key: Any) -> None:
        self._key = key

    def ecdsa(self, digest: bytes, hash_name: str) -> bytes:
        return self._key.sign(digest, ec.ECDSA(Prehashed({"sha256": SHA256(), "sha384": SHA384()}[hash_name])))

    def rsa(self, digest: bytes, hash_name: str, pss_salt_length: int | None) -> bytes:
        assert (hash_name, pss_salt_length) == ("sha256", None)
        return self._key.sign(digest, PKCS1v15(), Prehashed(SHA256()))


@pytest.mark.parametrize(("key_type", "handle"), [("ec-p384", SealedEcKey), ("rsa-2048", SealedRsaKey)])
def test_a_key_that_never_leaves_its_device_signs_one(
    hierarchy: Callable[..., Any], key_type: str, handle: Any
) -> None:
    wiped = Wiped(hierarchy(1, key_type))
    inside = wiped.hierarchy.device_ca
    sealed = handle(_Device(inside.key), inside.key.public_key())
    wiped.hierarchy.device_ca = Issuer(inside.chain, sealed)
    assert wiped.judged(wiped.receipt()) == (True, None)


@pytest.mark.parametrize("key_type", KEYS[:3])
def test_openssl_verifies_it_with_the_root_alone(hierarchy: Callable[..., Any], key_type: str, tmp_path: Path) -> None:
    wiped = Wiped(hierarchy(2, key_type))
    data = wiped.receipt()
    (tmp_path / "receipt.pem").write_bytes(data)
    (tmp_path / "root.pem").write_bytes(Chain.of(*wiped.anchors).to_pem())
    # A CA is not for S/MIME, which is what OpenSSL asks for otherwise.
    files = ["-inform", "PEM", "-in", "receipt.pem", "-CAfile", "root.pem"]
    how = ["-purpose", "any", "-binary", "-attime", str(int(wiped.now.timestamp()))]
    done = subprocess.run(["openssl", "cms", "-verify", *files, *how], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Statement.model_validate_json(done.stdout) == read_receipt(data).statement


def test_no_byte_can_be_another(wiped: Wiped) -> None:
    """Each byte of the DER, and each of the file, changed by one bit: refused every time, and never a crash."""
    data = wiped.receipt()
    der = read_blocks(data)[0].data
    for at in range(len(der)):
        changed = bytearray(der)
        changed[at] ^= 1 << at % 8
        assert _refused(wiped, write_block("CMS", bytes(changed))), at
    for at in range(0, len(data), 7):
        file = bytearray(data)
        file[at] ^= 1
        assert _refused(wiped, bytes(file)), at


@pytest.mark.parametrize("change", [lambda d: d + b"\n", lambda d: b"hello\n" + d, lambda d: d[:-40], lambda d: d * 2])
def test_no_byte_can_stand_around_it(wiped: Wiped, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(EncodingError):
        read_receipt(change(wiped.receipt()))


def _refused(wiped: Wiped, data: bytes) -> bool:
    try:
        return not wiped.judged(data)[0]
    except EncodingError:
        return True


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"device": "another"}, "receipt-statement"),
        ({"chain": ("00" * 32,)}, "receipt-statement"),
        ({"crl_sha256": "00" * 32}, "receipt-list"),
        ({"crl_number": 2}, "receipt-list"),
    ],
)
def test_a_statement_that_does_not_fit_is_refused(wiped: Wiped, changes: dict[str, Any], rule: str) -> None:
    assert wiped.judged(wiped.receipt(**changes)) == (False, rule)


def test_a_list_that_retires_nothing_is_refused(wiped: Wiped) -> None:
    wiped.retire = False
    assert wiped.judged(wiped.receipt()) == (False, "receipt-list")


def test_a_list_of_another_ca_is_refused(wiped: Wiped, hierarchy: Callable[..., Any]) -> None:
    """The statement names it, and yet: device CA signs the statement, a stranger's device CA the list."""
    signed = read_receipt(wiped.receipt()).signed
    stranger = issue_crl(hierarchy().device_ca, [], number=3, now=wiped.now, lifetime=timedelta(days=1)).der
    data = sign_receipt(
        read_receipt(wiped.receipt(crl_sha256=hashlib.sha256(stranger).hexdigest())).statement,
        wiped.hierarchy.device_ca,
        stranger,
    )
    assert wiped.judged(data) == (False, "receipt-list")
    assert decode(encode(signed)) == signed


def test_who_is_trusted_decides(wiped: Wiped, hierarchy: Callable[..., Any]) -> None:
    """Another maker's root; an intermediate alone; no root; a device CA that has expired; a list of the maker's."""
    data, other = wiped.receipt(), hierarchy()
    assert wiped.judged(data, anchors=[other.root.chain.leaf])[0] is False
    assert wiped.judged(data, anchors=[wiped.hierarchy.device_ca.chain.certificates[1]])[0] is False
    assert wiped.judged(data, anchors=[])[0] is False
    late = wiped.hierarchy.device_ca.chain.leaf.not_valid_after_utc + timedelta(seconds=1)
    assert wiped.judged(data, now=late) == (False, "certificate-expired")
    maker = wiped.hierarchy.intermediates[0]
    line = Line(serial_number(wiped.hierarchy.device_ca.chain.leaf), wiped.now, "keyCompromise")
    crl = issue_crl(maker, [line], number=1, now=wiped.now, lifetime=timedelta(days=1))
    assert wiped.judged(data, crls=[x509.load_der_x509_crl(crl.der)]) == (False, "certificate-revoked")


def test_a_workload_ca_or_leaf_cannot_speak_for_the_device(wiped: Wiped) -> None:
    """What hangs below the device CA has keys too; none of them is the device's voice."""
    workload_ca = wiped.hierarchy.workload_ca
    chain = tuple(map(fingerprint, workload_ca.chain))
    name = common_names(workload_ca.chain.leaf)[0]
    assert wiped.judged(wiped.receipt(signer=workload_ca, chain=chain, device=name))[0] is False


@pytest.mark.parametrize(
    "data", [b"", b"hello", write_block("CERTIFICATE", b"\x30\x00"), write_block("CMS", b"\x30\x00")]
)
def test_what_is_no_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        read_receipt(data)
