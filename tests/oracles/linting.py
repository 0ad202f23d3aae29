"""pkilint as a library: what its commands do, without a process for each certificate (each takes half a second)."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import loader, pkix
from pkilint.bin import lint_pkix_signer_signee_cert_chain as pair
from pkilint.pkix import certificate, crl, extension, name, ocsp
from pkilint.validation import ValidationFindingSeverity

_DECODERS = (
    pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
    pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
)


def lint_certificate(one: x509.Certificate) -> set[str]:
    """As `lint_pkix_cert`: the codes of all findings from warnings up."""
    return _codes(_certificate_validator().validate(_load(one).root))


def lint_pair(issuer: x509.Certificate, subject: x509.Certificate) -> set[str]:
    """As `lint_pkix_signer_signee_cert_chain`."""
    together: dict[str, Any] = {}
    together["issuer"] = _load(issuer, "issuer", together)
    together["subject"] = _load(subject, "subject", together)
    decoding, of_issuer, of_subject = _pair_validators()
    roots = together["issuer"].root, together["subject"].root
    results = [*decoding.validate(roots[0]), *decoding.validate(roots[1])]
    return _codes([*results, *of_issuer.validate(roots[0]), *of_subject.validate(roots[1])])


def lint_crl(der: bytes) -> set[str]:
    """As `lint_crl --type CRL --profile PKIX`."""
    return _codes(_crl_validator().validate(loader.RFC5280CertificateListDocumentLoader().load_der_document(der).root))


def lint_ocsp(der: bytes) -> set[str]:
    """As `lint_ocsp_response`."""
    return _codes(_ocsp_validator().validate(loader.RFC6960OCSPResponseDocumentLoader().load_der_document(der).root))


def _load(one: x509.Certificate, role: str | None = None, together: Any = None) -> Any:
    der = one.public_bytes(Encoding.DER)
    return loader.RFC5280CertificateDocumentLoader().load_der_document(der, role, role, together)


def _codes(results: Iterable[Any]) -> set[str]:
    found = (one.finding for result in results for one in result.finding_descriptions)
    return {one.code for one in found if one.severity <= ValidationFindingSeverity.WARNING}


@cache
def _certificate_validator() -> Any:
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


@cache
def _pair_validators() -> tuple[Any, Any, Any]:
    return (
        pair.create_decoder_validation_container(),
        pair.create_issuer_validation_container(),
        pair.create_subject_validation_container(),
    )


@cache
def _crl_validator() -> Any:
    return crl.create_pkix_crl_validator_container(
        list(_DECODERS),
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )


@cache
def _ocsp_validator() -> Any:
    return ocsp.create_pkix_ocsp_response_validator_container([ocsp.create_response_decoder(), *_DECODERS], [])
