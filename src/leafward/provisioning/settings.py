"""The `[provisioning]` table of `leafward.toml`.

[provisioning]
id_scope = "leafward"     # what devices name as their ID scope
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from leafward.store.settings_file import Table, checked, read_tables


class ProvisioningTable(Table):
    """What the provisioning service is told."""

    id_scope: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")] = "leafward"


class ProvisioningSettings(Table):
    """All that the provisioning service reads of the file for itself."""

    provisioning: ProvisioningTable = ProvisioningTable()


def read_settings(path: Path) -> ProvisioningTable:
    """The settings in `path`, defaults where there are none. Raises `SettingsError` with every wrong key."""
    tables = {"provisioning": table} if (table := read_tables(path).get("provisioning")) is not None else {}
    return checked(ProvisioningSettings, tables, path).provisioning
