"""The throw-away copy: what is about to be signed, signed by keys that protect nothing, for the rules to judge.

The rules judge whole chains, signatures included, so the copy needs issuers whose keys are at hand. Each certificate
of the issuer's chain is made anew with all its fields (names, dates, serial, extensions with their key identifiers)
and a throw-away key of the same kind, from the root down: a shadow of the chain. What is signed below it differs from
the real thing in the signature alone; `Prepared.sign` checks that one. That the real chain holds together, which a
shadow cannot show, is checked when an `Issuer` is made.

The keys are drawn once a process. They are the only randomness that `pki` draws itself, and nothing depends on it.
"""

from collections.abc import Mapping
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from leafward.errors import RuleViolation
from leafward.pki.chain import Chain
from leafward.pki.key_types import DEFAULT_KEY_TYPE, KeyType, PrivateKey, key_type_of

_MLDSA: Mapping[str, type[mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey]] = {
    "ml-dsa-44": mldsa.MLDSA44PrivateKey,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey,
}


@cache
def throw_away_key(key_type: KeyType) -> PrivateKey:
    """A key of a kind, the same for the whole process. It must never sign anything that leaves it."""
    if key_type.algorithm == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=key_type.size)
    if key_type.algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if key_type.algorithm == "ml-dsa":
        return _MLDSA[key_type.name].generate()
    assert key_type.curve is not None
    return ec.generate_private_key(key_type.curve())


def shadow_of(chain: Chain) -> Chain:
    """The chain with every key and signature replaced by throw-away ones, and nothing else."""
    shadow: list[x509.Certificate] = []
    for index in reversed(range(len(chain))):
        certificate = chain.certificates[index]
        above = chain.certificates[index + 1] if index + 1 < len(chain) else certificate
        shadow.insert(0, _shadow(certificate, _stand_in(certificate), _stand_in(above)))
    return Chain(tuple(shadow))


def signed_by_throw_away(builder: x509.CertificateBuilder, issuer_key_type: KeyType) -> x509.Certificate:
    """The builder's certificate as a key of the issuer's kind would sign it."""
    return builder.sign(throw_away_key(issuer_key_type), issuer_key_type.signature_hash)


def _stand_in(certificate: x509.Certificate) -> KeyType:
    """The kind of the throw-away key for a certificate's; the default one for a kind that we do not make."""
    try:
        return key_type_of(certificate.public_key())
    except RuleViolation:
        return DEFAULT_KEY_TYPE


def _shadow(certificate: x509.Certificate, own: KeyType, above: KeyType) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(throw_away_key(own).public_key())
        # An issuer of serial 0 exists in the field (IoT Edge 1.2 made them); a builder takes positive ones only.
        .serial_number(max(certificate.serial_number, 1))
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
    )
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return signed_by_throw_away(builder, above)
