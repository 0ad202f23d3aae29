"""Bodies of EST: what is sent, and which departures are taken from clients."""

import base64
import contextlib
import textwrap

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError, LeafwardError, ProtocolError
from leafward.wire.est.bodies import (
    LINE_BREAKS,
    NO_TRANSFER_ENCODING,
    NOT_BASE64,
    PEM_ARMOUR,
    PKCS10,
    certificates_of,
    certificates_only,
    certificates_only_of,
    decode_body,
    encode_body,
    read_request,
)
from tests.hub.hub_certificates import make

KEY = ec.generate_private_key(ec.SECP256R1())
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(KEY, hashes.SHA256())
DER = REQUEST.public_bytes(Encoding.DER)
PEM = REQUEST.public_bytes(Encoding.PEM)
ONE_LINE = base64.b64encode(DER)


def folded(ending: str) -> bytes:
    return (ending.join(textwrap.wrap(ONE_LINE.decode(), 64)) + ending).encode()


def test_the_strict_form_needs_no_tolerance() -> None:
    found = read_request(ONE_LINE, content_type=PKCS10, transfer_encoding="base64")
    assert (found.der, found.deviations) == (DER, ())


@pytest.mark.parametrize(
    ("body", "encoding", "deviations"),
    [
        pytest.param(folded("\n"), "base64", (LINE_BREAKS,), id="lf"),
        pytest.param(folded("\r\n"), "base64", (LINE_BREAKS,), id="crlf"),
        pytest.param(b"  " + ONE_LINE + b"\t\n", "BASE64", (LINE_BREAKS,), id="blanks-around"),
        pytest.param(ONE_LINE, None, (NO_TRANSFER_ENCODING,), id="no-transfer-encoding"),
        pytest.param(ONE_LINE, "binary", (NO_TRANSFER_ENCODING,), id="other-transfer-encoding"),
        pytest.param(PEM, "base64", (PEM_ARMOUR,), id="pem"),
        pytest.param(PEM.replace(b"\n", b"\r\n"), None, (NO_TRANSFER_ENCODING, PEM_ARMOUR), id="pem-crlf"),
        pytest.param(PEM.replace(b"CERT", b"NEW CERT"), "base64", (PEM_ARMOUR,), id="pem-new"),
        pytest.param(DER, None, (NO_TRANSFER_ENCODING, NOT_BASE64), id="der"),
    ],
)
def test_a_departure_is_taken_and_named(body: bytes, encoding: str | None, deviations: tuple[str, ...]) -> None:
    found = read_request(body, content_type=PKCS10, transfer_encoding=encoding)
    assert (found.der, found.deviations) == (DER, deviations)


@pytest.mark.parametrize("content_type", [PKCS10.upper(), f"{PKCS10}; charset=us-ascii", f" {PKCS10} "])
def test_a_content_type_is_compared_as_http_compares(content_type: str) -> None:
    assert read_request(ONE_LINE, content_type=content_type, transfer_encoding="base64").der == DER


@pytest.mark.parametrize("content_type", [None, "", "application/pkcs7-mime", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused(content_type: str | None) -> None:
    with pytest.raises(ProtocolError, match="application/pkcs10"):
        read_request(ONE_LINE, content_type=content_type, transfer_encoding="base64")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \r\n", id="blank"),
        pytest.param(ONE_LINE[:-1], id="cut-off"),
        pytest.param(ONE_LINE.replace(b"M", b"*", 1), id="other-character"),
        pytest.param(b"\xff\xfe" + ONE_LINE, id="byte-order-mark"),
        pytest.param(PEM + PEM, id="two-requests"),
        pytest.param(make("x").pem(), id="certificate"),
        pytest.param(make("x").key_pem(), id="private-key"),
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(EncodingError):
        read_request(body, content_type=PKCS10, transfer_encoding="base64")


@given(st.binary(max_size=300))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    with contextlib.suppress(LeafwardError):
        read_request(body, content_type=PKCS10, transfer_encoding=None)


@given(st.binary(max_size=2000))
def test_what_is_sent_is_one_line_and_comes_back(der: bytes) -> None:
    body = encode_body(der)
    assert not body.split(b"\n")[1:]
    assert decode_body(body) == der


def test_certificates_travel_as_a_set() -> None:
    """root -> leaf: both come back, in whatever order."""
    root = make("root", ca=True)
    leaf = make("leaf", root)
    assert set(certificates_of(certificates_only(leaf.certificates))) == set(leaf.certificates)


def test_what_is_put_together_here_is_what_the_library_makes() -> None:
    """root -> middle -> leaf: one certificate, and several, whose lengths take more octets."""
    root = make("root", ca=True)
    chain = make("leaf", make("middle", root, ca=True)).certificates
    for count in range(1, len(chain) + 1):
        some = chain[:count]
        assert certificates_only_of([one.public_bytes(Encoding.DER) for one in some]) == certificates_only(some)
