"""`leafward device twin`: the twins of devices, and of any module by `--module`."""

from collections.abc import Callable
from typing import Any

import click

from leafward.cli.device_options import device_argument
from leafward.cli.options import checked_by
from leafward.cli.twin_commands import add_commands
from leafward.store.home import Home


@click.group("twin")
def command() -> None:
    """Twins: what a device is to be (desired), and what it says it is (reported).

    \b
    Examples:
      leafward device twin show pump-7
      leafward device twin set pump-7 --desired '{"interval": 5, "old": null}'
      leafward device twin set edge-device --module filter --tags '{"line": 3}'
      leafward device twin watch pump-7
    """


def _names(of: Callable[..., Any]) -> Callable[..., Any]:
    module = click.option("--module", metavar="M", callback=checked_by("parse_module_id"), help="One of its modules.")
    return device_argument(module(of))


def _whose(_home: Home, names: dict[str, Any]) -> tuple[str, str | None]:
    return names["device_id"], names["module"]


add_commands(command, _names, _whose)
