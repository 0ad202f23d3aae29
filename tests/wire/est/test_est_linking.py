"""challengePassword as a proof that a request was made for this connection (RFC 7030 3.5)."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AttributeOID

from leafward.errors import RequestError
from leafward.wire.est.linking import check_linking

KEY = ec.generate_private_key(ec.SECP256R1())
BINDING = b"first finished"


def request(challenge: bytes | None) -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if challenge is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge)
    return builder.sign(KEY, hashes.SHA256())


def test_the_right_binding_links() -> None:
    assert check_linking(request(base64.b64encode(BINDING)), [None, BINDING])


def test_none_is_no_proof() -> None:
    assert not check_linking(request(None), [BINDING])


@pytest.mark.parametrize("challenge", [b"secret", b"", base64.b64encode(b"another connection")])
@pytest.mark.parametrize("bindings", [[BINDING], [None], []])
def test_a_wrong_one_is_refused(challenge: bytes, bindings: list[bytes | None]) -> None:
    with pytest.raises(RequestError, match="challengePassword"):
        check_linking(request(challenge), bindings)
