"""Which registry a command is about: this gateway's own, or the one that gateways share."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from leafward.errors import SettingsError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.registry import Registry

shared_option = click.option(
    "--shared", is_flag=True, help="The registry in the database that [provisioning] names, which gateways share."
)


@contextlib.contextmanager
def opened_registry(home: Home, *, shared: bool) -> Iterator["Registry"]:
    """The registry, open. Raises `SettingsError` where none is shared."""
    from leafward.cli.edge import require_root
    from leafward.provisioning.database import open_shared_registry
    from leafward.provisioning.settings import read_settings
    from leafward.store.registry import Registry

    if not shared:
        require_root(home)
        with Registry.open(home.registry) as own:
            yield own
        return
    found = open_shared_registry(read_settings(home.settings))
    if found is None:
        hint = '[provisioning] database = "postgresql://…" in leafward.toml'
        raise SettingsError("no registry is shared", why="the settings name no database", hint=hint)
    with found:
        yield found
