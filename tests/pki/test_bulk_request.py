"""The fast reader of requests takes what the ordinary reader takes, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.oid import NameOID
from hypothesis import event, given, settings
from hypothesis import strategies as st

from leafward.errors import EncodingError, LeafwardError, RequestError
from leafward.pki.bulk_request import BulkRequest, RequestReader
from leafward.pki.p256_point import is_p256_key
from leafward.pki.pem import write_block
from leafward.pki.request import CertificateRequest

KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
P384 = ec.generate_private_key(ec.SECP384R1())
# One for all examples: what it remembers of one request must not make it take another.
READER = RequestReader()


def spki_of(key: Any) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def facts(request: Any) -> tuple[Any, ...]:
    full = request.in_full() if isinstance(request, BulkRequest) else request
    if isinstance(request, BulkRequest):
        assert (request.common_name, request.serial_number) == (full.common_name, full.serial_number)
        assert request.asks_for_ca == full.asks_for_ca
        assert request.plain == (not (full.hosts or full.uris))
        assert request.spki == spki_of(full.public_key)
    more = (full.common_name, full.serial_number, full.hosts, full.uris, full.asks_for_ca)
    return (spki_of(full.public_key), *more)


def outcome(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return facts(read(data))
    except LeafwardError as error:
        return type(error), getattr(error, "code", None)
    except (ValueError, x509.InvalidVersion):  # what the library alone says of some damage
        return EncodingError, None


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
attributes = st.one_of(
    texts.map(lambda text: x509.NameAttribute(NameOID.COMMON_NAME, text)),
    texts.map(lambda text: x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)),
    st.from_regex(r"[A-Za-z0-9 ]{1,20}", fullmatch=True).map(lambda t: x509.NameAttribute(NameOID.SERIAL_NUMBER, t)),
    st.just(x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")),
)
subjects = st.lists(st.lists(attributes, min_size=1, max_size=2, unique_by=lambda one: one.oid), max_size=4).map(
    lambda parts: x509.Name([x509.RelativeDistinguishedName(part) for part in parts])
)
EXTENSIONS: list[list[tuple[x509.ExtensionType, bool]]] = [
    [],
    [(x509.BasicConstraints(True, None), True)],
    [(x509.BasicConstraints(False, None), True)],
    [(x509.SubjectAlternativeName([x509.DNSName("pump.example")]), False)],
    [(x509.SubjectAlternativeName([x509.DNSName("*.example")]), False)],
    [(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), False)],
]


def make(subject: x509.Name, extensions: Any = (), key: Any = KEYS[0], digest: Any = None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(Encoding.DER)


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_reads_as_the_ordinary_reader(data: st.DataObject) -> None:
    """Any subject, extensions, key, hash; PEM or DER."""
    der = make(
        data.draw(subjects),
        data.draw(st.sampled_from(EXTENSIONS)),
        data.draw(st.sampled_from([*KEYS, P384])),
        data.draw(st.sampled_from([hashes.SHA256(), hashes.SHA384()])),
    )
    label = data.draw(st.sampled_from([None, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "CERTIFICATE"]))
    text = der if label is None else write_block(label, der)
    expected = outcome(CertificateRequest.from_csr, text)
    assert outcome(READER.read, text) == expected
    assert outcome(READER.read, text) == expected  # also when its parts have been seen


@settings(max_examples=1500, deadline=None)
@given(st.data())
def test_a_damaged_request_is_read_as_the_ordinary_reader_does(data: st.DataObject) -> None:
    """One octet changed, put in, or left out, anywhere."""
    der = bytearray(make(named("pump-7"), data.draw(st.sampled_from(EXTENSIONS[:3]))))
    at = data.draw(st.integers(0, 400)) % len(der)
    new = data.draw(st.sampled_from([b"", b"\x00", b"\x30", b"\x80"]) | st.binary(min_size=1, max_size=2))
    der[at : at + data.draw(st.integers(0, 1))] = new
    assert outcome(READER.read, bytes(der)) == outcome(CertificateRequest.from_csr, bytes(der))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_resigned_damaged_request(data: st.DataObject) -> None:
    """One octet of what is signed changed, and signed again by the key: only the form can be refused, and is."""
    der = make(named("pump-7"))
    inside = bytearray(x509.load_der_x509_csr(der).tbs_certrequest_bytes)
    inside[data.draw(st.integers(0, 400)) % len(inside)] = data.draw(st.integers(0, 255))
    signature = KEYS[0].sign(bytes(inside), ec.ECDSA(hashes.SHA256()))
    tail = bytes.fromhex("300a06082a8648ce3d040302") + bytes((3, len(signature) + 1, 0)) + signature
    whole = b"\x30\x81" + bytes((len(inside) + len(tail),)) + inside + tail
    expected = outcome(CertificateRequest.from_csr, whole)
    event("taken" if len(expected) == 6 else "refused")
    assert outcome(READER.read, whole) == expected


@pytest.mark.parametrize("extensions", EXTENSIONS)
def test_what_is_common_is_read_fast(extensions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request of a kind does not come to the ordinary reader, unless it asks for names."""
    reader = RequestReader()
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Maker"), *named("pump-1")])
    first = outcome(reader.read, make(subject, extensions))
    monkeypatch.setattr(CertificateRequest, "from_csr", classmethod(lambda *_: pytest.fail("read slowly")))
    asks_for_names = any(isinstance(value, x509.SubjectAlternativeName) for value, _ in extensions)
    if not asks_for_names:
        assert outcome(reader.read, make(subject, extensions))[1] == "pump-1"
        assert first[1] == "pump-1"


def test_a_request_signed_by_another_key() -> None:
    """The signature of one request behind the fields of another: proof of possession fails."""
    one, other = make(named("pump-1")), make(named("pump-2"), key=KEYS[1])
    signed = x509.load_der_x509_csr(one).tbs_certrequest_bytes
    tail = bytes.fromhex("300a06082a8648ce3d040302")
    signature = x509.load_der_x509_csr(other).signature
    body = signed + tail + bytes((3, len(signature) + 1, 0)) + signature
    with pytest.raises(RequestError, match="not signed by its own key"):
        RequestReader().read(b"\x30\x81" + bytes((len(body),)) + body)


def test_a_request_that_is_too_large() -> None:
    with pytest.raises(RequestError, match="too large"):
        RequestReader().read(b"\x30" + bytes(100_000))


# ---- bare public keys


@given(st.binary(min_size=64, max_size=64))
def test_points_off_the_curve(point: bytes) -> None:
    spki = spki_of(KEYS[0].public_key())[:27] + point
    try:
        load_der_public_key(spki)
    except ValueError:
        assert not is_p256_key(spki)
        with pytest.raises(EncodingError):
            BulkRequest.of_key(spki)
    else:
        assert is_p256_key(spki)


def test_points_on_the_curve() -> None:
    """A key, the same with y negated (its twin on the curve), with y off by one, with x beyond p, and zero."""
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    for _ in range(50):
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        numbers, head = key.public_numbers(), spki_of(key)[:27]
        for x, y in ((numbers.x, numbers.y), (numbers.x, p - numbers.y)):
            spki = head + x.to_bytes(32, "big") + y.to_bytes(32, "big")
            assert is_p256_key(spki)
            assert load_der_public_key(spki)
            assert not is_p256_key(spki + b"\x00")
        for x, y in ((numbers.x, numbers.y ^ 1), (0, 0), (p, numbers.y), ((numbers.x + 1) % p, numbers.y)):
            assert not is_p256_key(head + x.to_bytes(32, "big") + y.to_bytes(32, "big"))
    # x = 5 is on the curve; x = 5 + p has the same rest, fits into 32 octets, and is another writing of it.
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    x, y = next(
        (x, y) for x in range(1, 50) if pow(y := pow(x**3 - 3 * x + b, (p + 1) // 4, p), 2, p) == (x**3 - 3 * x + b) % p
    )
    assert is_p256_key(head + x.to_bytes(32, "big") + y.to_bytes(32, "big"))
    assert not is_p256_key(head + (x + p).to_bytes(32, "big") + y.to_bytes(32, "big"))


def test_other_kinds_of_keys() -> None:
    request = BulkRequest.of_key(spki_of(P384.public_key()))
    assert request.key_type == "ec-p384"
    assert request.in_full().public_key == P384.public_key()
    compressed = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), KEYS[0].public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    )
    assert BulkRequest.of_key(spki_of(compressed)).spki == spki_of(KEYS[0].public_key())
    with pytest.raises(EncodingError):
        BulkRequest.of_key(b"no key")
