"""Who asks the EST server: the device's own identity where it has one, else what it was given for the first time.

A device CA's certificate is nobody's TLS client: it has keyCertSign and no clientAuth, and servers refuse it. So the
certificate to be renewed cannot vouch for its own renewal, as RFC 7030 3.3.2 has it for end entities. The device's
identity vouches (IDevID, IEEE 802.1AR), or the bootstrap credential does, every time.

TLS needs the bytes of a client's key, so the keys here are in files. The device CA's own key need not be.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from leafward import disk
from leafward.errors import KeyUnavailable, LeafwardError, RuleViolation, SettingsError
from leafward.keys.key_reference import KeyReference
from leafward.keys.key_store import open_key
from leafward.keys.private_file import read_private
from leafward.manager.enrolment_client import Credential
from leafward.manager.enrolment_slots import EnrolledFiles
from leafward.manager.settings import EnrolmentSettings
from leafward.pki.admission import check_key_belongs
from leafward.pki.chain import Chain
from leafward.wire.basic import BasicCredentials

EXPIRED = "certificate-expired"

_HINT = (
    "set identity_certificate and identity_key, bootstrap_certificate and bootstrap_key, or username and password_file"
)


def check_settings(settings: EnrolmentSettings) -> None:
    """Raises `SettingsError` for half a credential, and for none at all."""
    pairs = [
        ("identity_certificate", settings.identity_certificate, "identity_key", settings.identity_key),
        ("bootstrap_certificate", settings.bootstrap_certificate, "bootstrap_key", settings.bootstrap_key),
        ("username", settings.username, "password_file", settings.password_file or settings.password),
    ]
    for one, value, other, partner in pairs:
        if (value is None) != (partner is None):
            given, missing = (one, other) if partner is None else (other, one)
            why = f"there is {given} and no {missing}"
            raise SettingsError("[enrolment] holds half a credential", why=why, hint=f"set {missing} too")
    if all(value is None for _, value, _, _ in pairs):
        raise SettingsError("[enrolment] does not say who asks", why="it holds no credential", hint=_HINT)


def identity(files: EnrolledFiles | None, now: datetime) -> Credential | None:
    """The device's identity as a credential; None where there is none. Raises as `_certificate`."""
    if files is None:
        return None
    return _certificate("the device identity", files.certificate, files.key, now)


def given_identity(settings: EnrolmentSettings) -> EnrolledFiles | None:
    """The identity that the settings name; None where they name none."""
    if settings.identity_certificate is None or settings.identity_key is None:
        return None
    return EnrolledFiles(settings.identity_certificate, settings.identity_key)


def bootstrap(settings: EnrolmentSettings, now: datetime) -> Credential | None:
    """What the device was given for the first time; None without. With both kinds, both are presented."""
    password = _password(settings)
    if settings.bootstrap_certificate is None or settings.bootstrap_key is None:
        return None if password is None else Credential(f"the name {settings.username!r}", password=password)
    found = _certificate("the bootstrap certificate", settings.bootstrap_certificate, settings.bootstrap_key, now)
    return Credential(found.label, found.chain, found.key, password)


def first_usable(sources: Iterable[Callable[[], Credential | None]]) -> Credential:
    """The credential of the first source that has one. Raises what the first one that cannot be used is refused for."""
    refused: LeafwardError | None = None
    for source in sources:
        try:
            credential = source()
        except LeafwardError as error:
            refused = refused or error
            continue
        if credential is not None:
            return credential
    raise refused or SettingsError("[enrolment] does not say who asks", why="it holds no credential", hint=_HINT)


def _certificate(label: str, path: Path, key_reference: KeyReference, now: datetime) -> Credential:
    """A certificate and its key. Raises `NotFound`, `KeyUnavailable`, `EncodingError`, `RuleViolation`, each with its
    file: not there, not readable, expired at `now`, the key of another.
    """
    try:
        chain = Chain.from_pem(disk.read_file(path))
    except LeafwardError as error:
        hint = error.hint or "it is a PEM file, the device's own certificate first"
        raise type(error)(f"{label} {path} cannot be used", why=str(error), hint=hint) from error
    key = open_key(key_reference)
    check_key_belongs(chain.leaf, key.public_key())
    if chain.leaf.not_valid_after_utc < now:
        why = f"it ended at {chain.leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
        hint = "have the maker issue another, or give a bootstrap credential"
        raise RuleViolation(EXPIRED, f"{label} {path} has expired", why=why, hint=hint)
    return Credential(f"{label} {path}", chain, key)


def _password(settings: EnrolmentSettings) -> BasicCredentials | None:
    """Raises `NotFound` and `KeyUnavailable`, which name the file and never repeat it."""
    if settings.username is not None and settings.password is not None:
        return BasicCredentials(settings.username, settings.password)
    if settings.username is None or settings.password_file is None:
        return None
    path = settings.password_file
    data = read_private(path, "the password file").removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        why = "expected one line of UTF-8 text"
        raise KeyUnavailable(f"the password file {path} holds no password", why=why, hint="write it into the file")
    return BasicCredentials(settings.username, text)
