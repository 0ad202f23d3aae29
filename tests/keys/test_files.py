"""keys/files.py: what is refused on load, and with which words."""

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.x509.oid import NameOID

from leafward.errors import AlreadyExists, KeyUnavailable, NotFound, SettingsError
from leafward.keys.encrypted_pkcs8 import encrypted_pem
from leafward.keys.files import FileKeyStore
from leafward.keys.key_store import KeyReference
from leafward.keys.passphrase import Passphrases, use
from leafward.pki.key_types import KEY_TYPES

PEM = serialization.Encoding.PEM
PKCS8, TRADITIONAL = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
PLAIN, ENCRYPTED = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"1234")
P256 = KEY_TYPES["ec-p256"]
STORE = FileKeyStore()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "ca" / "key.pem"


def reference_to(path: Path) -> KeyReference:
    return KeyReference("file", str(path))


def put(path: Path, data: bytes, mode: int = 0o600) -> KeyReference:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return reference_to(path)


def an_ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_file_is_pkcs8_pem_0600_in_a_0700_folder(path: Path) -> None:
    STORE.generate(reference_to(path), P256)
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644, 0o660, 0o777], ids=oct)
def test_too_open_file_is_refused(path: Path, mode: int) -> None:
    """A good key that others may touch -> KeyUnavailable that says chmod 600."""
    reference = put(path, an_ec_key().private_bytes(PEM, PKCS8, PLAIN), mode)
    with pytest.raises(KeyUnavailable, match=f"got mode {mode:04o}, expected 0600") as caught:
        STORE.load(reference)
    assert f"chmod 600 {path}" in (caught.value.hint or "")


def test_file_that_is_even_more_private_is_taken(path: Path) -> None:
    STORE.load(put(path, an_ec_key().private_bytes(PEM, PKCS8, PLAIN), 0o400))


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL], ids=["PKCS#8", "SEC 1 or PKCS#1"])
@pytest.mark.parametrize("key", [an_ec_key(), rsa.generate_private_key(65537, 2048)], ids=["ec", "rsa"])
def test_encrypted_key_opens_with_its_passphrase_only(path: Path, key, form) -> None:
    """Others' encrypted keys: none -> what to do; a wrong one -> refused at once, unsaid; the right one -> the key."""
    reference = put(path, key.private_bytes(PEM, form, ENCRYPTED))
    with pytest.raises(KeyUnavailable, match="is encrypted") as none:
        STORE.load(reference)
    assert "--passphrase-file" in (none.value.hint or "")
    asked: list[str] = []
    with pytest.raises(KeyUnavailable, match="does not open") as wrong:
        STORE.load(reference, Passphrases(ask=lambda prompt: asked.append(prompt) or "not 1234"))
    assert len(asked) == 1
    assert "not 1234" not in f"{wrong.value} {wrong.value.hint} {wrong.value!r}"
    assert wrong.value.__cause__ is None
    assert STORE.load(reference, Passphrases(ask=lambda _: "1234")).public_key() == key.public_key()


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048", "ed25519", "ml-dsa-65"])
def test_new_encrypted_key(path: Path, key_type: str) -> None:
    """encrypt_new -> PKCS#8 under scrypt and AES-256, which cryptography and, for what it knows, OpenSSL open."""
    key = STORE.generate(reference_to(path), KEY_TYPES[key_type], Passphrases(encrypt_new=True, ask=lambda _: "längst"))
    pem = path.read_bytes()
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert serialization.load_pem_private_key(pem, "längst".encode()).public_key() == key.public_key()
    with pytest.raises(ValueError, match=r"[Ii]ncorrect|[Bb]ad|decrypt"):
        serialization.load_pem_private_key(pem, b"laengst")
    if key_type != "ml-dsa-65":
        command = ["openssl", "pkey", "-in", str(path), "-passin", "env:PASSPHRASE", "-noout", "-check"]
        subprocess.run(command, check=True, env={**os.environ, "PASSPHRASE": "längst"}, capture_output=True, timeout=30)
    shown = subprocess.run(["openssl", "asn1parse", "-in", str(path)], check=True, capture_output=True, timeout=30)
    assert b":scrypt" in shown.stdout
    assert b":aes-256-cbc" in shown.stdout


def test_no_two_encryptions_are_alike(path: Path, tmp_path: Path) -> None:
    key = an_ec_key()
    assert encrypted_pem(key, "a") != encrypted_pem(key, "a")
    with pytest.raises(ValueError, match="empty"):
        encrypted_pem(key, "")


def test_other_keys_of_the_process_stay_plain(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is there, and the process is told to encrypt -> only whoever hands that on makes encrypted keys."""
    monkeypatch.setenv("LEAFWARD_PASSPHRASE", "1234")
    use(Passphrases(encrypt_new=True))
    STORE.generate(reference_to(path), P256)
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")


@pytest.mark.parametrize("key", [an_ec_key(), rsa.generate_private_key(65537, 2048)], ids=["ec", "rsa"])
def test_traditional_forms_are_read(path: Path, key) -> None:
    assert STORE.load(put(path, key.private_bytes(PEM, TRADITIONAL, PLAIN))).public_key() == key.public_key()


def wrong_objects() -> dict[str, bytes]:
    key = an_ec_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder(name).sign(key, hashes.SHA256())
    pem = key.private_bytes(PEM, PKCS8, PLAIN)
    return {
        "empty": b"",
        "blank": b"\n\n",
        "request": request.public_bytes(PEM),
        "public key": key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "truncated": pem[: len(pem) // 2],
        "damaged": pem.replace(b"A", b"B"),
        "garbage": b"\x00\xff" * 400,
        "text": b"the key is under the mat",
        "two keys": pem + an_ec_key().private_bytes(PEM, PKCS8, PLAIN),
        "a kind that is not used": ed448.Ed448PrivateKey.generate().private_bytes(PEM, PKCS8, PLAIN),
    }


@pytest.mark.parametrize("what", wrong_objects())
def test_wrong_object_is_refused_without_quoting_it(path: Path, what: str) -> None:
    """Anything but one plain private key -> KeyUnavailable that names the file and shows none of its bytes."""
    data = wrong_objects()[what]
    with pytest.raises(KeyUnavailable) as caught:
        STORE.load(put(path, data))
    error = caught.value
    assert str(path) in str(error)
    assert error.why
    assert error.__cause__ is None
    assert error.__suppress_context__
    shown = f"{error} {error.hint} {error!r}"
    for line in data.decode("latin-1").splitlines():
        assert len(line) < 24 or line.startswith("-----") or line not in shown


def test_missing_file_and_folder(path: Path) -> None:
    with pytest.raises(NotFound, match=r"key\.pem"):
        STORE.load(reference_to(path))
    STORE.delete(reference_to(path))


@pytest.mark.parametrize("what", ["folder", "pipe"])
def test_what_is_no_file_is_refused_at_once(path: Path, what: str) -> None:
    path.parent.mkdir(parents=True)
    path.mkdir(mode=0o700) if what == "folder" else os.mkfifo(path, 0o600)
    with pytest.raises(KeyUnavailable, match="is no file"):
        STORE.load(reference_to(path))


def test_link_is_followed_by_load_but_not_written_through(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.pem"
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    with pytest.raises(AlreadyExists):
        STORE.generate(reference_to(path), P256)
    assert not elsewhere.exists()
    put(elsewhere, an_ec_key().private_bytes(PEM, PKCS8, PLAIN))
    STORE.load(reference_to(path))


def test_delete_takes_what_a_kill_left(path: Path) -> None:
    """generate killed before its last step leaves '.key.pem.….new' -> delete removes it, and nothing else."""
    put(path.with_name(".key.pem.0123abcd.new"), b"half a key")
    other = put(path.with_name(".other.pem.0123abcd.new"), b"another's")
    STORE.delete(reference_to(path))
    assert [str(entry) for entry in path.parent.iterdir()] == [other.rest]


@pytest.mark.parametrize("rest", ["key.pem", "./key.pem", "~/key.pem", "//host/key.pem"])
def test_path_that_is_not_absolute(rest: str) -> None:
    with pytest.raises(SettingsError, match="absolute path"):
        STORE.load(KeyReference("file", rest))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO], ids=os.strerror)
def test_file_that_cannot_be_read(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The system refuses -> KeyUnavailable with its reason and what to do."""
    reference = reference_to(path)
    STORE.generate(reference, P256)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(KeyUnavailable, match=os.strerror(number)) as caught:
            STORE.load(reference)
    assert caught.value.hint
