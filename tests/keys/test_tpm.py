"""keys/tpm*.py on swtpm: what the file holds, a TPM that goes and comes back, another TPM, little room, forks."""

import os
import ssl
import stat
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("tpm2_pytss", reason="the Python module tpm2_pytss is not installed")

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from leafward.errors import AlreadyExists, KeyUnavailable, SettingsError, UsageError
from leafward.keys.key_reference import KeyReference
from leafward.keys.key_store import generate_key, open_key
from leafward.keys.passphrase import Passphrases
from leafward.keys.serial import new_serial
from leafward.keys.tpm_device import DEVICE
from leafward.pki.issuer import prepare_root
from leafward.pki.key_types import KEY_TYPES
from tests.keys.devices import SwTpm

P256, RSA = KEY_TYPES["ec-p256"], KEY_TYPES["rsa-2048"]
ECDSA = ec.ECDSA(hashes.SHA256())


def reference(tpm: SwTpm, name: str = "key.tpm") -> KeyReference:
    return KeyReference("tpm", str(tpm.folder / "keys" / name))


def check(key: ec.EllipticCurvePrivateKey, data: bytes = b"leafward") -> None:
    key.public_key().verify(key.sign(data, ECDSA), data, ECDSA)


def test_file_is_the_wrapped_key_0600(swtpm: SwTpm) -> None:
    """TSS2 PRIVATE KEY, as tpm2-openssl reads it: fixed to this TPM, made in it, for signing only."""
    from tpm2_pytss.constants import TPMA_OBJECT
    from tpm2_pytss.tsskey import TSSPrivKey

    generate_key(reference(swtpm), P256)
    path = Path(reference(swtpm).rest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_bytes().startswith(b"-----BEGIN TSS2 PRIVATE KEY-----\n")
    attributes = TSSPrivKey.from_pem(path.read_bytes()).public.publicArea.objectAttributes
    wanted = TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN
    assert attributes & wanted == wanted
    assert attributes & TPMA_OBJECT.SIGN_ENCRYPT
    assert not attributes & TPMA_OBJECT.DECRYPT


def test_handle_only_signs(swtpm: SwTpm) -> None:
    key = generate_key(reference(swtpm), P256)
    with pytest.raises(KeyUnavailable, match="only signs"):
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(KeyUnavailable, match="only signs"):
        key.exchange(ec.ECDH(), key.public_key())


def test_hashes_and_paddings(swtpm: SwTpm) -> None:
    key = generate_key(reference(swtpm, "ec"), P256)
    rsa_key = generate_key(reference(swtpm, "rsa"), RSA)
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    for algorithm in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        key.public_key().verify(key.sign(b"data", ec.ECDSA(algorithm)), b"data", ec.ECDSA(algorithm))
        for scheme in (padding.PKCS1v15(), padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)):
            rsa_key.public_key().verify(rsa_key.sign(b"data", scheme, algorithm), b"data", scheme, algorithm)
    with pytest.raises(KeyUnavailable, match="salt of 20 octets"):
        rsa_key.sign(b"data", padding.PSS(padding.MGF1(hashes.SHA256()), 20), hashes.SHA256())


def test_tpm_away_and_back(swtpm: SwTpm) -> None:
    """sign, TPM stopped, sign -> KeyUnavailable each time; TPM started again -> the same handle signs again."""
    key = generate_key(reference(swtpm), P256)
    check(key)
    swtpm.stop()
    for _ in range(3):
        with pytest.raises(KeyUnavailable) as caught:
            check(key)
        assert caught.value.hint
    swtpm.start()
    check(key)


def test_tpm_started_anew_between_two_signatures(swtpm: SwTpm) -> None:
    key = generate_key(reference(swtpm), P256)
    check(key)
    swtpm.stop()
    swtpm.start()
    check(key)


def test_more_keys_than_a_tpm_has_room_for(swtpm: SwTpm) -> None:
    """Six keys in use in turn, room for three objects -> all sign, again and again."""
    keys = [generate_key(reference(swtpm, str(number)), P256) for number in range(6)]
    for _ in range(2):
        for key in keys:
            check(key)


def test_key_of_another_tpm(swtpm: SwTpm, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_key(reference(swtpm), P256)
    with tempfile.TemporaryDirectory(prefix="swtpm") as folder:
        other = SwTpm(Path(folder))
        monkeypatch.setenv("LEAFWARD_TCTI", other.tcti)
        with pytest.raises(KeyUnavailable, match="another TPM made it"):
            open_key(reference(swtpm))
        DEVICE.close()
        other.stop()


def test_no_tpm(tmp_path: Path, swtpm: SwTpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAFWARD_TCTI", f"swtpm:path={tmp_path}/none")
    with pytest.raises(KeyUnavailable, match="no TPM answers") as caught:
        generate_key(reference(swtpm), P256)
    assert "LEAFWARD_TCTI" in (caught.value.hint or "")
    assert not Path(reference(swtpm).rest).exists()


def test_many_threads_many_keys(swtpm: SwTpm) -> None:
    keys = [generate_key(reference(swtpm, str(number)), P256) for number in range(4)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                check(keys[(number + turn) % 4], bytes([turn]))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_child_signs_and_so_does_its_parent(swtpm: SwTpm) -> None:
    key = generate_key(reference(swtpm), P256)
    check(key)
    child = os.fork()
    if child == 0:
        try:
            check(key)
            DEVICE.close()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    check(key)


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_wrong_file(swtpm: SwTpm, data: bytes) -> None:
    path = Path(reference(swtpm).rest)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(KeyUnavailable, match="TSS2 PRIVATE KEY"):
        open_key(reference(swtpm))


@pytest.mark.parametrize("cut", [60, 200, 340])
def test_damaged_file(swtpm: SwTpm, cut: int) -> None:
    """A few characters of the wrapped key changed -> KeyUnavailable, whatever part they belong to."""
    generate_key(reference(swtpm), P256)
    path = Path(reference(swtpm).rest)
    pem = bytearray(path.read_bytes())
    pem[cut : cut + 4] = b"AAAA" if pem[cut : cut + 4] != b"AAAA" else b"BBBB"
    path.write_bytes(pem)
    with pytest.raises(KeyUnavailable):
        open_key(reference(swtpm))


def test_too_open_file(swtpm: SwTpm) -> None:
    generate_key(reference(swtpm), P256)
    Path(reference(swtpm).rest).chmod(0o640)
    with pytest.raises(KeyUnavailable, match="got mode 0640"):
        open_key(reference(swtpm))


def test_refused_before_the_tpm_is_asked(swtpm: SwTpm) -> None:
    swtpm.stop()
    with pytest.raises(KeyUnavailable, match="expected one of ec-p256"):
        generate_key(reference(swtpm), KEY_TYPES["ed25519"])
    with pytest.raises(SettingsError, match="absolute path"):
        generate_key(KeyReference("tpm", "key.tpm"), P256)
    with pytest.raises(UsageError, match="takes no passphrase"):
        generate_key(reference(swtpm), P256, Passphrases(encrypt_new=True))
    path = Path(reference(swtpm).rest)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(AlreadyExists):
        generate_key(reference(swtpm), P256)


def test_says_nothing_on_standard_error(swtpm: SwTpm, capfd: pytest.CaptureFixture[str]) -> None:
    key = generate_key(reference(swtpm), P256)
    swtpm.stop()
    with pytest.raises(KeyUnavailable):
        check(key)
    assert capfd.readouterr().err == ""


def test_ssl_is_not_blamed_for_what_the_tss_left(swtpm: SwTpm) -> None:
    """The TSS shares OpenSSL with Python's ssl: used, refused and lost -> ssl loads a root as ever."""
    key = generate_key(reference(swtpm), P256)
    now = datetime.now(UTC)
    root = prepare_root(key, common_name="Root", now=now, serial=new_serial()).sign().leaf
    Path(reference(swtpm, "broken").rest).write_bytes(b"broken")
    Path(reference(swtpm, "broken").rest).chmod(0o600)
    with pytest.raises(KeyUnavailable):
        open_key(reference(swtpm, "broken"))
    for action in (lambda: check(key), DEVICE.close, swtpm.stop):
        action()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=root.public_bytes(serialization.Encoding.DER))
