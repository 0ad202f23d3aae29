"""The name of a key in a token, as RFC 7512 writes it: `pkcs11:token=maker;object=root?pin-source=file:/etc/pin`.

Read strictly: an attribute that is not understood is refused, because without it another key might fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from leafward.errors import SettingsError
from leafward.keys.key_reference import KeyReference

_TOKEN = ("token", "serial", "manufacturer", "model", "slot-id")
_PATH = (*_TOKEN, "object", "id", "type")
_QUERY = ("pin-source", "module-path")
_HINT = "write pkcs11:token=LABEL;object=NAME?pin-source=file:/the/whole/path"
_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "pin-value": "a PIN in a reference is seen by others: write it into a file and name that with pin-source",
        "module-name": "give the library's path with module-path",
    }
)


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """A reference taken apart. What is None was not said, and fits any; `label` is the reference for messages."""

    label: str
    token: Mapping[str, str]
    object: str | None
    id: bytes | None
    module_path: Path | None
    pin_source: Path | None

    @classmethod
    def parse(cls, reference: KeyReference) -> "Pkcs11Uri":
        """Reads RFC 7512 section 2.3: `;` between what names the key, `&` between what helps to reach it.

        Raises `SettingsError` for anything not understood, and for a PIN in the reference itself.
        """
        if reference.scheme != "pkcs11":
            raise SettingsError(f"'{reference.label}' is no key in a token", why="expected pkcs11:…", hint=_HINT)
        path, _, query = reference.rest.partition("?")
        found = _attributes(reference, path, ";", _PATH)
        asked = _attributes(reference, query, "&", _QUERY)
        if not found.keys() & {"object", "id"}:
            raise SettingsError(f"'{reference.label}' names no key", why="expected object= or id=", hint=_HINT)
        if found.get("type", b"private") != b"private":
            raise SettingsError(f"'{reference.label}' is no private key", why="expected type=private, or none")
        if not found.get("slot-id", b"0").isdigit():
            raise SettingsError(f"'{reference.label}' names no slot", why="expected slot-id to be a number")
        texts = {name: _text(reference, name, value) for name, value in found.items() if name != "id"}
        return cls(
            label=reference.label,
            token=MappingProxyType({name: texts[name] for name in _TOKEN if name in texts}),
            object=texts.get("object"),
            id=found.get("id"),
            module_path=_file(reference, "module-path", asked),
            pin_source=_file(reference, "pin-source", asked),
        )

    @property
    def token_label(self) -> str:
        """The token, for messages."""
        return "the token " + (";".join(f"{name}={value}" for name, value in self.token.items()) or "(any)")


def _attributes(reference: KeyReference, text: str, separator: str, known: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name.lower() in _INSTEAD:
            raise SettingsError(f"'{reference.label}' is refused", why=f"it has {name}", hint=_INSTEAD[name.lower()])
        if name not in known or not equals or not value:
            why = f"expected {', '.join(known)}, each with a value"
            raise SettingsError(f"'{reference.label}' is not understood", why=why, hint=_HINT)
        if name in found:
            raise SettingsError(f"'{reference.label}' is not understood", why=f"it has {name} twice", hint=_HINT)
        found[name] = unquote_to_bytes(value)
    return found


def _text(reference: KeyReference, name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SettingsError(f"'{reference.label}' is not understood", why=f"{name} is no UTF-8 text", hint=_HINT)
    return text


def _file(reference: KeyReference, name: str, asked: Mapping[str, bytes]) -> Path | None:
    if name not in asked:
        return None
    text = _text(reference, name, asked[name]).removeprefix("file:")
    if text.startswith("///"):
        text = text.removeprefix("//")
    if not text.startswith("/") or text.startswith("//"):
        why = f"expected {name} to be file: and an absolute path"
        raise SettingsError(f"'{reference.label}' is not understood", why=why, hint=_HINT)
    return Path(text)
