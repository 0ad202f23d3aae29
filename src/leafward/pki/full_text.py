"""A certificate or a request in full, for people: every field, as a written record of a ceremony keeps it.

`summary.py` has the short form. Nothing is left out: an extension that is not known here is shown in hexadecimal.
"""

from collections.abc import Callable, Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward.pki import extension
from leafward.pki.chain import fingerprint
from leafward.pki.constraints import name_text
from leafward.pki.key_types import key_name


def certificate_lines(certificate: x509.Certificate) -> list[str]:
    """Every field of a certificate, a line each."""
    return [
        f"sha256       {fingerprint(certificate)}",
        f"subject      {certificate.subject.rfc4514_string() or '(empty)'}",
        f"issuer       {certificate.issuer.rfc4514_string()}",
        f"serial       {extension.serial_number(certificate):x}",
        f"not before   {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        f"not after    {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        f"key          {key_name(certificate)}",
        f"key sha256   {key_digest(certificate)}",
        f"signature    {certificate.signature_algorithm_oid.dotted_string}",
        *_extension_lines(extension.extensions(certificate)),
    ]


def request_lines(csr: x509.CertificateSigningRequest) -> list[str]:
    """Every field of a PKCS#10 request, a line each; what a signer takes from it is another matter."""
    return [
        f"subject      {csr.subject.rfc4514_string() or '(empty)'}",
        f"key sha256   {key_digest(csr)}",
        f"signature    {csr.signature_algorithm_oid.dotted_string}",
        *_extension_lines(csr.extensions),
    ]


def key_digest(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo), lower-case hexadecimal: tells keys apart under one name."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def _extension_lines(found: x509.Extensions) -> Iterator[str]:
    for one in found:
        name, text = _TEXTS.get(type(one.value), (one.oid.dotted_string, _unknown))
        yield f"extension    {name}{' (critical)' if one.critical else ''}: {text(one.value)}"


def _basic_constraints(value: x509.BasicConstraints) -> str:
    room = "" if value.path_length is None else f", path length {value.path_length}"
    return f"CA{room}" if value.ca else "not a CA"


def _key_usage(value: x509.KeyUsage) -> str:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return ", ".join(name for name in (*names, "key_cert_sign", "crl_sign") if getattr(value, name))


def _name_constraints(value: x509.NameConstraints) -> str:
    kinds = (("permitted", value.permitted_subtrees), ("excluded", value.excluded_subtrees))
    return "; ".join(f"{kind} {', '.join(map(name_text, names))}" for kind, names in kinds if names)


def _unknown(value: x509.ExtensionType) -> str:
    return value.public_bytes().hex()


_TEXTS: dict[type, tuple[str, Callable[[Any], str]]] = {
    x509.BasicConstraints: ("basicConstraints", _basic_constraints),
    x509.KeyUsage: ("keyUsage", _key_usage),
    x509.NameConstraints: ("nameConstraints", _name_constraints),
    x509.SubjectKeyIdentifier: ("subjectKeyIdentifier", lambda value: value.digest.hex()),
    x509.AuthorityKeyIdentifier: ("authorityKeyIdentifier", lambda value: (value.key_identifier or b"").hex()),
    x509.ExtendedKeyUsage: (
        "extendedKeyUsage",
        lambda value: ", ".join(use.dotted_string for use in value),
    ),
    x509.SubjectAlternativeName: ("subjectAltName", lambda value: ", ".join(map(name_text, value))),
    x509.CertificatePolicies: (
        "certificatePolicies",
        lambda value: ", ".join(policy.policy_identifier.dotted_string for policy in value),
    ),
}
