"""What every key backend promises (`KeyStore`), run against each of them.

A backend is one line in STORES: a function that answers with a function that opens the store (each call as another
process would, or the same object where keys end with it) and a function from a label to a reference. No key is asked
for its private bytes: keys in an HSM have none to give.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from leafward.errors import AlreadyExists, NotFound, SettingsError
from leafward.keys.files import FileKeyStore
from leafward.keys.key_store import KeyReference, KeyStore, PrivateKey
from leafward.keys.memory import MemoryKeyStore
from leafward.keys.passphrase import Passphrases, in_use, use
from leafward.pki.key_types import KEY_TYPES, PRIVATE_KEY_CLASSES, KeyType, key_type_of


@dataclass
class Backend:
    open: Callable[[], KeyStore]
    reference: Callable[[str], KeyReference]
    key_types: tuple[str, ...] = tuple(KEY_TYPES)


def files(request: pytest.FixtureRequest) -> Backend:
    folder = request.getfixturevalue("tmp_path") / "keys"
    return Backend(FileKeyStore, lambda label: KeyReference("file", str(folder / label)))


class EncryptedFiles(FileKeyStore):
    """As whoever makes a key under a passphrase calls it; loading asks the process's passphrases."""

    def generate(
        self, reference: KeyReference, key_type: KeyType, passphrases: Passphrases | None = None
    ) -> PrivateKey:
        return super().generate(reference, key_type, passphrases or in_use())


def encrypted_files(request: pytest.FixtureRequest) -> Backend:
    secret = request.getfixturevalue("tmp_path") / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o600)
    use(Passphrases(file=secret, encrypt_new=True))
    return replace(files(request), open=EncryptedFiles)


def memory(_: pytest.FixtureRequest) -> Backend:
    store = MemoryKeyStore()
    return Backend(lambda: store, lambda label: KeyReference("memory", label))


def token(request: pytest.FixtureRequest) -> Backend:
    hsm = request.getfixturevalue("soft_hsm")
    from leafward.keys.pkcs11 import Pkcs11KeyStore
    from leafward.keys.pkcs11_objects import MADE_HERE

    return Backend(Pkcs11KeyStore, hsm.reference, MADE_HERE)


def tpm(request: pytest.FixtureRequest) -> Backend:
    folder = request.getfixturevalue("swtpm").folder
    from leafward.keys.tpm import TpmKeyStore

    types = ("ec-p256", "ec-p384", "rsa-2048")
    return Backend(TpmKeyStore, lambda label: KeyReference("tpm", str(folder / "keys" / label)), types)


STORES = {"file": files, "encrypted file": encrypted_files, "memory": memory, "pkcs11": token, "tpm": tpm}
P256 = KEY_TYPES["ec-p256"]
PASSPHRASE = "under the ninth flagstone"


@pytest.fixture(params=STORES)
def backend(request: pytest.FixtureRequest) -> Backend:
    return STORES[request.param](request)


def public_bytes(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def sign_and_verify(key: PrivateKey, data: bytes = b"leafward") -> None:
    public = key.public_key()
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(key.sign(data, ec.ECDSA(hashes.SHA256())), data, ec.ECDSA(hashes.SHA256()))
    elif isinstance(key, rsa.RSAPrivateKey) and isinstance(public, rsa.RSAPublicKey):
        for scheme in (padding.PKCS1v15(), padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)):
            public.verify(key.sign(data, scheme, hashes.SHA256()), data, scheme, hashes.SHA256())
    else:
        public.verify(key.sign(data), data)


def certificate_from(key: PrivateKey, key_type: KeyType) -> x509.Certificate:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "contract")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, key_type.signature_hash)


@pytest.mark.parametrize("name", [name for name in KEY_TYPES if name not in ("rsa-3072", "rsa-4096")])
def test_generated_key_is_of_its_type_and_signs(backend: Backend, name: str) -> None:
    """generate -> a cryptography private key of that type that signs bytes, a certificate and a CSR."""
    if name not in backend.key_types:
        pytest.skip(f"the backend has no {name} keys")
    key_type = KEY_TYPES[name]
    key = backend.open().generate(backend.reference("one"), key_type)
    assert isinstance(key, PRIVATE_KEY_CLASSES)
    assert key_type_of(key.public_key()) is key_type
    sign_and_verify(key)
    certificate = certificate_from(key, key_type)
    certificate.verify_directly_issued_by(certificate)
    request = x509.CertificateSigningRequestBuilder(certificate.subject).sign(key, key_type.signature_hash)
    assert request.is_signature_valid


def test_loaded_key_is_the_generated_one(backend: Backend) -> None:
    reference = backend.reference("one")
    generated = backend.open().generate(reference, P256)
    loaded = backend.open().load(reference)
    assert public_bytes(loaded) == public_bytes(generated)
    sign_and_verify(loaded)


def test_each_key_is_another(backend: Backend) -> None:
    store = backend.open()
    keys = [store.generate(backend.reference(label), P256) for label in "abc"]
    assert len(set(map(public_bytes, keys))) == 3
    assert [public_bytes(store.load(backend.reference(label))) for label in "abc"] == list(map(public_bytes, keys))


def test_generate_never_overwrites(backend: Backend) -> None:
    """generate twice -> AlreadyExists, and the first key stays."""
    reference = backend.reference("one")
    first = backend.open().generate(reference, P256)
    with pytest.raises(AlreadyExists, match="one"):
        backend.open().generate(reference, KEY_TYPES["ec-p384"])
    assert public_bytes(backend.open().load(reference)) == public_bytes(first)


def test_of_several_generators_one_succeeds(backend: Backend) -> None:
    """6 threads generate one reference at once -> one key given out, and that one is kept."""
    reference, start = backend.reference("one"), threading.Barrier(6)
    made: list[bytes] = []
    refused: list[AlreadyExists] = []

    def generate() -> None:
        store = backend.open()
        start.wait()
        try:
            made.append(public_bytes(store.generate(reference, P256)))
        except AlreadyExists as error:
            refused.append(error)

    in_threads(generate, 6)
    assert made == [public_bytes(backend.open().load(reference))]
    assert len(refused) == 5


def test_missing_key(backend: Backend) -> None:
    reference = backend.reference("gone")
    assert not backend.open().exists(reference)
    with pytest.raises(NotFound, match="gone"):
        backend.open().load(reference)


def test_deleted_key_is_gone_and_its_name_free(backend: Backend) -> None:
    reference = backend.reference("one")
    first = backend.open().generate(reference, P256)
    assert backend.open().exists(reference)
    backend.open().delete(reference)
    assert not backend.open().exists(reference)
    with pytest.raises(NotFound):
        backend.open().load(reference)
    assert public_bytes(backend.open().generate(reference, P256)) != public_bytes(first)


def test_delete_can_be_repeated_and_spares_the_others(backend: Backend) -> None:
    store = backend.open()
    store.generate(backend.reference("one"), P256)
    store.generate(backend.reference("one2"), P256)
    for _ in range(2):
        store.delete(backend.reference("one"))
    assert store.exists(backend.reference("one2"))


def test_one_key_signs_in_many_threads(backend: Backend) -> None:
    key = backend.open().generate(backend.reference("one"), P256)
    in_threads(lambda: [sign_and_verify(key, bytes([number])) for number in range(25)], 6)


def test_reference_of_another_backend_is_refused(backend: Backend) -> None:
    other, store = KeyReference("elsewhere", "one"), backend.open()
    for call in (store.load, store.exists, store.delete, lambda reference: store.generate(reference, P256)):
        with pytest.raises(SettingsError):
            call(other)


def test_scheme_is_the_references(backend: Backend) -> None:
    assert backend.open().scheme == backend.reference("one").scheme


def test_nothing_shows_key_bytes(backend: Backend) -> None:
    """repr and str of store, reference and key -> no PEM, and nothing long enough to be a key."""
    reference = backend.reference("one")
    store = backend.open()
    key = store.generate(reference, P256)
    for thing in (store, reference, key):
        for text in (repr(thing), str(thing)):
            assert "PRIVATE" not in text
            assert len(text) < 200


def in_threads(work: Callable[[], object], count: int) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
