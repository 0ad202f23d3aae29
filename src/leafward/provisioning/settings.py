"""The `[provisioning]` table of `leafward.toml`.

[provisioning]
id_scope = "leafward"                  # what devices name as their ID scope
database = "postgresql://db.site7/fleet"   # enrolments and registrations; the home's registry.db if not set
hubs = ["gateway.local", "gateway-2.local"]   # what devices may be assigned; this gateway if not set
crls = ["line-3.crl"]                  # revocation lists of registered CAs

[provisioning.latency]                 # milliseconds, for allocation by latency
"gateway.local" = 2.0

[provisioning.listen]                  # for a service on a machine of its own
certificate = "server.pem"             # the server's own first; relative to this file
key = "server.key"
chain = "issuers.pem"                  # the CAs above it, where they are not in that file
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from leafward.store.device_settings import DeviceFacts
from leafward.store.enrolments.values import MOST_HUBS
from leafward.store.settings_file import Table, checked, read_tables

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, strict=True)]


class ListenTable(Table):
    """The server certificate of a service that listens itself, its key, and the CAs above it, as files of PEM."""

    certificate: Text | None = None
    key: Text | None = None
    chain: Text | None = None


class ProvisioningTable(Table):
    """What the provisioning service is told.

    most_at_once  registrations that are judged or wait for it; who comes beyond is told when to come back
    connections   of a service that listens itself
    """

    id_scope: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")] = "leafward"
    database: Text | None = None
    hubs: Annotated[tuple[Text, ...], Field(max_length=MOST_HUBS)] = ()
    latency: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    crls: tuple[Text, ...] = ()
    most_at_once: Count = 256
    connections: Count = 10_000
    listen: ListenTable = ListenTable()


class ProvisioningSettings(Table):
    """All that the provisioning service reads of the file: its own table, and who this gateway is."""

    provisioning: ProvisioningTable = ProvisioningTable()
    device: DeviceFacts = Field(default_factory=DeviceFacts)


def read_settings(path: Path) -> ProvisioningTable:
    """The settings in `path`, defaults where there are none. Raises `SettingsError` with every wrong key."""
    tables = {"provisioning": table} if (table := read_tables(path).get("provisioning")) is not None else {}
    return checked(ProvisioningSettings, tables, path).provisioning
