"""What an issuer refuses, each by its code: the chain in the docstring, nothing signed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import RequestError, RuleViolation
from leafward.pki.chain import Chain
from leafward.pki.issuer import Issuer
from leafward.pki.issuer_kind import possible_kinds
from leafward.pki.prepared import Prepared
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from tests.pki.issuing import openssl_verify, refused_code, server


def test_a_ca_named_like_the_server(hierarchy) -> None:
    """root -> device CA "Gateway.Example" -> workload CA -> "gateway.example": refused."""
    root = hierarchy.root()
    device = hierarchy.ca(root, "device_ca", None, "Gateway.Example")
    workload = hierarchy.ca(device, "workload_ca")

    def issue(host: str) -> Prepared:
        return workload.prepare(profile("hub_server"), server(host=host), now=hierarchy.now, serial=hierarchy.serial())

    assert refused_code(lambda: issue("GATEWAY.example")) == "common-name-equals-device-ca"
    assert issue("gateway2.example").sign()


def test_an_end_entity_signs_nothing(gateway, hierarchy) -> None:
    key = hierarchy.key("ec-p256")
    for kind in ("leaf_device", "hub_server"):
        issuer = Issuer(gateway.issue(kind, key), key)
        code = refused_code(
            lambda issuer=issuer: issuer.prepare(
                profile("leaf_device"),
                CertificateRequest(public_key=key.public_key(), common_name="pump-8"),
                now=gateway.now,
                serial=hierarchy.serial(),
            )
        )
        assert code == "not-a-ca"


def handmade_ca(above: Issuer, above_key: Any, hierarchy: Any, *extensions: tuple[Any, bool]) -> Issuer:
    """A CA that no profile would give, as somebody else's tool would have made it."""
    key = hierarchy.key("ec-p256")
    builder = x509.CertificateBuilder(
        above.chain.leaf.subject,
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Handmade CA")]),
        key.public_key(),
        hierarchy.serial(),
        hierarchy.now,
        hierarchy.now + timedelta(days=100),
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(above_key, above.key_type.signature_hash)
    return Issuer(Chain.of(certificate, *above.chain), key)


def usage(**on: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: on.get(name, False) for name in (*names, *more)})


def ca_true(length: int | None) -> tuple[x509.BasicConstraints, bool]:
    return x509.BasicConstraints(ca=True, path_length=length), True


@pytest.mark.parametrize(
    ("extensions", "code"),
    [
        ([ca_true(0), (usage(key_cert_sign=True), True)], "path-length-exceeded"),
        ([ca_true(1), (usage(digital_signature=True, crl_sign=True), True)], "key-usage-missing-cert-sign"),
        ([(x509.BasicConstraints(ca=False, path_length=None), True), (usage(key_cert_sign=True), True)], "not-a-ca"),
        ([(usage(key_cert_sign=True), True)], "not-a-ca"),
    ],
    ids=["path-length-0", "no-cert-sign", "ca-false", "no-basic-constraints"],
)
def test_a_device_ca_that_cannot_sign_a_workload_ca(hierarchy, extensions: Any, code: str) -> None:
    root_key = hierarchy.key("ec-p256")
    device = handmade_ca(hierarchy.root(root_key), root_key, hierarchy, *extensions)
    request = CertificateRequest(public_key=hierarchy.key("ec-p256").public_key())
    assert (
        refused_code(
            lambda: device.prepare(profile("workload_ca"), request, now=hierarchy.now, serial=hierarchy.serial())
        )
        == code
    )


def test_a_foreign_device_ca_without_path_length_signs(hierarchy, tmp_path: Path) -> None:
    """certGen's device CAs have no path length; the workload CA below still gets 0, and the AKI is the CA's own SKI."""
    root_key = hierarchy.key()
    above = hierarchy.root(root_key)
    ski = x509.SubjectKeyIdentifier(b"chosen freely")
    aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    fields = [ca_true(None), (usage(key_cert_sign=True), True), (ski, False), (aki, False)]
    device = handmade_ca(above, root_key, hierarchy, *fields)
    assert possible_kinds(device.chain.leaf) == {"device_ca", "intermediate_ca"}
    workload = hierarchy.ca(device, "workload_ca")
    extensions = workload.chain.leaf.extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == ski.digest
    assert openssl_verify(workload.chain, tmp_path, at=hierarchy.now) == "OK"


def test_path_lengths(hierarchy) -> None:
    """Each level takes one from the room above; where none is left, nothing is signed."""
    root = hierarchy.root(path_length=3)
    first = hierarchy.ca(root, "intermediate_ca", None, "first")
    second = hierarchy.ca(first, "intermediate_ca", None, "second")
    lengths = [
        one.chain.leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        for one in (root, first, second)
    ]
    assert lengths == [3, 2, 1]
    assert hierarchy.ca(first, "device_ca", None, "gateway.ca")
    assert refused_code(lambda: hierarchy.ca(second, "device_ca", None, "gateway.ca")) == "path-length-exceeded"
    assert (
        refused_code(lambda: hierarchy.ca(first, "intermediate_ca", None, "wide", path_length=2))
        == "path-length-exceeded"
    )
    with pytest.raises(RequestError, match="fixed"):
        hierarchy.ca(root, "device_ca", None, "gateway.ca", path_length=2)
    with pytest.raises(RequestError, match="path length -1"):
        hierarchy.ca(root, "intermediate_ca", None, "x", path_length=-1)


@pytest.mark.parametrize(
    ("issuer", "kind"),
    [
        ("root", "hub_server"),
        ("device_ca", "hub_server"),
        ("root", "workload_ca"),
        ("workload_ca", "leaf_device"),
        ("device_ca", "device_identity"),
    ],
)
def test_the_wrong_parent(gateway, hierarchy, issuer: str, kind: str) -> None:
    signer = getattr(gateway, issuer)
    named = Issuer(signer.chain, signer._key, kind=None if issuer == "root" else issuer)
    key = hierarchy.key("ec-p256")
    request = CertificateRequest(public_key=key.public_key()) if kind == "workload_ca" else gateway.request(kind, key)
    assert (
        refused_code(lambda: named.prepare(profile(kind), request, now=gateway.now, serial=hierarchy.serial()))
        == "wrong-issuer"
    )


@pytest.mark.parametrize("serial", [0, -1, 1, (1 << 119) - 1, -(1 << 150), 1 << 159, 1 << 160])
def test_serial_refused(gateway, serial: int) -> None:
    assert (
        refused_code(
            lambda: gateway.workload_ca.prepare(profile("hub_server"), server(), now=gateway.now, serial=serial)
        )
        == "serial-invalid"
    )


@pytest.mark.parametrize("serial", [1 << 119, (1 << 127) - 1, (1 << 159) - 1])
def test_serial_taken(gateway, serial: int) -> None:
    chain = gateway.workload_ca.prepare(profile("hub_server"), server(), now=gateway.now, serial=serial).sign()
    assert chain.leaf.serial_number == serial


def test_the_key_belongs_to_the_certificate(gateway, hierarchy) -> None:
    assert refused_code(lambda: Issuer(gateway.root.chain, hierarchy.key("ec-p256"))) == "key-mismatch"
    assert refused_code(lambda: Issuer(gateway.root.chain, hierarchy.key("ec-p384"))) == "key-mismatch"


def test_the_issuers_chain_holds_together(gateway, hierarchy) -> None:
    chain, key = gateway.workload_ca.chain, gateway.workload_ca._key
    gap = Chain.of(chain.leaf, *chain.certificates[2:])
    assert refused_code(lambda: Issuer(gap, key)) == "chain-out-of-order"
    other = hierarchy().device_ca.chain
    mixed = Chain.of(chain.leaf, *other)
    assert refused_code(lambda: Issuer(mixed, key)) == "signature-invalid"
    # without its root it may sign: the root can be elsewhere
    issuer = Issuer(chain.without_root(), key)
    assert len(issuer.prepare(profile("hub_server"), server(), now=gateway.now, serial=hierarchy.serial()).sign()) == 4


def test_weak_keys_get_no_certificate(gateway) -> None:
    for curve in (ec.SECP192R1(), ec.SECP256K1()):
        with pytest.raises(RuleViolation):
            gateway.issue("leaf_device", ec.generate_private_key(curve))
