"""`leafward device export`: the registry as lines of JSON."""

import os
import secrets as randomness
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.progress import Progress
from leafward.cli.registry_options import opened_registry, shared_option
from leafward.store.home import Home


@click.command("export")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file, 0600; default: standard output.")
@click.option("--secrets", is_flag=True, help="With the symmetric keys, for an import elsewhere.")
@shared_option
@home_option
@json_option
def command(out: Path | None, secrets: bool, shared: bool, home: Home, as_json: bool) -> None:
    """Every device and module of the registry, one JSON object a line.

    Without --secrets no key is in it; an import then makes new ones. Each line is as it was when it was read.
    """
    from leafward.provisioning.device_lines import write_line
    from leafward.store.registry_bulk import pages

    with opened_registry(home, shared=shared) as registry:
        if out is None:
            for page in pages(registry):
                for identity in page:
                    voice.say(write_line(identity, secrets_too=secrets))
            return
        total = sum(registry.count())
        with Progress(total) as bar:
            lines = (write_line(identity, secrets_too=secrets) for page in pages(registry) for identity in page)
            count = _write(out, _shown(lines, bar))
    if as_json:
        voice.say_json({"written": count, "file": str(out)})
    else:
        click.echo(f"{count:,} written to {out}", file=sys.stderr)


def _shown(lines: Iterator[str], bar: Progress) -> Iterator[str]:
    for count, line in enumerate(lines, start=1):
        yield line
        if count % 1000 == 0:
            bar.show(count, f"{count:,} lines, {bar.rate(count):,.0f} a second")


def _write(path: Path, lines: Iterator[str]) -> int:
    """All of it, or the file that was there; how many lines."""
    from leafward import disk

    new, count = path.with_name(f".{path.name}.{randomness.token_hex(4)}.new"), 0
    with disk.told(f"cannot write {path}"):
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, disk.PRIVATE)
            with open(descriptor, "w", encoding="ascii") as file:
                for line in lines:
                    file.write(f"{line}\n")
                    count += 1
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
        finally:
            new.unlink(missing_ok=True)
        disk.sync_folder(path.parent)
    return count
