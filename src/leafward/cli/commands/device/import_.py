"""`leafward device import`: devices by the thousand, from lines of JSON."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.errors import UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.provisioning.device_import import Counts, DeviceImport

# Of the lines that are refused, shown one by one.
MOST_SHOWN = 100


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--replace", "replacing", is_flag=True, help="Change those that are registered already.")
@click.option("--strict", is_flag=True, help="Nothing at all unless every line is good; not from standard input.")
@click.option("--dry-run", is_flag=True, help="Judge every line; write nothing.")
@home_option
@json_option
def command(*, file: Path, replacing: bool, strict: bool, dry_run: bool, home: Home, as_json: bool) -> None:
    """Registers the devices and modules of FILE (- for standard input), one JSON object a line, as export writes them.

    Batches of 5,000 lines go in, each whole or not at all. A line that is wrong, or whose id is taken, is told with
    its number and left out, and the exit code is 1.
    """
    from leafward.cli.edge import require_root
    from leafward.provisioning.device_import import DeviceImport
    from leafward.store.registry import Registry

    if strict and str(file) == "-":
        raise UsageError("--strict reads twice, and standard input is read once", hint="give a file")
    require_root(home)
    shown = 0

    def refuse(number: int, why: str) -> None:
        nonlocal shown
        shown += 1
        if shown <= MOST_SHOWN:
            voice.warn(f"line {number}: {why}")

    with Registry.open(home.registry) as registry, contextlib.closing(_Progress()) as progress:
        lines = DeviceImport(registry, system_clock(), refuse=refuse, progress=progress.show, replacing=replacing)
        counts = _run(lines, file, dry=dry_run or strict)
        if strict and not dry_run and not counts.refused:
            counts = _run(lines, file, dry=False)
    _show(counts, as_json=as_json, written=not dry_run and not (strict and counts.refused))
    if counts.refused:
        raise click.exceptions.Exit(1)


def _run(lines: "DeviceImport", file: Path, *, dry: bool) -> "Counts":
    from leafward.provisioning.device_import import lines_of

    with _open(file) as opened:
        return lines.run(lines_of(opened), dry=dry)


@contextlib.contextmanager
def _open(file: Path) -> Iterator[BinaryIO]:
    from leafward import disk

    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with disk.told(f"cannot read {file}"), file.open("rb") as opened:
        yield opened


class _Progress:
    """A line at the foot of the terminal; nothing where nobody looks."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._begun = time.monotonic()

    def show(self, counts: "Counts") -> None:
        if self._on:
            rate = counts.seen / max(time.monotonic() - self._begun, 0.001)
            refused = f", {counts.refused:,} refused" if counts.refused else ""
            sys.stderr.write(f"\r{counts.seen:,} lines, {rate:,.0f} a second{refused}\x1b[K")
            sys.stderr.flush()

    def close(self) -> None:
        if self._on:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _show(counts: "Counts", *, as_json: bool, written: bool) -> None:
    facts = {"added": counts.added, "replaced": counts.replaced, "same": counts.same, "refused": counts.refused}
    if as_json:
        voice.say_json({**facts, "written": written})
        return
    voice.say(("" if written else "nothing was written; ") + ", ".join(f"{n:,} {name}" for name, n in facts.items()))
