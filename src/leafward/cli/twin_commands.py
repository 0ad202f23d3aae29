"""The subcommands of `twin`, for devices and for modules alike: show, set, watch."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option, yes_option
from leafward.errors import InputError, StoreError, UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.wire.twins import Document

# How often `watch` looks.
POLL_SECONDS = 1.0

# (device id, module id or None), of what the command line names.
Whose = Callable[[Home, dict[str, Any]], tuple[str, str | None]]
Command = Callable[..., Any]


def add_commands(group: click.Group, name_options: Callable[[Command], Command], whose: Whose) -> None:
    """Adds the subcommands to `group`. `name_options` are its way to name an identity, `whose` says which that is."""
    for make in (_show_command, _set_command, _watch_command):
        group.add_command(make(name_options, whose))


def _show_command(name_options: Callable[[Command], Command], whose: Whose) -> click.Command:
    @click.command("show")
    @name_options
    @home_option
    @json_option
    def show(home: Home, as_json: bool, **names: Any) -> None:
        """The twin: tags, desired and reported properties, with their versions."""
        from leafward.cli import twin_client

        twin = twin_client.read(home, *whose(home, names))
        if as_json:
            voice.say_json(twin)
        else:
            _say(twin)

    return show


def _set_command(name_options: Callable[[Command], Command], whose: Whose) -> click.Command:
    @click.command("set")
    @name_options
    @click.option("--desired", metavar="JSON", help="Desired properties; null removes one.")
    @click.option("--file", type=click.Path(path_type=Path, allow_dash=True), help="They stand in a file; - for stdin.")
    @click.option("--tags", metavar="JSON", help="Tags, which no device sees; null removes one.")
    @click.option("--if-match", "etag", metavar="ETAG", help="Only if the twin is still the one with this ETag.")
    @click.option("--replace", is_flag=True, help="Replace what is given instead of merging it.")
    @click.option("--dry-run", is_flag=True, help="Show what the device would be told; change nothing.")
    @yes_option
    @home_option
    @json_option
    def set_(
        *,
        desired: str | None,
        file: Path | None,
        tags: str | None,
        etag: str | None,
        replace: bool,
        dry_run: bool,
        yes: bool,
        home: Home,
        as_json: bool,
        **names: Any,
    ) -> None:
        """Changes desired properties and tags. Who is connected is told at once, the others when they connect."""
        from leafward.cli import twin_client

        device_id, module_id = whose(home, names)
        wanted = {"desired": _properties("--desired", _given(desired, file)), "tags": _properties("--tags", tags)}
        if wanted == {"desired": None, "tags": None}:
            raise UsageError("nothing to change", hint="--desired JSON, --file FILE or --tags JSON")
        if dry_run:
            _say_patch(_dry_run(twin_client.read(home, device_id, module_id), replace=replace, **wanted), as_json)
            return
        if replace and not yes:
            voice.agree(f"Replace the properties of {module_id or device_id!r}?")
        twin = twin_client.change(home, device_id, module_id, **wanted, etag=etag, replace=replace)
        if as_json:
            voice.say_json(twin)
        else:
            version = twin["properties"]["desired"]["$version"]
            voice.say(f"desired properties in version {version}, ETag {twin['etag']}")

    return set_


def _watch_command(name_options: Callable[[Command], Command], whose: Whose) -> click.Command:
    @click.command("watch")
    @name_options
    @home_option
    @json_option
    def watch(home: Home, as_json: bool, **names: Any) -> None:
        """Shows what is reported, then each change of it, until Ctrl-C; changes within a second as one."""
        from leafward.cli import twin_client
        from leafward.wire.twins import difference

        device_id, module_id = whose(home, names)
        seen: dict[str, Any] = {}
        version = 0
        while True:
            reported = _split(twin_client.read(home, device_id, module_id)["properties"]["reported"])
            if reported[1] != version:
                before, (seen, version) = seen, reported
                _say_patch({**difference(before, seen), "$version": version}, as_json)
            time.sleep(POLL_SECONDS)

    return watch


def _given(desired: str | None, file: Path | None) -> str | None:
    if desired is not None and file is not None:
        raise UsageError("--desired and --file are the same", hint="give one of them")
    if file is None:
        return desired
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except OSError as error:
        raise StoreError(f"cannot read {file}", why=error.strerror) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no JSON", why="it is not UTF-8") from error


def _properties(option: str, text: str | None) -> "Document | None":
    from leafward.wire.twins import parse_patch

    if text is None:
        return None
    try:
        return parse_patch(text.encode("utf-8", "surrogateescape"))
    except InputError as error:
        hint = error.hint or f"{option} '{{\"interval\": 5}}'"
        raise UsageError(f"{option}: {error.what}", why=error.why, hint=hint) from error


def _dry_run(
    twin: dict[str, Any], *, desired: "Document | None", tags: "Document | None", replace: bool
) -> dict[str, Any]:
    """What would be another value: the patch that the device would be told, and that of the tags."""
    from leafward.wire.twins import difference, merge

    kept = {"desired": _split(twin["properties"]["desired"])[0], "tags": twin["tags"]}
    given = {"desired": desired, "tags": tags}
    return {
        name: difference(kept[name], merge({} if replace else kept[name], patch))
        for name, patch in given.items()
        if patch is not None
    }


def _split(section: dict[str, Any]) -> tuple[dict[str, Any], int]:
    values = {name: value for name, value in section.items() if not name.startswith("$")}
    return values, section["$version"]


def _say(twin: dict[str, Any]) -> None:
    name = "/".join(twin[key] for key in ("deviceId", "moduleId") if key in twin)
    voice.say(f"{name}  {twin['status']}, {twin['connectionState'].lower()}, ETag {twin['etag']}")
    voice.say(f"tags      {json.dumps(twin['tags'])}")
    for what in ("desired", "reported"):
        section = twin["properties"][what]
        values, version = _split(section)
        since = section["$metadata"].get("$lastUpdated")
        voice.say(f"{what:<8}  version {version}{'' if since is None else f', {since}'}")
        for line in json.dumps(values, indent=2).splitlines() if values else ():
            voice.say(f"  {line}")


def _say_patch(patch: dict[str, Any], as_json: bool) -> None:
    if as_json:
        voice.say_json(patch)
    else:
        voice.say(json.dumps(patch))
