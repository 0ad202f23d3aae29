"""Prepared: a certificate that has been checked and waits for its one signature."""

from cryptography import x509

from leafward.errors import RuleViolation
from leafward.pki.chain import Chain, is_issued_by
from leafward.pki.key_types import KeyType, PrivateKey


class Prepared:
    """A certificate that the rules have accepted. `sign` may be called once.

    `rehearsal` is the copy that the rules saw, signed by a throw-away key; `issuer` None is a self-signed one.
    """

    def __init__(
        self,
        builder: x509.CertificateBuilder,
        key: PrivateKey,
        key_type: KeyType,
        *,
        rehearsal: x509.Certificate,
        issuer: Chain | None,
    ) -> None:
        self._builders = [builder]
        self._key = key
        self._key_type = key_type
        self._issuer = issuer
        self.rehearsal = rehearsal

    def __repr__(self) -> str:
        state = "waiting" if self._builders else "signed"
        return f"<Prepared {self.rehearsal.subject.rfc4514_string()!r} {state}>"

    def sign(self) -> Chain:
        """The new certificate and its issuer's chain, leaf first.

        Raises `RuleViolation` for a second call, and "signature-invalid" where the key made another certificate than
        was prepared: then nothing is handed out. A failed attempt counts, because what an HSM did is not known.
        """
        try:
            builder = self._builders.pop()  # atomic: of two threads, one gets it
        except IndexError:
            hint = "prepare it again, with a new serial number"
            raise RuleViolation("already-signed", "a prepared certificate is signed once", hint=hint) from None
        certificate = builder.sign(self._key, self._key_type.signature_hash)
        self._check(certificate)
        return Chain((certificate, *(self._issuer or ())))

    def _check(self, certificate: x509.Certificate) -> None:
        if certificate.tbs_certificate_bytes != self.rehearsal.tbs_certificate_bytes:
            raise RuleViolation("signature-invalid", "what was signed is not what was prepared", hint=_HINT)
        issuer = certificate if self._issuer is None else self._issuer.leaf
        if not is_issued_by(certificate, issuer):
            why = "the signature does not verify with the issuer's public key"
            raise RuleViolation("signature-invalid", "the key made a wrong signature", why=why, hint=_HINT)


_HINT = "check the key's device or file; the certificate was thrown away"
