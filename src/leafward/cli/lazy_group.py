"""A group of commands that are imported when they are called: `leafward --help` loads none of them."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """`table` is command -> what it does, in the order shown; the module is `package.NAME`, its command `command`.

    A name that is a word of Python's (`import`, `list`) stands in a module with an underscore behind it.
    """

    def __init__(self, *arguments: Any, package: str, table: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._package = package
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"{self._package}.{name}{'_' if name in _TAKEN else ''}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._table.items()))


_TAKEN = ("import", "list")
