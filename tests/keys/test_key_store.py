"""keys/key_store.py and keys/key_reference.py: a name of a key finds its backend, and keeps its secrets."""

import sys
from pathlib import Path

import pytest

from leafward.errors import KeyUnavailable, SettingsError
from leafward.keys import key_store
from leafward.keys.files import FileKeyStore
from leafward.keys.generation import new_private_key
from leafward.keys.key_store import (
    KeyReference,
    delete_key,
    generate_key,
    key_exists,
    key_store_for,
    open_key,
)
from leafward.pki.key_types import KEY_TYPES, KeyType


@pytest.mark.parametrize(
    ("text", "scheme", "rest"),
    [
        ("file:/etc/ca.pem", "file", "/etc/ca.pem"),
        ("file:///etc/ca.pem", "file", "/etc/ca.pem"),
        ("memory:workload ca", "memory", "workload ca"),
        ("pkcs11:token=t;object=o?pin-value=1", "pkcs11", "token=t;object=o?pin-value=1"),
    ],
)
def test_parse(text: str, scheme: str, rest: str) -> None:
    reference = KeyReference.parse(text)
    assert (reference.scheme, reference.rest) == (scheme, rest)
    assert KeyReference.parse(str(reference)) == reference


@pytest.mark.parametrize("text", ["", "/etc/ca.pem", "file", "file:", ":x", "File:/x", "1a:/x", "file:/a\0b"])
def test_text_that_is_no_reference(text: str) -> None:
    with pytest.raises(SettingsError, match="no key reference") as caught:
        KeyReference.parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["pkcs11:token=t?pin-value=s3cret", "pkcs11:token=t?a=b&pin-value=s3cret", "tpm:x;auth=s3cret"]
)
def test_pin_is_not_shown(text: str) -> None:
    """A reference with a PIN -> not in repr, label or an error; only in str, which settings need."""
    reference = KeyReference.parse(text)
    assert "s3cret" in str(reference)
    for shown in (repr(reference), f"{[reference]}", reference.label):
        assert "s3cret" not in shown
        assert "***" in shown


def test_pin_is_not_in_errors() -> None:
    with pytest.raises(SettingsError) as caught:
        key_store_for(KeyReference.parse("elsewhere:token=t?pin-value=s3cret"))
    assert "s3cret" not in str(caught.value)


def test_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="file, memory"):
        open_key(KeyReference("floppy", "a"))


@pytest.mark.parametrize("scheme", key_store.BACKENDS)
def test_every_backend_loads_and_is_one_object(scheme: str) -> None:
    for module, extra in key_store.EXTRAS.items():
        if extra == scheme:
            pytest.importorskip(module, reason=f"the Python module {module} is not installed")
    store = key_store_for(KeyReference(scheme, "/x"))
    assert store.scheme == scheme
    assert key_store_for(KeyReference(scheme, "/y")) is store


def test_by_reference(tmp_path: Path) -> None:
    """generate_key -> key_exists, open_key -> delete_key -> gone."""
    for reference in (KeyReference("file", str(tmp_path / "key.pem")), KeyReference("memory", str(tmp_path))):
        key = generate_key(reference, KEY_TYPES["ec-p256"])
        assert open_key(reference).public_key() == key.public_key()
        assert key_exists(reference)
        delete_key(reference)
        assert not key_exists(reference)
    assert isinstance(key_store_for(KeyReference("file", "/x")), FileKeyStore)


def test_key_type_that_cannot_be_made() -> None:
    unknown = KeyType("rot13", "rot", 13, None, object)
    with pytest.raises(KeyUnavailable, match="ec-p256"):
        new_private_key(unknown)


@pytest.mark.parametrize(("scheme", "module", "extra"), [("pkcs11", "pkcs11", "pkcs11"), ("tpm", "tpm2_pytss", "tpm")])
def test_backend_whose_library_is_not_installed(monkeypatch, scheme: str, module: str, extra: str) -> None:
    """The extra is missing -> KeyUnavailable that says how to get it, and other keys work."""
    for name in list(sys.modules):
        if name.partition(".")[0] == module or name.startswith((f"leafward.keys.{scheme}", "leafward.keys.tpm")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(module), *sys.meta_path])
    key_store._backend.cache_clear()
    with pytest.raises(KeyUnavailable, match=f"'{module}.*' is not installed") as caught:
        open_key(KeyReference(scheme, "/x"))
    assert f"leafward[{extra}]" in (caught.value.hint or "")


class Absent:
    """An import finder that says of one package that it is not there."""

    def __init__(self, module: str) -> None:
        self.module = module

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self.module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
