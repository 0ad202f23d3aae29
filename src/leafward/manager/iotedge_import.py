"""A leafward.toml out of an IoT Edge configuration: what was taken, what means nothing here, what must be decided.

Everything that leaf devices in the field rely on comes along: the hostname, the device CA (and so the chain up to the
root they hold), the trust bundle, and the IoT hub's name, for which their tokens are made. Secrets that stood in the
file go to files of their own: a leafward.toml holds none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from leafward import disk
from leafward.errors import AlreadyExists, Damaged
from leafward.keys.key_reference import KeyReference
from leafward.keys.pkcs11_uri import Pkcs11Uri
from leafward.manager.config_check import ConfigCheck
from leafward.manager.iotedge_decisions import decisions
from leafward.manager.iotedge_settings import CarriedOver, read_iotedge_settings
from leafward.manager.settings import ManagerSettings, settings_from
from leafward.manager.settings_source import SettingsSource
from leafward.manager.settings_text import settings_text
from leafward.store.home import Home
from leafward.store.settings_file import parse_tables
from leafward.toml_lines import find_lines, line_of
from leafward.wire.iotedge_config.findings import Note

_PASSWORD_FILE = "est-password"  # noqa: S105 - a name
_KEYS = ("device.device_ca_key", "enrolment.key")


@dataclass(frozen=True)
class Taken:
    """A setting, and the key and line of the IoT Edge file that it came from."""

    key: str
    value: object
    source: str
    line: int | None


@dataclass(frozen=True)
class Import:
    """What a file becomes. `text` is the leafward.toml, `secrets` the files that go beside it, by name."""

    source: Path
    text: str
    taken: tuple[Taken, ...]
    left: tuple[Note, ...]
    decide: tuple[str, ...]
    secrets: Mapping[str, bytes] = field(repr=False)


def read_import(path: Path, home: Home, *, now: datetime) -> Import:
    """Reads the file, writes nothing. `now` is aware UTC: what the file names is judged by it.

    Raises `SettingsError` with all faults of the file, `NotFound` and `StoreError`.
    """
    carried = read_iotedge_settings(path)
    tables, secrets = _without_secrets(carried, home)
    taken = tuple(_taken(carried, tables))
    comments = {one.key: _origin(one) for one in taken}
    head = [f"Taken from {path} by leafward manager import. Every key: docs/settings.md"]
    text = settings_text(tables, head=head, comments=comments)
    settings = _read_back(text, tables, carried, home)
    faults = _judged(text, settings, carried, home, now)
    return Import(path, text, taken, carried.notes, (*decisions(carried, secrets, home), *faults), secrets)


def write_import(found: Import, home: Home, *, replace: bool) -> None:
    """Writes it, the secrets first: settings that name a file find it. Raises `AlreadyExists`, with nothing changed.

    `replace`: instead of a leafward.toml that is there, which is kept as `leafward.toml.before-import`.
    """
    disk.make_folder(home.root)
    if home.settings.exists():
        if not replace:
            hint = "add --force to replace it; the old one is kept beside it"
            raise AlreadyExists(f"{home.settings} exists", why="it is not overwritten", hint=hint)
        kept = home.settings.with_name(f"{home.settings.name}.before-import")
        disk.write_file(kept, disk.read_file(home.settings), mode=disk.PRIVATE)
    for name, secret in found.secrets.items():
        disk.write_file(home.root / name, secret, mode=disk.PRIVATE)
    if replace:
        disk.write_file(home.settings, found.text.encode(), mode=disk.PUBLIC)
    else:
        disk.create_file(home.settings, found.text.encode(), mode=disk.PUBLIC)


def _without_secrets(carried: CarriedOver, home: Home) -> tuple[dict[str, dict[str, Any]], dict[str, bytes]]:
    """The tables with files named where secrets stood, and the contents of these files by name."""
    tables = {name: dict(values) for name, values in carried.tables.tables.items()}
    secrets: dict[str, bytes] = {}
    enrolment = carried.settings.enrolment
    if enrolment is not None and enrolment.password is not None:
        tables["enrolment"]["password_file"] = _PASSWORD_FILE
        secrets[_PASSWORD_FILE] = f"{enrolment.password}\n".encode()
    names = {token: f"token-pin-{number}" for number, token in enumerate(carried.pins, start=1)}
    for place in _KEYS:
        table, _, key = place.partition(".")
        reference = tables.get(table, {}).get(key, "")
        token = _token(reference)
        if token in names:
            tables[table][key] = _with_pin(reference, home.root / names[token])
            secrets[names[token]] = f"{carried.pins[token].text}\n".encode()
    return tables, secrets


def _token(reference: str) -> str:
    """The token that a key is in; nothing for a key in a file."""
    if not reference.startswith("pkcs11:"):
        return ""
    return Pkcs11Uri.parse(KeyReference.parse(reference)).token_label


def _with_pin(reference: str, pin_file: Path) -> str:
    return f"{reference}{'&' if '?' in reference else '?'}pin-source=file:{quote(str(pin_file))}"


def _taken(carried: CarriedOver, tables: Mapping[str, Mapping[str, object]]) -> Iterator[Taken]:
    for table, values in tables.items():
        for key, value in values.items():
            source, line = carried.place(f"{table}.{key}")
            yield Taken(f"{table}.{key}", value, source, line)


def _origin(one: Taken) -> str:
    return one.source if one.line is None else f"{one.source}, line {one.line}"


def _read_back(text: str, tables: Mapping[str, Any], carried: CarriedOver, home: Home) -> ManagerSettings:
    """The text means what the IoT Edge file means, or it is not written. Raises `Damaged`."""
    read = parse_tables(text, home.settings)
    settings = settings_from(read, source=home.settings)
    expected = settings_from(tables, source=home.settings)
    plain = not carried.settings.enrolment and not carried.pins
    if read != tables or settings != expected or (plain and settings != carried.settings):
        why = "what was written does not read back as what was taken"
        raise Damaged(f"{carried.tables.source} cannot be imported", why=why, hint="report it with the file")
    return settings


def _judged(text: str, settings: ManagerSettings, carried: CarriedOver, home: Home, now: datetime) -> Iterator[str]:
    """What a start would refuse, told before there is one. Secrets are not there yet, so keys that need them wait."""
    if carried.pins or (settings.enrolment is not None and settings.enrolment.password_file is not None):
        return
    lines = find_lines(text)

    def place(key: str) -> tuple[str, int | None]:
        return key, line_of(lines, tuple(key.split(".")))

    found = ConfigCheck(SettingsSource(home.settings, settings, place), home, now=now)
    yield from (f"{fault.key}: {fault.message}" for fault in found.faults)
