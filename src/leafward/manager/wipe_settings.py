"""What stays of `leafward.toml` when the device changes hands: what says where the maker's half is, and nothing else.

The next owner's first start must find the device CA and its root, be able to have it renewed, and be as strict about it
as before; name, routes, limits and trust are the former owner's. Comments go: they are somebody's notes.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leafward.manager.settings import EnrolmentSettings, ManagerSettings
from leafward.store.home import Home

# Where the root is kept that the device CA's own file lacks: relative to the settings.
ROOT = Path("manager") / "maker-root.pem"
_DEVICE = ("device_ca_certificate", "device_ca_key", "production")
# Of the maker whose CAs are on this machine.
_MAKER = ("maker", "est")
_HEADER = "# What a wipe for resale left: where the maker's half of this device is. Every key: docs/settings.md\n"


def reduced_settings(
    home: Home, tables: Mapping[str, Any], settings: ManagerSettings, *, root_apart: bool
) -> str | None:
    """The text of the settings after a wipe; None where nothing has to be said.

    `tables` are those of the file, or `spelled_out`; `settings` what they mean. `root_apart`: the device CA's file has
    no root in it, which is kept at `ROOT` instead.
    """
    device = {key: value for key, value in tables.get("device", {}).items() if key in _DEVICE}
    if root_apart:
        device["trust_bundle"] = str(ROOT)
    kept: dict[str, Any] = {"device": device}
    if settings.enrolment is not None:
        kept["enrolment"] = _enrolment(tables, settings.enrolment, settings)
    if settings.manager.hub_user is not None:
        kept["manager"] = {"hub_user": settings.manager.hub_user}  # how the services are installed on this machine
    if home.maker.is_dir():
        kept.update({name: tables[name] for name in _MAKER if name in tables})
    kept = {name: table for name, table in kept.items() if table}
    return _HEADER + "".join(_table((name,), table) for name, table in kept.items()) if kept else None


def spelled_out(settings: ManagerSettings) -> dict[str, Any]:
    """Settings that came from another file than the home's, as its tables: whole paths, and no password."""
    device = {name: _plain(getattr(settings.device, name)) for name in (*_DEVICE, "trust_bundle")}
    tables = {"device": {name: value for name, value in device.items() if value not in (None, False)}}
    enrolment = settings.enrolment
    if enrolment is not None:
        left_out = {"password", "username"} if enrolment.password is not None else {"password"}
        found = {name: _plain(value) for name, value in enrolment if name not in left_out}
        tables["enrolment"] = {name: value for name, value in found.items() if value is not None}
    return tables


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool) else str(value)


def _enrolment(tables: Mapping[str, Any], enrolment: EnrolmentSettings, settings: ManagerSettings) -> dict[str, Any]:
    """The whole table, with what it took from `[device]` written out."""
    kept = dict(tables["enrolment"])
    if enrolment.common_name is None:
        kept["common_name"] = settings.device.device_id
    if enrolment.trust is None and settings.device.trust_bundle is not None:
        kept["trust"] = tables["device"]["trust_bundle"]
    return kept


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> str:
    """A table with those below it."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    below = (_table((*path, key), value) for key, value in table.items() if isinstance(value, Mapping))
    return f"\n[{'.'.join(map(_key, path))}]\n" + "".join(f"{line}\n" for line in lines) + "".join(below)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case Mapping():
            return f"{{{', '.join(_pairs(value))}}}"
        case _:
            return str(value)  # numbers and times are written as Python shows them


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    return (f"{_key(key)} = {_value(value)}" for key, value in table.items())


def _key(key: str) -> str:
    return key if key.isascii() and key.replace("-", "").replace("_", "").isalnum() else _text(key)


def _text(text: str) -> str:
    """A basic string. JSON's escapes are TOML's, but JSON lets DEL stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
