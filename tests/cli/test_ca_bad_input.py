"""What the authority refuses, one test a defect: an error with what, why and what to do; nothing is half-issued."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.edge import leafward, leafward_json
from tests.pki.chain_forge import root as forged_root

DEFECTS: dict[str, tuple[Callable[[], bytes], str]] = {}


def defect(words: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Registers a bad request under its function's name, with words that its refusal must have."""

    def register(make: Callable[[], bytes]) -> Callable[[], bytes]:
        DEFECTS[make.__name__] = (make, words)
        return make

    return register


def request(*extensions: tuple[x509.ExtensionType, bool], name: str = "pump-7", key: object = None) -> bytes:
    """A PKCS#10 request, PEM."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


def san(*names: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectAlternativeName(names), False


@defect("does not decode")
def malformed() -> bytes:
    return b"-----BEGIN CERTIFICATE REQUEST-----\nMAoGCCqGSM49BAMC\n-----END CERTIFICATE REQUEST-----\n"


@defect("certificate request")
def a_certificate_instead() -> bytes:
    return forged_root().certificate.public_bytes(Encoding.PEM)


@defect("no bytes")
def empty() -> bytes:
    return b""


@defect("too large")
def oversized() -> bytes:
    return request() + b"\n" * 1_000_000


@defect("too large")
def oversized_by_its_names() -> bytes:
    return request(san(*(x509.DNSName(f"host-{number}.example") for number in range(2000))))


@defect("not signed by its own key")
def wrongly_signed() -> bytes:
    der = bytearray(x509.load_pem_x509_csr(request()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return bytes(der)


@defect("signed by its own key")
def signed_for_another_name() -> bytes:
    der = x509.load_pem_x509_csr(request(name="pump-7")).public_bytes(Encoding.DER)
    return der.replace(b"pump-7", b"pump-8")


@defect("too short")
def weak_rsa_key() -> bytes:
    return request(key=rsa.generate_private_key(65537, 1024))


@defect("exponent")
def small_rsa_exponent() -> bytes:
    return request(key=rsa.generate_private_key(3, 2048))


@defect("secp192r1")
def weak_curve() -> bytes:
    return request(key=ec.generate_private_key(ec.SECP192R1()))


@defect("*.site7.example")
def wildcard_as_alternative_name() -> bytes:
    return request(san(x509.DNSName("*.site7.example")))


@defect("*.site7.example")
def wildcard_as_common_name() -> bytes:
    return request(name="*.site7.example")


@defect("*.site7.example")
def wildcard_behind_a_zero_byte() -> bytes:
    return request(san(x509.DNSName("pump-7"), x509.DNSName("*.site7.example\0.good.example")))


@defect("asks to be a CA")
def ca_true() -> bytes:
    return request((x509.BasicConstraints(ca=True, path_length=None), True))


@defect("asks to be a CA")
def key_cert_sign() -> bytes:
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    more = {"key_cert_sign": True, "crl_sign": False, "encipher_only": False, "decipher_only": False}
    return request((x509.KeyUsage(**usage, **more), True))


@defect("no hosts")
def an_alternative_name_that_the_profile_has_not() -> bytes:
    return request(san(x509.DNSName("pump-7.example")))


@defect("no uris")
def a_uri_that_the_profile_has_not() -> bytes:
    return request(san(x509.UniformResourceIdentifier("azureiot://hub/devices/pump-7")))


@defect("kind of name")
def a_mail_address() -> bytes:
    return request(san(x509.RFC822Name("pump-7@example.com")))


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a root that nothing is issued from."""
    home = tmp_path_factory.mktemp("maker")
    assert leafward("ca", "init", "--cn", "Root", home=home).returncode == 0
    return home


def files_in(folder: Path) -> list[Path]:
    """Everything but the ledger, which is made when it is first asked."""
    return sorted(path for path in folder.rglob("*") if not {"log", "maker.db", "maker.lock"} & {*path.parts})


def refused(home: Path, folder: Path, *arguments: str) -> str:
    """Runs a command that must be refused and leave nothing: neither a file nor an entry. What it said."""
    before = files_in(folder)
    listed = leafward_json("ca", "list", "--all", home=home)
    done = leafward("ca", *arguments, home=home, cwd=folder)
    assert done.returncode == 3, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert "next: " in done.stderr
    assert files_in(folder) == before
    assert leafward_json("ca", "list", "--all", home=home) == listed
    return done.stderr


@pytest.mark.parametrize("case", DEFECTS)
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_bad_request(maker: Path, tmp_path: Path, case: str) -> None:
    make, words = DEFECTS[case]
    (tmp_path / "bad.csr").write_bytes(make())
    said = refused(maker, tmp_path, "leaf", "pump-7", "--csr", "bad.csr")
    assert words.lower() in said.lower()
    said = refused(maker, tmp_path, "sign", "bad.csr", "--profile", "leaf_device", "--name", "pump-7")
    assert words.lower() in said.lower()


def test_a_name_in_use(tmp_path: Path) -> None:
    assert leafward("ca", "init", "--cn", "Root", home=tmp_path / "home").returncode == 0
    assert leafward("ca", "leaf", "pump-7", home=tmp_path / "home", cwd=tmp_path).returncode == 0
    for arguments in (["init", "--cn", "Root"], ["init", "--cn", "ROOT"], ["intermediate", "Root"]):
        assert "exists" in refused(tmp_path / "home", tmp_path, *arguments)
    assert "pump-7" in refused(tmp_path / "home", tmp_path, "leaf", "pump-7", "--out", "again")
    (tmp_path / "again.csr").write_bytes(request())
    said = refused(tmp_path / "home", tmp_path, "sign", "again.csr", "--profile", "leaf_device")
    assert "pump-7" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["leaf", "pump-7", "--days", "999999"],
        ["device", "gw.ca", "--days", "999999"],
        ["intermediate", "Factory", "--days", "999999"],
        ["intermediate", "Factory", "--forever"],
        ["leaf", "gw", "--profile", "device_identity", "--serial-number", "7", "--forever"],
        ["device", "gw.ca", "--with-identity", "--forever"],
    ],
)
def test_a_lifetime_beyond_the_issuers(maker: Path, tmp_path: Path, arguments: list[str]) -> None:
    said = refused(maker, tmp_path, *arguments)
    assert "outlive" in said
    assert "days or fewer" in said


def test_a_leaf_must_end(tmp_path: Path) -> None:
    assert leafward("ca", "init", "--cn", "Root", "--forever", home=tmp_path / "home").returncode == 0
    assert "must end" in refused(tmp_path / "home", tmp_path, "leaf", "pump-7", "--forever")


def test_a_clock_before_the_issuers_beginning(tmp_path: Path) -> None:
    """A root that begins tomorrow: today's clock is wrong, or its maker's was."""
    start = datetime.now(UTC) + timedelta(days=1)
    future = forged_root("Future Root", not_before=start, not_after=start + timedelta(days=900))
    folder = tmp_path / "home" / "maker" / "authorities" / "future-root"
    folder.mkdir(parents=True)
    (folder / "certificate.pem").write_bytes(future.certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(future.key_pem)
    (folder / "key.pem").chmod(0o600)
    for arguments in (["leaf", "pump-7"], ["device", "gw.ca"], ["intermediate", "Factory"]):
        said = refused(tmp_path / "home", tmp_path, *arguments)
        assert "not valid yet" in said
        assert "clock" in said


def test_a_request_of_a_leaf_for_a_ca_is_not_signed_as_one_by_openssl_defaults(maker: Path, tmp_path: Path) -> None:
    """openssl's own `v3_ca` request section, sent where a leaf certificate is meant."""
    subprocess.run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=pump-7",
         "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "k.pem", "-out", "bad.csr"],
        check=True, capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    assert "asks to be a CA" in refused(maker, tmp_path, "leaf", "pump-7", "--csr", "bad.csr")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["device", "gw.ca", "--permit-dns", "*.site7.example"], "site7.example"),
        (["device", "gw.ca", "--permit-ip", "10.7.0.1/16"], "10.7.0.0/16"),
        (["device", "gw.ca", "--policy", "seven"], "policy"),
        (["import", "/no/such.pem"], "does not exist"),
        (["cross-sign", "root", "--by", "root"], "cannot cross-sign"),
        (["cross-sign", "root", "--by", "nobody"], "none matches"),
        (["rollover", "nobody"], "none matches"),
        (["ceremony", "show", "."], "request.json"),
        (["ceremony", "import", "."], "response.json"),
    ],
)
def test_other_wrong_words(maker: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    assert words in refused(maker, tmp_path, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["device", "gw.ca", "--forever"],
        ["device", "gw.ca", "--serial-number", "7"],
        ["device", "gw.ca", "--with-identity", "--identity-csr", "x.csr"],
        ["init", "--cn", "New", "--days", "7", "--forever"],
        ["cross-sign", "root"],
    ],
)
def test_options_that_do_not_go_together(maker: Path, tmp_path: Path, arguments: list[str]) -> None:
    done = leafward("ca", *arguments, home=maker, cwd=tmp_path)
    assert done.returncode == 2
    assert "next: " in done.stderr
    assert list(tmp_path.iterdir()) == []
