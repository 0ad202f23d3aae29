"""The `[device]` table as every part reads it: who this gateway is.

    [device]
    hostname = "iotedgegw.local"     # the name leaf devices use; lower-cased
    device_id = "edge-device"        # the gateway's own identity, under which its modules stand

The manager reads more of this table (`manager/settings.py`); for the others those keys are none of their business.
"""

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from leafward.errors import LeafwardError
from leafward.pki.names import Host, HostName, parse_device_id, parse_gateway_host
from leafward.store.settings_file import Table, checked, read_tables

# Stable on purpose: were it taken from the hostname, a new hostname would orphan every module identity.
DEFAULT_DEVICE_ID = "edge-device"

Parsed = TypeVar("Parsed")


def by(parse: Callable[[str], Parsed]) -> BeforeValidator:
    """One of our parsers as a validator: pydantic only collects errors that are a `ValueError`."""

    def validate(value: object) -> object:
        if not isinstance(value, str):
            # Left to pydantic, the number 5 would be the address 0.0.0.5.
            raise ValueError(f"got {type(value).__name__}, expected text")
        try:
            return parse(value)
        except LeafwardError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(validate)


HostSetting = Annotated[
    HostName | ipaddress.IPv4Address | ipaddress.IPv6Address, by(parse_gateway_host), PlainSerializer(str)
]
DeviceIdSetting = Annotated[str, by(parse_device_id)]


def machine_name() -> Host:
    """The name this machine gives itself, lower-cased. Raises `NameFormatError` where that is no host name."""
    return parse_gateway_host(socket.gethostname())


class DeviceTable(Table):
    """What all parts know of the gateway."""

    hostname: HostSetting = Field(default_factory=machine_name)
    device_id: DeviceIdSetting = DEFAULT_DEVICE_ID


class DeviceFacts(DeviceTable):
    """The table as the other parts read it: what only the manager knows is left to the manager to judge."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class _File(Table):
    device: DeviceFacts = Field(default_factory=DeviceFacts)


def read_device(path: Path) -> DeviceTable:
    """Who this gateway is, as `leafward.toml` says. Raises `SettingsError` naming the file and every wrong key."""
    tables = {name: table for name, table in read_tables(path).items() if name == "device"}
    return checked(_File, tables, path).device
