"""`leafward manager run`: the device's security manager, alone, as a service manager starts it."""

from pathlib import Path
from typing import Any

import click

from leafward.cli.log_options import chosen_format, log_level, log_options
from leafward.cli.options import home_option
from leafward.store.home import Home


@click.command("run")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another settings file than the home's; IoT Edge's config.yaml or config.toml as it is. "
    "For the manager alone: the hub and all commands read the home's leafward.toml.",
)
@log_options
@home_option
def command(config: Path | None, home: Home, verbose: bool, log_format: str | None) -> None:
    """Runs the manager until SIGTERM. The device CA must be there (`leafward ca device --install`)."""
    from leafward.cli import parts
    from leafward.cli.service import run_part

    def said(facts: dict[str, Any]) -> tuple[str, list[str]]:
        return "the manager is up", [*facts["warnings"], *([] if config is None else _apart(config, home))]

    run_part(
        "manager",
        parts.manager(home, config),
        said,
        log_level=log_level(verbose),
        log_format=chosen_format(home, log_format),
        probe=parts.manager_probe(home),
        small=True,
    )


def _apart(config: Path, home: Home) -> list[str]:
    from leafward.manager.settings_source import read_otherwise  # two megabytes that only another file needs

    return read_otherwise(config.absolute(), home)
