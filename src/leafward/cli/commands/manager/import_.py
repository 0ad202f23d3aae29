"""`leafward manager import`: a leafward.toml from the configuration of IoT Edge."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.manager.iotedge_import import Import


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would be written; change nothing.")
@click.option("--force", is_flag=True, help="Replace the leafward.toml that is there; it is kept beside the new one.")
@yes_option
@home_option
@json_option
def command(*, file: Path, dry_run: bool, force: bool, yes: bool, home: Home, as_json: bool) -> None:
    """Writes the leafward.toml that means what a config.yaml or config.toml of IoT Edge means.

    Says what was taken, what has no meaning here and what must be decided. Certificates and keys are not copied: they
    are named where they are. The old file is left as it is.

    \b
    Examples:
      leafward manager import /etc/iotedge/config.yaml --dry-run
      leafward manager import /etc/aziot/config.toml --home /var/lib/leafward
    """
    from leafward.errors import UsageError
    from leafward.manager.iotedge_import import read_import, write_import
    from leafward.manager.settings_source import is_iotedge_file

    path = file.absolute()
    if not is_iotedge_file(path):
        raise UsageError(f"{path} is no configuration of IoT Edge", hint="give its config.yaml or config.toml")
    found = read_import(path, home, now=system_clock())
    if not dry_run:
        if force and home.settings.exists() and not yes:
            voice.agree(f"Replace {home.settings}?")
        write_import(found, home, replace=force and home.settings.exists())
    if as_json:
        voice.say_json(_facts(found, home, written=not dry_run))
    else:
        _say(found, home, dry_run=dry_run)


def _facts(found: "Import", home: Home, *, written: bool) -> dict[str, object]:
    return {
        "source": str(found.source),
        "settings": str(home.settings),
        "written": written,
        "taken": [{"key": one.key, "value": one.value, "from": one.source, "line": one.line} for one in found.taken],
        "left": [{"key": note.key, "line": note.line, "message": note.message} for note in found.left],
        "decide": list(found.decide),
        "secret_files": [str(home.root / name) for name in found.secrets],
    }


def _say(found: "Import", home: Home, *, dry_run: bool) -> None:
    voice.say(f"taken from {found.source}:")
    for line in found.text.splitlines()[2:]:
        voice.say(f"  {line}".rstrip())
    if found.left:
        voice.say("has no meaning here:")
        for note in found.left:
            line = "" if note.line is None else f"line {note.line}: "
            voice.say(f"  {line}{f'{note.key}: ' if note.key else ''}{note.message}")
    voice.say("to be decided or done:")
    for sentence in found.decide:
        voice.say(f"  {sentence}")
    voice.say(f"{'would write' if dry_run else 'written'}: {home.settings}")
