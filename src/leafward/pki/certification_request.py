"""A PKCS#10 request that we make ourselves: for a CA whose certificate somebody else is to sign.

The requests that others send are read in `request.py`, which takes little from them. Here the extensions wanted are
written out (RFC 2985 5.4.2), so that a signer's tool can copy them and a person can read what is asked.
"""

from cryptography import x509

from leafward.pki.constraints import fence, policies_extension
from leafward.pki.contents import key_usage
from leafward.pki.key_types import PrivateKey, key_type_of
from leafward.pki.profile import Profile
from leafward.pki.request import CertificateRequest


def certification_request(
    key: PrivateKey, profile: Profile, request: CertificateRequest, subject: x509.Name, *, path_length: int | None
) -> x509.CertificateSigningRequest:
    """The request for a CA certificate of `profile`, signed by its own key (RFC 2986 4.2)."""
    public_key = key.public_key()
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    wanted: list[tuple[x509.ExtensionType | None, bool]] = [
        (x509.BasicConstraints(profile.ca, path_length), True),
        (key_usage(profile, public_key), True),
        (fence(request.permit_dns, request.permit_ip), True),
        (policies_extension(request.policies), False),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
    ]
    for extension, critical in wanted:
        if extension is not None:
            builder = builder.add_extension(extension, critical)
    return builder.sign(key, key_type_of(public_key).signature_hash)
