"""Signing once, keys that are handles, certificates that sign themselves, and the throw-away copy."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import RequestError, RuleViolation
from leafward.pki.chain import Chain, is_self_signed
from leafward.pki.issuer import Issuer, prepare_root, prepare_self_signed_leaf
from leafward.pki.prepared import Prepared
from leafward.pki.profiles import profile
from leafward.pki.rehearsal import shadow_of
from tests.pki.issuing import openssl_verify, refused_code, server


def prepared_hub(gateway: Any, hierarchy: Any, issuer: Issuer | None = None) -> Prepared:
    signer = issuer or gateway.workload_ca
    return signer.prepare(profile("hub_server"), server(), now=gateway.now, serial=hierarchy.serial())


def test_it_signs_once(gateway, hierarchy) -> None:
    prepared = prepared_hub(gateway, hierarchy)
    assert "waiting" in repr(prepared)
    chain = prepared.sign()
    assert chain.issuers == gateway.workload_ca.chain.certificates
    assert chain.leaf.tbs_certificate_bytes == prepared.rehearsal.tbs_certificate_bytes
    assert chain.leaf.signature != prepared.rehearsal.signature
    assert refused_code(prepared.sign) == "already-signed"
    assert "signed" in repr(prepared)


def test_two_threads_get_one_certificate(gateway, hierarchy) -> None:
    prepared = prepared_hub(gateway, hierarchy)
    got: list[Any] = []

    def sign() -> None:
        try:
            got.append(prepared.sign())
        except RuleViolation as refused:
            got.append(refused.code)

    threads = [threading.Thread(target=sign) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got.count("already-signed") == 3


class Handle(ec.EllipticCurvePrivateKey):
    """A key as an HSM gives it: it signs and shows its public half. Anything else is a mistake."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey | None = None) -> None:
        self._inside = key
        self._signer = signer or key

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._inside.public_key()

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        return self._signer.sign(data, signature_algorithm)

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._inside.curve

    @property
    def key_size(self) -> int:
        return self._inside.key_size

    def _never(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("an HSM's key was asked for more than a signature")

    exchange = private_numbers = private_bytes = __copy__ = __deepcopy__ = _never  # type: ignore[assignment]


def test_an_hsm_key_signs_at_every_level(gateway, hierarchy, tmp_path: Path) -> None:
    root_key, device_key = Handle(hierarchy.key("ec-p256")), Handle(hierarchy.key("ec-p256"))
    root = Issuer.self_signed_root(root_key, common_name="HSM Root", now=gateway.now, serial=hierarchy.serial())
    device = hierarchy.ca(root, "device_ca", device_key, "gateway.ca")
    chain = gateway.issue("leaf_device", issuer=device)
    assert openssl_verify(chain, tmp_path, at=gateway.now) == "OK"


def test_a_key_that_signs_wrongly_is_found_out(gateway, hierarchy) -> None:
    """The device answers with another key's signature: nothing is handed out, and there is no second try."""
    real = gateway.workload_ca._key
    broken = Issuer(gateway.workload_ca.chain, Handle(real, signer=hierarchy.key("ec-p256")))
    prepared = prepared_hub(gateway, hierarchy, broken)
    assert refused_code(prepared.sign) == "signature-invalid"
    assert refused_code(prepared.sign) == "already-signed"


def test_no_key_in_any_repr(gateway, hierarchy) -> None:
    for shown in (repr(gateway.root), repr(prepared_hub(gateway, hierarchy))):
        assert "PrivateKey" not in shown
        assert "object at" not in shown


# ---- self-signed, and the throw-away copy


def test_a_root(hierarchy, tmp_path: Path) -> None:
    prepared = prepare_root(
        hierarchy.key("ec-p384"), common_name="Root", now=hierarchy.now, serial=hierarchy.serial(), path_length=3
    )
    chain = prepared.sign()
    assert len(chain) == 1
    assert is_self_signed(chain.leaf)
    assert chain.leaf.signature_hash_algorithm.name == "sha384"
    assert openssl_verify(chain, tmp_path, at=hierarchy.now) == "OK"
    with pytest.raises(RequestError):
        prepare_root(
            hierarchy.key("ec-p256"), common_name="Root", now=hierarchy.now, serial=hierarchy.serial(), path_length=-1
        )


def test_a_self_signed_leaf_is_no_ca(hierarchy, tmp_path: Path) -> None:
    key = hierarchy.key("ec-p256")
    chain = prepare_self_signed_leaf(
        key, common_name="pump-7", now=hierarchy.now, serial=hierarchy.serial(), lifetime=timedelta(days=10)
    ).sign()
    assert is_self_signed(chain.leaf)
    assert chain.leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert chain.leaf.not_valid_after_utc == hierarchy.now + timedelta(days=10)
    assert openssl_verify(chain, tmp_path, "-purpose", "sslclient", "-partial_chain", at=hierarchy.now) == "OK"


def test_a_shadow_differs_in_keys_and_signatures_alone(gateway) -> None:
    real = gateway.issue("hub_server")
    shadow = shadow_of(real)
    assert Chain.ordered(shadow.certificates) == shadow
    assert shadow.is_complete
    for one, other in zip(real, shadow, strict=True):
        assert one.public_key() != other.public_key()
        for field in ("subject", "issuer", "serial_number", "not_valid_before_utc", "not_valid_after_utc"):
            assert getattr(one, field) == getattr(other, field)
        assert list(one.extensions) == list(other.extensions)


def test_now_needs_a_time_zone(gateway, hierarchy) -> None:
    naive = gateway.now.replace(tzinfo=None)
    with pytest.raises((TypeError, ValueError)):
        gateway.workload_ca.prepare(profile("hub_server"), server(), now=naive, serial=hierarchy.serial())
