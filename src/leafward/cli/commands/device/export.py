"""`leafward device export`: the registry as lines of JSON."""

import os
import secrets as randomness
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.options import home_option
from leafward.store.home import Home


@click.command("export")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file, 0600; default: standard output.")
@click.option("--secrets", is_flag=True, help="With the symmetric keys, for an import elsewhere.")
@home_option
def command(out: Path | None, secrets: bool, home: Home) -> None:
    """Every device and module of the registry, one JSON object a line.

    Without --secrets no key is in it; an import then makes new ones. Each line is as it was when it was read.
    """
    from leafward.cli.edge import require_root
    from leafward.provisioning.device_lines import write_line
    from leafward.store.registry import Registry
    from leafward.store.registry_bulk import pages

    require_root(home)
    with Registry.open(home.registry) as registry:
        lines = (write_line(identity, secrets_too=secrets) for page in pages(registry) for identity in page)
        if out is None:
            for line in lines:
                voice.say(line)
            return
        count = _write(out, lines)
    click.echo(f"{count:,} written to {out}", file=sys.stderr)


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
