"""`leafward manager check-config`: all that is wrong with a settings file, before a start finds the first of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leafward.errors import Fault
    from leafward.wire.iotedge_config.findings import Note

FAULTS_FOUND = 1


@click.command("check-config")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@home_option
@json_option
def command(file: Path | None, home: Home, as_json: bool) -> int:
    """Checks a leafward.toml, or IoT Edge's config.yaml or config.toml, and the files that it names.

    Without FILE the home's own. Each fault has its line. Exit 0 where there is none, 1 where there are faults, 3 where
    the file cannot be read. Nothing is changed.
    """
    path = home.settings if file is None else file.absolute()
    faults, notes = _look(path, home, must_be_there=file is not None)
    if as_json:
        voice.say_json([_facts(fault) for fault in faults])
    else:
        for fault in faults:
            voice.say(str(fault))
        if not faults:
            voice.say(f"{path}: no faults")
    for note in notes:
        voice.warn(str(note))
    return FAULTS_FOUND if faults else 0


def _look(path: Path, home: Home, *, must_be_there: bool) -> "tuple[list[Fault], list[Note]]":
    from leafward import disk
    from leafward.manager.settings_source import is_iotedge_file

    if must_be_there:
        disk.read_file(path)
    faults, notes = _manager(path, home)
    if not path.exists() or is_iotedge_file(path):
        return faults, notes
    return _each_place_once([*faults, *_other_parts(path)]), notes


def _manager(path: Path, home: Home) -> "tuple[list[Fault], list[Note]]":
    """What the manager reads; what it refers to is looked at where that much is right."""
    from leafward.errors import SettingsError
    from leafward.keys.passphrase import add_pins
    from leafward.manager.config_check import ConfigCheck
    from leafward.manager.settings_source import read_settings_source
    from leafward.manager.start import LAST_SEEN
    from leafward.manager.time_floor import TimeFloor

    try:
        source = read_settings_source(path)
    except SettingsError as error:
        return list(error.faults), []
    add_pins(source.pins)
    found = ConfigCheck(source, home, now=TimeFloor(home.manager / LAST_SEEN, system_clock).now())
    return found.faults, found.notes


def _other_parts(path: Path) -> "Iterator[Fault]":
    """The tables that other parts read of the same file."""
    from leafward.authority.est_settings import read_est
    from leafward.authority.settings import read_maker
    from leafward.errors import Fault, SettingsError
    from leafward.hub.settings import read_leaf_cas
    from leafward.hub.settings import read_settings as read_hub
    from leafward.provisioning.settings import read_settings as read_provisioning
    from leafward.store.settings_file import lines_of

    def leaf_cas(path: Path) -> None:
        read_leaf_cas(read_hub(path), path)

    for read in (leaf_cas, read_provisioning, read_maker, read_est):
        try:
            read(path)
        except SettingsError as error:
            # Only the file that hub.leaf_cas names is judged without a place.
            place = lines_of(path).get(("hub", "leaf_cas"))
            yield from error.faults or [Fault(str(path), place, "hub.leaf_cas", str(error), expected=error.hint)]


def _each_place_once(faults: "list[Fault]") -> "list[Fault]":
    """Every part refuses a table that no part knows; who knows what is meant is heard."""
    found: dict[tuple[str, int | None], Fault] = {}
    for fault in faults:
        place = (fault.key, fault.line)
        if place not in found or (fault.nearest and not found[place].nearest):
            found[place] = fault
    return sorted(found.values(), key=lambda fault: fault.line or 0)


def _facts(fault: "Fault") -> dict[str, object]:
    return {
        "file": fault.file,
        "line": fault.line,
        "key": fault.key,
        "expected": fault.expected,
        "got": fault.got,
        "nearest": fault.nearest,
        "message": fault.message,
    }
