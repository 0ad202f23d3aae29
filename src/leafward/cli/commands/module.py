"""`leafward module`: the modules of this edge."""

import os
from typing import TYPE_CHECKING, Any, cast

import click

from leafward.cli import module_twin, voice
from leafward.cli.options import dry_run_option, home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.errors import NotFound
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.manager.modules import Modules
    from leafward.store.registry import Identity


@click.group("module")
def command() -> None:
    """Modules of this edge: add, list, remove, run, twin.

    \b
    Examples:
      leafward module add filter
      leafward module run filter -- python filter.py
    """


command.add_command(module_twin.command)


@command.command()
@click.argument("name")
@home_option
@json_option
def add(name: str, home: Home, as_json: bool) -> None:
    """Registers a module and prints the environment it starts with."""
    from leafward.manager.server_names import ServerNames
    from leafward.manager.settings import read_settings

    modules = _modules(home)
    ServerNames(read_settings(home.settings).device).refuse_module(name)
    try:
        identity = modules.add(name)
    finally:
        modules.close()
    environment = _environment(home, identity)
    if as_json:
        voice.say_json({"module_id": name, "environment": environment})
        return
    for key, value in environment.items():
        voice.say(f"{key}={value}")


@command.command("list")
@home_option
@json_option
def list_modules(home: Home, as_json: bool) -> None:
    """The modules that are registered."""
    modules = _modules(home)
    try:
        found = modules.all()
    finally:
        modules.close()
    if as_json:
        voice.say_json(cast("list[object]", [_facts(identity) for identity in found]))
        return
    for identity in found:
        voice.say(f"{identity.module_id}")


@command.command()
@click.argument("name")
@yes_option
@dry_run_option
@json_option
@home_option
def remove(name: str, *, yes: bool, dry_run: bool, as_json: bool, home: Home) -> None:
    """Removes a module; it cannot sign or connect any more."""
    modules = _modules(home)
    try:
        modules.get(name)
        if not dry_run:
            if not yes:
                voice.agree(f"Remove the module {name!r}?")
            modules.remove(name)
    finally:
        modules.close()
    voice.say_removed(name, {"module_id": name}, dry_run=dry_run, as_json=as_json)


@command.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("arguments", metavar="-- CMD…", nargs=-1, required=True, type=click.UNPROCESSED)
@home_option
def run(name: str, arguments: tuple[str, ...], home: Home) -> None:
    """Starts CMD as the module NAME: with its environment, and known to the manager by its process.

    The command replaces this process, so that its process id is the one that the manager knows.
    """
    from leafward.cli.management_client import attach

    environment = attach(home, name)
    try:
        os.execvpe(arguments[0], list(arguments), {**os.environ, **environment})  # noqa: S606 - this is its purpose
    except OSError as error:
        raise NotFound(f"cannot start {arguments[0]}", why=error.strerror, hint="check the command's path") from error


def _modules(home: Home) -> "Modules":
    from leafward.cli.edge import edge_device_id, require_root
    from leafward.manager.modules import Modules

    require_root(home)
    return Modules(home.registry, edge_device_id(home), system_clock)


def _environment(home: Home, identity: "Identity") -> dict[str, str]:
    from leafward.manager.module_list import environment
    from leafward.manager.settings import read_settings

    return environment(identity, read_settings(home.settings), home)


def _facts(identity: "Identity") -> dict[str, Any]:
    return {
        "module_id": identity.module_id,
        "device_id": identity.device_id,
        "generation_id": identity.generation_id,
        "enabled": identity.enabled,
    }
