"""`leafward module twin`: the twins of this edge's modules."""

from collections.abc import Callable
from typing import Any

import click

from leafward.cli.options import checked_by
from leafward.cli.twin_commands import add_commands
from leafward.store.home import Home


@click.group("twin")
def command() -> None:
    """Twins of modules: what one is to be (desired), and what it says it is (reported).

    \b
    Examples:
      leafward module twin show filter
      leafward module twin set filter --desired '{"interval": 5}'
    """


def _names(of: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("name", callback=checked_by("parse_module_id"))(of)


def _whose(home: Home, names: dict[str, Any]) -> tuple[str, str | None]:
    from leafward.cli.edge import edge_device_id

    return edge_device_id(home), names["name"]


add_commands(command, _names, _whose)
