"""Where enrolments, CAs and registrations are kept: beside the registry, or in a database that services share."""

from pathlib import Path

import sqlalchemy as sa

from leafward.provisioning.settings import ProvisioningTable
from leafward.store.database import open_database
from leafward.store.enrolments.schema import NAME, metadata
from leafward.store.home import Home
from leafward.store.registry import Registry


def open_provisioning(home: Home, settings: ProvisioningTable) -> sa.Engine:
    """The database that the settings name; the home's registry file where they name none. Raises as `open_database`."""
    return open_database(settings.database or home.registry, metadata, name=NAME)


def open_shared_registry(settings: ProvisioningTable) -> Registry | None:
    """The devices of all gateways that share a database; None where there is none. Raises as `open_database`."""
    return None if settings.database is None else Registry.open(settings.database)


def open_own(home: Home) -> sa.Engine:
    """The tables in the home's own file, whatever the settings name: how far it has followed is kept there."""
    return open_database(Path(home.registry), metadata, name=NAME)
