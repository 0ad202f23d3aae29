"""keys/pkcs11*.py on SoftHSM: what can be seen of a key, PINs, a token that goes and comes back, threads and forks."""

import os
import pickle
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("pkcs11", reason="the Python module pkcs11 is not installed")

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from pkcs11.constants import Attribute
from pkcs11.exceptions import AttributeSensitive

from leafward.errors import AlreadyExists, KeyUnavailable, NotFound, SettingsError, UsageError
from leafward.keys import pkcs11_library, pkcs11_token
from leafward.keys.key_reference import KeyReference
from leafward.keys.key_store import generate_key, key_store_for, open_key
from leafward.keys.passphrase import Passphrases
from leafward.keys.pkcs11_objects import private_key
from leafward.keys.pkcs11_token import token_of
from leafward.keys.pkcs11_uri import Pkcs11Uri
from leafward.keys.serial import new_serial
from leafward.pki.issuer import prepare_root
from leafward.pki.key_types import KEY_TYPES
from tests.keys.devices import PIN, SoftHsm

P256, RSA = KEY_TYPES["ec-p256"], KEY_TYPES["rsa-2048"]
ECDSA = ec.ECDSA(hashes.SHA256())


def check(key: ec.EllipticCurvePrivateKey, data: bytes = b"leafward") -> None:
    key.public_key().verify(key.sign(data, ECDSA), data, ECDSA)


def look(reference: KeyReference, action):
    """What `action` sees of the private object in the token."""
    uri = Pkcs11Uri.parse(reference)
    return token_of(uri).run(lambda session: action(private_key(session, uri)), uri, Passphrases())


def count_logins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The PINs that reach the token from now on."""
    tried: list[str] = []
    found = pkcs11_token.Token._found

    class Watched:
        def __init__(self, token) -> None:
            self._token = token

        def __getattr__(self, name: str):
            return getattr(self._token, name)

        def open(self, *, rw: bool, user_pin: str):
            tried.append(user_pin)
            return self._token.open(rw=rw, user_pin=user_pin)

    monkeypatch.setattr(pkcs11_token.Token, "_found", lambda token: Watched(found(token)))
    return tried


@pytest.mark.parametrize("key_type", [P256, KEY_TYPES["ec-p384"], RSA], ids=str)
def test_private_half_cannot_be_read(soft_hsm: SoftHsm, key_type) -> None:
    """Made in the token: sensitive and not extractable from its first moment, for signing only."""
    reference = soft_hsm.reference("root")
    generate_key(reference, key_type)
    attributes = ("SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL", "PRIVATE", "TOKEN", "SIGN")
    assert all(look(reference, lambda key: [key[Attribute[name]] for name in attributes]))
    assert not any(look(reference, lambda key: [key[Attribute[name]] for name in ("EXTRACTABLE", "DERIVE", "DECRYPT")]))
    secret = Attribute.VALUE if key_type is not RSA else Attribute.PRIVATE_EXPONENT

    def read(key) -> None:
        with pytest.raises(AttributeSensitive):
            key[secret]

    look(reference, read)


@pytest.mark.parametrize("key_type", [P256, RSA], ids=str)
def test_handle_only_signs(soft_hsm: SoftHsm, key_type) -> None:
    key = generate_key(soft_hsm.reference("root"), key_type)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    calls = [lambda: key.private_bytes(*plain), key.private_numbers, lambda: pickle.dumps(key)]
    if key_type is P256:
        calls.append(lambda: key.exchange(ec.ECDH(), key.public_key()))
        calls.append(lambda: key.sign(b"", ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        calls.append(lambda: key.sign(b"", ec.ECDSA(hashes.SHA1())))
    else:
        calls.append(lambda: key.decrypt(b"", padding.PKCS1v15()))
        pss = padding.PSS(padding.MGF1(hashes.SHA384()), padding.PSS.DIGEST_LENGTH)
        calls.append(lambda: key.sign(b"", pss, hashes.SHA256()))
        calls.append(lambda: key.sign(b"", padding.PKCS1v15(), hashes.SHA1()))
    for call in calls:
        with pytest.raises(KeyUnavailable, match="root"):
            call()


def test_hashes_and_paddings(soft_hsm: SoftHsm) -> None:
    """Every combination that the handles take -> verified by cryptography."""
    key = generate_key(soft_hsm.reference("ec"), P256)
    rsa_key = generate_key(soft_hsm.reference("rsa"), RSA)
    for algorithm in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        scheme = ec.ECDSA(algorithm)
        key.public_key().verify(key.sign(b"data", scheme), b"data", scheme)
        digest = hashes.Hash(algorithm)
        digest.update(b"data")
        key.public_key().verify(key.sign(digest.copy().finalize(), ec.ECDSA(Prehashed(algorithm))), b"data", scheme)
        for salt in (20, padding.PSS.DIGEST_LENGTH, padding.PSS.MAX_LENGTH):
            pss = padding.PSS(padding.MGF1(algorithm), salt)
            rsa_key.public_key().verify(rsa_key.sign(b"data", pss, algorithm), b"data", pss, algorithm)
        signed = rsa_key.sign(digest.finalize(), padding.PKCS1v15(), Prehashed(algorithm))
        rsa_key.public_key().verify(signed, b"data", padding.PKCS1v15(), algorithm)


def test_wrong_pin_is_tried_once(soft_hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong PIN in the file -> refused; asked again ten times -> the token sees it once; corrected -> works."""
    reference = soft_hsm.reference("root")
    soft_hsm.pin_file.write_text("0000\n")
    tried = count_logins(monkeypatch)
    with pytest.raises(KeyUnavailable, match=r"refuses the PIN.*it counts wrong tries") as caught:
        generate_key(reference, P256)
    assert str(soft_hsm.pin_file) in str(caught.value)
    for _ in range(10):
        with pytest.raises(KeyUnavailable, match="is not tried"):
            open_key(reference)
    assert tried == ["0000"]
    soft_hsm.pin_file.write_text(PIN)
    check(generate_key(reference, P256))
    assert tried == ["0000", PIN]


def test_pin_of_a_person_is_asked_for_again_after_a_wrong_one(soft_hsm: SoftHsm) -> None:
    given = ["0000", PIN]
    passphrases = Passphrases(ask=lambda _: given.pop(0))
    reference = soft_hsm.reference("root", pin=False)
    with pytest.raises(KeyUnavailable, match="refuses the PIN"):
        generate_key(reference, P256, passphrases)
    check(generate_key(reference, P256, passphrases))


@pytest.mark.parametrize(
    ("flag", "words"),
    [("USER_PIN_FINAL_TRY", "one try left"), ("USER_PIN_LOCKED", "locked")],
)
def test_token_on_its_last_try_is_left_alone(soft_hsm: SoftHsm, monkeypatch, flag: str, words: str) -> None:
    """The token says one try is left, or none -> a PIN from a file is not risked."""
    tried = count_logins(monkeypatch)
    watched = pkcs11_token.Token._found

    def found(token):
        seen = watched(token)
        seen.flags = pkcs11_token.TokenFlag[flag]
        return seen

    monkeypatch.setattr(pkcs11_token.Token, "_found", found)
    with pytest.raises(KeyUnavailable, match=words):
        generate_key(soft_hsm.reference("root"), P256)
    assert tried == []


def test_no_pin(soft_hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyUnavailable, match="wants a PIN"):
        generate_key(soft_hsm.reference("root", pin=False), P256)
    monkeypatch.setenv("LEAFWARD_PIN", PIN)
    check(generate_key(soft_hsm.reference("root", pin=False), P256))


def test_token_pulled_out_and_plugged_in(soft_hsm: SoftHsm) -> None:
    """sign, pull out, sign -> KeyUnavailable each time; plug in -> the same handle signs again."""
    key = generate_key(soft_hsm.reference("root"), P256)
    check(key)
    soft_hsm.pull_out()
    for _ in range(3):
        with pytest.raises(KeyUnavailable) as caught:
            check(key)
        assert caught.value.hint
    soft_hsm.plug_in()
    check(key)


def test_a_key_is_not_destroyed_in_a_token_that_is_away(soft_hsm: SoftHsm) -> None:
    """generate, pull out, delete -> KeyUnavailable; plug in -> the key is there, and is destroyed for good."""
    reference = soft_hsm.reference("root")
    check(generate_key(reference, P256))
    store = key_store_for(reference)
    soft_hsm.pull_out()
    with pytest.raises(KeyUnavailable):
        store.delete(reference)
    soft_hsm.plug_in()
    assert store.exists(reference)
    for _ in range(2):
        store.delete(reference)
        assert not store.exists(reference)


def test_key_replaced_while_the_token_was_away(soft_hsm: SoftHsm) -> None:
    """Another key under the same name -> the old handle does not sign with it."""
    reference = soft_hsm.reference("root")
    key = generate_key(reference, P256)
    store = key_store_for(reference)
    store.delete(reference)
    with pytest.raises(NotFound):
        check(key)
    store.generate(reference, P256)
    with pytest.raises(KeyUnavailable, match="another one now"):
        check(key)


def test_library_started_anew_elsewhere(soft_hsm: SoftHsm) -> None:
    key = generate_key(soft_hsm.reference("root"), P256)
    pkcs11_library.stop_all()
    check(key)


def test_ssl_is_not_blamed_for_what_the_library_left(soft_hsm: SoftHsm) -> None:
    """The library shares OpenSSL with Python's ssl: started, used and stopped -> ssl loads a root as ever."""
    key = generate_key(soft_hsm.reference("root"), P256)
    now = datetime.now(UTC)
    root = prepare_root(key, common_name="Root", now=now, serial=new_serial()).sign().leaf
    der = root.public_bytes(serialization.Encoding.DER)

    def check_ssl() -> None:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)

    for action in (lambda: check(key), pkcs11_library.stop_all, lambda: check(key), soft_hsm.pull_out):
        action()
        check_ssl()
    with pytest.raises(KeyUnavailable):
        check(key)
    check_ssl()
    soft_hsm.plug_in()
    soft_hsm.pin_file.write_text("0000")
    with pytest.raises(KeyUnavailable, match="refuses the PIN"):
        check(key)
    check_ssl()


def test_many_threads_many_keys(soft_hsm: SoftHsm) -> None:
    """6 threads, each making, opening and using its own and a common key -> every signature verifies."""
    common = soft_hsm.reference("common")
    generate_key(common, P256)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            own = generate_key(soft_hsm.reference(f"own-{number}"), P256)
            for turn in range(40):
                check(own, bytes([turn]))
                check(open_key(common), bytes([number, turn]))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_threads_while_the_token_goes_and_comes(soft_hsm: SoftHsm) -> None:
    """Threads sign, the token is away for a while -> each signature verifies or is KeyUnavailable; then all work."""
    key = generate_key(soft_hsm.reference("root"), P256)
    away, wrong = threading.Event(), []

    def work() -> None:
        for _ in range(60):
            try:
                check(key)
            except KeyUnavailable:
                away.set()
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    soft_hsm.pull_out()
    for thread in threads:
        thread.start()
    assert away.wait(30)
    soft_hsm.plug_in()
    for thread in threads:
        thread.join()
    assert wrong == []
    check(key)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_child_signs_and_so_does_its_parent(soft_hsm: SoftHsm) -> None:
    """fork: the child starts the library anew, with the handle it inherited; the parent's session lives on."""
    key = generate_key(soft_hsm.reference("root"), P256)
    child = os.fork()
    if child == 0:
        try:
            check(key)
            check(open_key(soft_hsm.reference("root")))
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    check(key)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_fork_while_another_thread_holds_the_lock(soft_hsm: SoftHsm) -> None:
    """The lock is held by a thread that the child has not -> the child signs all the same."""
    key = generate_key(soft_hsm.reference("root"), P256)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with pkcs11_library.LOCK:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        try:
            check(key)
        except BaseException:
            os._exit(1)
        os._exit(0)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_same_name_made_by_another_process(soft_hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process made the name between our look and our key -> AlreadyExists, and only its key stays."""
    reference = soft_hsm.reference("root")
    first = generate_key(reference, P256)
    from leafward.keys import pkcs11_objects

    real, calls = pkcs11_objects.private_keys, []

    def blind_at_first(session, uri):
        calls.append(uri)
        return [] if len(calls) == 1 else real(session, uri)

    monkeypatch.setattr(pkcs11_objects, "private_keys", blind_at_first)
    with pytest.raises(AlreadyExists, match="root"):
        generate_key(reference, P256)
    assert open_key(reference).public_key() == first.public_key()


def test_two_keys_of_one_name_are_told_apart_by_id(soft_hsm: SoftHsm) -> None:
    one = KeyReference("pkcs11", soft_hsm.reference("root").rest.replace("?", ";id=%01?"))
    two = KeyReference("pkcs11", soft_hsm.reference("root").rest.replace("?", ";id=%02?"))
    first, second = generate_key(one, P256), generate_key(two, P256)
    assert open_key(one).public_key() == first.public_key() != second.public_key()
    with pytest.raises(KeyUnavailable, match="2 private keys answer"):
        open_key(soft_hsm.reference("root"))


def test_token_that_is_not_there(soft_hsm: SoftHsm) -> None:
    with pytest.raises(KeyUnavailable, match=f"is not there.*{soft_hsm.label}"):
        open_key(KeyReference.parse(f"pkcs11:token=elsewhere;object=root?pin-source=file:{soft_hsm.pin_file}"))


def test_library_that_is_not_one(soft_hsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_library = tmp_path / "x.so"
    no_library.write_text("no library")
    for path in (tmp_path / "gone.so", no_library):
        reference = f"pkcs11:token=t;object=root?module-path={path}"
        with pytest.raises(KeyUnavailable, match="does not work"):
            open_key(KeyReference.parse(reference))
    monkeypatch.setenv("LEAFWARD_PKCS11_MODULE", "relative.so")
    with pytest.raises(KeyUnavailable, match="absolute"):
        open_key(soft_hsm.reference("root"))


def test_no_library_installed(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="no PKCS#11 library"):
        pkcs11_library._installed(tmp_path)
    library = tmp_path / "usr/lib/softhsm/libsofthsm2.so"
    library.parent.mkdir(parents=True)
    library.touch()
    assert pkcs11_library._installed(tmp_path) == library


def test_what_a_token_does_not_make(soft_hsm: SoftHsm) -> None:
    with pytest.raises(KeyUnavailable, match="expected one of ec-p256"):
        generate_key(soft_hsm.reference("root"), KEY_TYPES["ml-dsa-44"])
    with pytest.raises(SettingsError, match="no name"):
        generate_key(KeyReference.parse(f"pkcs11:token={soft_hsm.label};id=%01"), P256)
    with pytest.raises(UsageError, match="takes no passphrase"):
        generate_key(soft_hsm.reference("root"), P256, Passphrases(encrypt_new=True))
