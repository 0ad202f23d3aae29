"""Private keys and PKCS#12 files: only the public half of a key leaves this room, and no password is ever shown.

A password is asked for where the file wants one: from the file that an option names, the environment, or a person.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from cryptography import x509

from leafward.doctor.case import FileFault
from leafward.doctor.work_asked import MOST_ROUNDS, elements, rounds_asked
from leafward.errors import EncodingError
from leafward.pki.encoding import load_pkcs12, load_private_key
from leafward.pki.key_types import PublicKey
from leafward.pki.pem import Block

_OID, _OCTETS, _SEQUENCE = 0x06, 0x04, 0x30

# Given the path of a file, its password; None where nobody has one.
Password: TypeAlias = Callable[[str], bytes | None]


def no_password(_path: str) -> bytes | None:
    """Nobody has one."""
    return None


def key_of(piece: bytes, block: Block, path: str, password: Password) -> tuple[PublicKey | None, FileFault | None]:
    """The public half of the key in a PEM block, or why it cannot be had."""
    encrypted = block.encrypted or block.label.startswith("ENCRYPTED")
    if encrypted and rounds_asked(block.data) > MOST_ROUNDS:
        return None, _locked(path, f"a key that asks for more than {MOST_ROUNDS} rounds before it opens")
    given = password(path) if encrypted else None
    try:
        return load_private_key(piece, given).public_key(), None
    except EncodingError as error:
        if encrypted:
            return None, _locked(path, "a password that does not open it" if given else "an encrypted key")
        fix = "Make the key again, or copy it again from where it was made: openssl pkey -in FILE -noout -check"
        return None, FileFault("wrong-object", path, error.what, "a private key of a known kind", fix)


def key_in_der(data: bytes, path: str, password: Password) -> tuple[PublicKey | None, bool]:
    """(the public half, whether it is locked) of a DER key; (None, False) where it is none."""
    try:
        return load_private_key(data).public_key(), False
    except EncodingError:
        if not _is_encrypted_key(data):
            return None, False
    given = password(path) if rounds_asked(data) <= MOST_ROUNDS else None
    try:
        return (None, True) if given is None else (load_private_key(data, given).public_key(), False)
    except EncodingError:
        return None, True


def _is_encrypted_key(der: bytes) -> bool:
    """EncryptedPrivateKeyInfo (RFC 5958 section 3): an algorithm, then an OCTET STRING, and nothing else."""
    outer = [value for tag, value in elements(memoryview(der)) if tag == _SEQUENCE]
    inner = list(elements(outer[0])) if outer else []
    return [tag for tag, _ in inner] == [_SEQUENCE, _OCTETS] and inner[0][1][:1] == bytes([_OID])


def pkcs12_in(data: bytes, path: str, password: Password) -> tuple[list[x509.Certificate], PublicKey | None, bool]:
    """(certificates, the public half of the key, whether it is locked) of a PKCS#12 file."""
    tried = _passwords(path, password) if rounds_asked(data) <= MOST_ROUNDS else ()
    for secret in tried:
        try:
            opened = load_pkcs12(data, secret)
        except EncodingError:
            continue
        return list(opened.certificates), None if opened.key is None else opened.key.public_key(), False
    return [], None, True


def _passwords(path: str, password: Password) -> Iterator[bytes | None]:
    """None and an empty one first, as the convenience scripts write it; a person is asked last."""
    yield None
    yield b""
    given = password(path)
    if given is not None:
        yield given


def locked_fault(path: str) -> FileFault:
    """A DER or PKCS#12 file that no password opens."""
    return _locked(path, "an encrypted file, and no password that opens it")


def _locked(path: str, got: str) -> FileFault:
    fix = (
        "Give its password in a file of mode 0600 (--passphrase-file FILE) or in LEAFWARD_PASSPHRASE. A service that "
        "has nobody to ask needs a plain key, mode 0600: openssl pkey -in KEY -out PLAIN"
    )
    return FileFault("key-encrypted", path, got, "a key that can be opened", fix)
