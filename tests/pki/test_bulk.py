"""The bulk path makes what the ordinary path makes, octet for octet, and refuses what it refuses."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from leafward.errors import KeyUnavailable, LeafwardError, RequestError, RuleViolation
from leafward.keys.serial import new_serials
from leafward.pki.bulk import CHECKED_ONE_IN, BulkIssuer
from leafward.pki.bulk_request import BulkRequest
from leafward.pki.chain import Chain, is_issued_by
from leafward.pki.issuer import Issuer
from leafward.pki.names import HostName
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.rule import Context
from leafward.pki.rules import check
from leafward.pki.validity import FOREVER, Validity
from tests.pki.issuing import openssl_verify

KINDS = ("device_ca", "device_identity", "leaf_device", "verification", "workload_ca", "intermediate_ca")
KEY_TYPES = ("ec-p256", "ec-p384", "rsa-2048", "ed25519", "ml-dsa-44")
SIGNERS = ("ec-p256", "ec-p384", "rsa-2048", "ed25519")


def outcome(make: Any) -> Any:
    """What was made, or the refusal with its code."""
    try:
        return make()
    except LeafwardError as error:
        return type(error), getattr(error, "code", None)


def tbs_of(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).tbs_certificate_bytes


@pytest.fixture(scope="module")
def signers(hierarchy) -> dict[str, Any]:
    return {key_type: hierarchy(1, key_type) for key_type in SIGNERS}


@pytest.fixture(scope="module")
def public_keys(hierarchy) -> dict[str, list[Any]]:
    return {kind: [hierarchy.key(kind, f"device {n}").public_key() for n in range(2)] for kind in KEY_TYPES}


plain_names = st.from_regex(r"[a-zA-Z0-9._:-]([a-zA-Z0-9 ._:-]{0,62}[a-zA-Z0-9._:-])?", fullmatch=True) | st.text(
    st.characters(min_codepoint=0xC0, max_codepoint=0x24F), min_size=1, max_size=30
)
odd_names = st.text(max_size=70) | st.sampled_from(
    [
        "Test Root CA",
        "test intermediate ca 0",
        "GATEWAY.CA",
        "iotedge workload ca",
        "*.example",
        " a",
        "a ",
        "a\n",
        "ß" * 33,
    ]
)
# At most one thing is unusual, so that refusals can be compared.
ODDITIES = ("name", "serial", "now", "lifetime", "hosts", "permit_dns", "asks_for_ca", "serial_number")


@dataclass
class Case:
    """One request and its circumstances; two in three are such that a certificate is made."""

    kind: str
    request: CertificateRequest
    name: str
    serial: int
    later: timedelta
    lifetime: timedelta | None


@st.composite
def cases(draw: Any, public_keys: Any) -> Case:
    odd = draw(st.none() | st.none() | st.sampled_from(ODDITIES))
    kind = draw(st.sampled_from(KINDS))
    number = "SN-1" if kind == "device_identity" else None
    request = CertificateRequest(
        public_key=draw(st.sampled_from(public_keys[draw(st.sampled_from(KEY_TYPES))])),
        common_name=draw(st.none() | st.just("as the request has it")),
        serial_number=draw(st.sampled_from([None, "SN-2", "no_underscore", "x" * 65]))
        if odd == "serial_number"
        else number,
        hosts=(HostName("pump"),) if odd == "hosts" else (),
        permit_dns=("site.example",) if odd == "permit_dns" else (),
        asks_for_ca=odd == "asks_for_ca",
    )
    days = st.integers(1, 3000).map(lambda n: timedelta(days=n))
    return Case(
        kind=kind,
        request=request,
        name=draw(odd_names if odd == "name" else plain_names),
        serial=draw(st.integers(-1, 1 << 161) if odd == "serial" else st.integers(1 << 119, (1 << 159) - 1)),
        later=timedelta(seconds=draw(st.integers(-8000, 10**9) if odd == "now" else st.integers(0, 10**7))),
        lifetime=draw(st.just(FOREVER) | st.timedeltas(timedelta(-1), timedelta(30)))
        if odd == "lifetime"
        else draw(days),
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_equal_to_the_ordinary_path(signers, public_keys, data: st.DataObject) -> None:
    """Any issuer, profile, key, name, serial number and validity: the same TBS, or the same refusal."""
    made = signers[data.draw(st.sampled_from(SIGNERS), "issuer's key")]
    case = data.draw(cases(public_keys))
    kind, request, now = profile(case.kind), case.request, made.now + case.later
    below = ("leaf_device", "verification", "workload_ca")
    above = (
        made.device_ca if case.kind in below else made.intermediates[0] if case.kind != "intermediate_ca" else made.root
    )

    def ordinary() -> bytes:
        named = replace(request, common_name=case.name)
        prepared = above.prepare(kind, named, now=now, serial=case.serial, lifetime=case.lifetime)
        return prepared.sign().leaf.tbs_certificate_bytes

    def bulk() -> bytes:
        issuer = BulkIssuer(above, kind, now=now, lifetime=case.lifetime)
        first = issuer.issue(request, case.name, case.serial)
        second = issuer.issue(BulkRequest.of(request), case.name, case.serial)
        assert tbs_of(first) == tbs_of(second)
        assert issuer.validity == Validity.of(x509.load_der_x509_certificate(second))
        return tbs_of(first)

    expected, got = outcome(ordinary), outcome(bulk)
    event("made" if isinstance(expected, bytes) else "refused")
    assert got == expected


@pytest.mark.parametrize(
    ("kind", "changes", "name", "code"),
    [
        ("leaf_device", {}, "Test Root CA", None),
        ("leaf_device", {}, "gateway.ca", "issuer-same-name-as-server"),
        ("leaf_device", {"asks_for_ca": True}, "pump-7", RequestError),
        ("leaf_device", {"hosts": (HostName("pump"),)}, "pump-7", RequestError),
        ("leaf_device", {"serial_number": "1"}, "pump-7", RequestError),
        ("leaf_device", {}, "x" * 65, "common-name-too-long"),
        ("device_ca", {"permit_dns": ("site.example",)}, "pump-7", None),
    ],
)
def test_each_refusal_by_its_code(hierarchy, gateway, kind: str, changes: Any, name: str, code: Any) -> None:
    """A request in a batch that may not be: its place holds the refusal, and its neighbours are issued."""
    above = gateway.device_ca if kind == "leaf_device" else gateway.intermediates[0]
    issuer = BulkIssuer(above, profile(kind), now=gateway.now)
    good = BulkRequest.of(CertificateRequest(public_key=hierarchy.key().public_key()))
    odd = BulkRequest.of(CertificateRequest(public_key=hierarchy.key().public_key(), **changes))
    one, two, three = issuer.issue_batch(
        [(good, "a", hierarchy.serial()), (odd, name, hierarchy.serial()), (good, "b", hierarchy.serial())]
    )
    assert isinstance(one, bytes)
    assert isinstance(three, bytes)
    if code is None:
        assert isinstance(two, bytes)
    elif isinstance(code, str):
        assert isinstance(two, RuleViolation)
        assert two.code == code
    else:
        assert isinstance(two, code)


@pytest.mark.parametrize("kind", ["device_ca", "device_identity", "leaf_device"])
@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
def test_rules_and_openssl(signers, hierarchy, tmp_path: Path, kind: str, key_type: str) -> None:
    """A leaf, device identity or device CA of a batch: no rule finds anything, `openssl verify -x509_strict` is OK."""
    made = signers[key_type]
    above = made.device_ca if kind == "leaf_device" else made.intermediates[0]
    number = "SN-1" if kind == "device_identity" else None
    keys = [hierarchy.key() for _ in range(3)]
    asked = [
        (BulkRequest.of(CertificateRequest(public_key=key.public_key(), serial_number=number)), f"pump-{n}", serial)
        for n, (key, serial) in enumerate(zip(keys, new_serials(3), strict=True))
    ]
    for key, der in zip(keys, BulkIssuer(above, profile(kind), now=made.now).issue_batch(asked), strict=True):
        assert isinstance(der, bytes)
        chain = Chain((x509.load_der_x509_certificate(der), *above.chain))
        purpose: Any = "ca" if kind == "device_ca" else "client"
        context = Context(
            chain=chain,
            now=made.now,
            anchors=(chain.top,),
            purpose=purpose,
            key=key.public_key(),
            depth_below=int(kind == "device_ca"),
        )
        # The hierarchy was allowed to keep RSA-2048 past 2030.
        assert {finding.code for finding in check(context)} <= {"key-past-its-date"}
        assert openssl_verify(chain, tmp_path, at=made.now) == "OK"


def test_a_server_certificate_goes_the_ordinary_way(hierarchy, gateway) -> None:
    issuer = BulkIssuer(gateway.workload_ca, profile("hub_server"), now=gateway.now)
    request = CertificateRequest(public_key=hierarchy.key().public_key(), hosts=(HostName("gateway.example"),))
    der = issuer.issue(request, "gateway.example", hierarchy.serial())
    san = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert san.value.get_values_for_type(x509.DNSName) == ["gateway.example"]


def test_below_a_fenced_ca_every_request_is_judged(hierarchy, gateway) -> None:
    """leaf <- device CA fenced to site.example: a common name that looks like a DNS name elsewhere is refused."""
    key = hierarchy.key()
    request = CertificateRequest(public_key=key.public_key(), common_name="fenced.ca", permit_dns=("site.example",))
    prepared = gateway.intermediates[0].prepare(
        profile("device_ca"), request, now=gateway.now, serial=hierarchy.serial()
    )
    issuer = BulkIssuer(Issuer(prepared.sign(), key), profile("leaf_device"), now=gateway.now)
    pump = BulkRequest.of(CertificateRequest(public_key=hierarchy.key().public_key()))
    within, outside = issuer.issue_batch(
        [(pump, "pump.site.example", hierarchy.serial()), (pump, "pump.other.example", hierarchy.serial())]
    )
    assert isinstance(within, bytes)
    assert isinstance(outside, RuleViolation)
    assert outside.code == "name-constraint-violated"


# ---- keys that cannot be trusted


class Handle(ec.EllipticCurvePrivateKey):
    """A key in a device that fails from the n-th signature on, or only at it."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, spoil: Any) -> None:
        self._key, self._spoil, self.count = key, spoil, 0

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        self.count += 1
        return self._spoil(self.count, self._key.sign(data, signature_algorithm))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._key.curve

    @property
    def key_size(self) -> int:
        return self._key.key_size

    def exchange(self, *_: Any) -> bytes:
        raise NotImplementedError

    private_bytes = private_numbers = __copy__ = __deepcopy__ = exchange  # type: ignore[assignment]


def spoiled(gateway: Any, hierarchy: Any, spoil: Any, size: int) -> Any:
    key = hierarchy.key()
    request = CertificateRequest(public_key=key.public_key(), common_name="Factory")
    prepared = gateway.root.prepare(
        profile("intermediate_ca"), request, now=gateway.now, serial=hierarchy.serial(), path_length=2
    )
    issuer = Issuer(prepared.sign(), Handle(key, spoil))
    asked = BulkRequest.of(CertificateRequest(public_key=hierarchy.key().public_key()))
    serials = new_serials(size)
    bulk = BulkIssuer(issuer, profile("device_ca"), now=gateway.now)
    return outcome(lambda: bulk.issue_batch([(asked, f"pump-{n}", serial) for n, serial in enumerate(serials)]))


def flip(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _, signature: flip(signature), id="always wrong"),
        pytest.param(lambda count, signature: flip(signature) if count == 1 else signature, id="the first"),
        pytest.param(lambda count, signature: flip(signature) if count >= 5 else signature, id="from the fifth on"),
        pytest.param(lambda count, signature: flip(signature) if count == 300 else signature, id="the last"),
        pytest.param(lambda count, signature: b"" if count == 5 else signature, id="empty"),
        pytest.param(lambda count, signature: signature[:-1] if count == 5 else signature, id="cut off"),
        pytest.param(
            lambda count, signature: flip(signature) if count == CHECKED_ONE_IN + 1 else signature, id="a sampled one"
        ),
    ],
)
def test_a_wrong_signature_spoils_the_batch(hierarchy, gateway, spoil: Any) -> None:
    assert spoiled(gateway, hierarchy, spoil, 300) == (RuleViolation, "signature-invalid")


def test_a_key_that_goes_away_stops_the_batch(hierarchy, gateway) -> None:
    def gone(count: int, signature: bytes) -> bytes:
        if count == 3:
            raise KeyUnavailable("the token is gone")
        return signature

    assert spoiled(gateway, hierarchy, gone, 5) == (KeyUnavailable, None)


def test_every_signature_is_verified_where_asked(hierarchy, gateway) -> None:
    spoil = lambda count, signature: flip(signature) if count == 3 else signature  # noqa: E731
    handle = Handle(gateway.intermediates[0].key, spoil)
    bulk = BulkIssuer(
        Issuer(gateway.intermediates[0].chain, handle), profile("device_ca"), now=gateway.now, checked_one_in=1
    )
    asked = BulkRequest.of(CertificateRequest(public_key=hierarchy.key().public_key()))
    batch = [(asked, f"pump-{n}", serial) for n, serial in enumerate(new_serials(5))]
    assert outcome(lambda: bulk.issue_batch(batch)) == (RuleViolation, "signature-invalid")


def test_an_issuer_that_may_not_sign_is_refused_at_once(gateway) -> None:
    """The clock stands before the issuer's notBefore; the issuer is of the wrong kind; it has expired."""
    above = gateway.intermediates[0]
    early = above.chain.leaf.not_valid_before_utc - timedelta(seconds=1)
    late = above.chain.leaf.not_valid_after_utc + timedelta(seconds=1)
    assert outcome(lambda: BulkIssuer(above, profile("device_ca"), now=early))[1] == "certificate-not-yet-valid"
    assert outcome(lambda: BulkIssuer(above, profile("device_ca"), now=late))[1] == "certificate-expired"
    assert outcome(lambda: BulkIssuer(gateway.device_ca, profile("device_ca"), now=gateway.now))[0] is RuleViolation


def test_serial_numbers_of_a_batch() -> None:
    drawn = new_serials(1000)
    assert len(set(drawn)) == 1000
    assert {serial.bit_length() for serial in drawn} == {159}


def test_all_of_a_large_batch(hierarchy, gateway) -> None:
    """Every one of 400 verifies, though only some were looked at."""
    above = gateway.intermediates[0]
    keys = [hierarchy.key().public_key() for _ in range(400)]
    asked = [
        (BulkRequest.of_key(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)), f"pump-{n}", serial)
        for n, (key, serial) in enumerate(zip(keys, new_serials(400), strict=True))
    ]
    for n, der in enumerate(BulkIssuer(above, profile("device_ca"), now=gateway.now).issue_batch(asked)):
        certificate = x509.load_der_x509_certificate(der)  # type: ignore[arg-type]
        assert is_issued_by(certificate, above.chain.leaf)
        assert certificate.subject.rfc4514_string() == f"CN=pump-{n}"
        assert certificate.public_key() == keys[n]
