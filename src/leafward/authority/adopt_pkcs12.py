"""The PKCS#12 files of a folder (.pfx, .p12): opened before the plan is made, for their certificates count too.

A file whose certificate and key lie beside it as PEM files of the same name says nothing new, and nobody is asked for
its password: convenience scripts make such a one for each device. Any other is opened with no password, with the
scripts' known one, and then as an encrypted key is.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from leafward import disk
from leafward.authority.adopt_folder import LARGEST_FILE, FoundFolder, FoundKey, Skipped
from leafward.authority.certgen_dialect import KNOWN_PASSWORD
from leafward.errors import EncodingError, KeyUnavailable
from leafward.keys.passphrase import Passphrases
from leafward.pki.encoding import Pkcs12, load_pkcs12, private_key_to_pem

_KINDS = re.compile(r"\.(cert|crt|cer|der|key|pem|pfx|p12)\b.*$|-(full-chain|all|private|public)(?=\.)")
_Opened = tuple[Pkcs12, str | None]


def open_stores(
    folder: FoundFolder, passphrases: Passphrases, files: Mapping[Path, Path]
) -> dict[Path, KeyUnavailable]:
    """Adds what the PKCS#12 files of a folder hold; those that do not open are returned, and are among the skipped.

    `files` names the password's file of single ones.
    """
    locked: dict[Path, KeyUnavailable] = {}
    for path in _unrepeated(folder):
        data = disk.read_file(path, limit=LARGEST_FILE)
        try:
            _add(path, folder, *(_open_known(data) or _open(path, data, passphrases, files)))
        except EncodingError as error:
            folder.skipped.append(Skipped(path, str(error)))
        except KeyUnavailable as error:
            locked[path] = error
            folder.skipped.append(Skipped(path, error.why or error.what))
    return locked


def _unrepeated(folder: FoundFolder) -> Iterator[Path]:
    certificates = {_stem(path) for paths in folder.paths.values() for path in paths}
    keys = {_stem(key.path) for key in folder.keys}
    for path in folder.stores:
        if not (_stem(path) in certificates and _stem(path) in keys):
            yield path


def _stem(path: Path) -> str:
    return _KINDS.sub("", path.name.lower())


def _open_known(data: bytes) -> _Opened | None:
    for passphrase in (None, b"", KNOWN_PASSWORD.encode()):
        try:
            return load_pkcs12(data, passphrase), KNOWN_PASSWORD if passphrase else None
        except EncodingError:
            continue
    return None


def _open(path: Path, data: bytes, passphrases: Passphrases, files: Mapping[Path, Path]) -> _Opened:
    named = files.get(path.resolve())
    secret = (Passphrases(file=named) if named is not None else passphrases).to_open(str(path))
    try:
        return load_pkcs12(data, secret.text.encode()), secret.text
    except EncodingError as error:
        passphrases.forget(str(path))
        why = f"{error}; the password came from {secret.source}"
        hint = "give its password with --passphrase-for FILE=PASSWORDFILE, or leave it: --skip-locked"
        raise KeyUnavailable(f"{path} does not open", why=why, hint=hint) from None


def _add(path: Path, folder: FoundFolder, held: Pkcs12, secret: str | None) -> None:
    for certificate in held.certificates:
        folder.add(path, certificate)
    if held.key is not None:
        known = secret == KNOWN_PASSWORD
        pem = private_key_to_pem(held.key)
        folder.keys.append(FoundKey(path, pem, secret=None if known else secret, was_known=known))
