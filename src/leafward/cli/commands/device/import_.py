"""`leafward device import`: devices by the thousand, from lines of JSON."""

import contextlib
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.progress import Progress
from leafward.cli.registry_options import opened_registry, shared_option
from leafward.cli.service import system_clock
from leafward.errors import UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.provisioning.device_import import Counts

# Of the lines that are refused, shown one by one.
MOST_SHOWN = 100


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--replace", "replacing", is_flag=True, help="Change those that are registered already.")
@click.option("--strict", is_flag=True, help="Nothing at all unless every line is good; not from standard input.")
@click.option("--dry-run", is_flag=True, help="Judge every line; write nothing.")
@shared_option
@home_option
@json_option
def command(
    *, file: Path, replacing: bool, strict: bool, dry_run: bool, shared: bool, home: Home, as_json: bool
) -> None:
    """Registers the devices and modules of FILE (- for standard input), one JSON object a line, as export writes them.

    Batches of 5,000 lines go in, each whole or not at all. A line that is wrong, or whose id is taken, is told with
    its number and left out, and the exit code is 1.
    """
    from leafward.provisioning.device_import import DeviceImport

    if strict and str(file) == "-":
        raise UsageError("--strict reads twice, and standard input is read once", hint="give a file")
    refusals = _Refusals()
    with opened_registry(home, shared=shared) as registry, _Source(file) as source:
        lines = DeviceImport(
            registry, system_clock(), refuse=refusals.tell, progress=source.progress, replacing=replacing
        )
        counts = lines.run(source.lines(), dry=dry_run or strict)
        if strict and not dry_run and not counts.refused:
            counts = lines.run(source.lines(), dry=False)
    refusals.end()
    _show(counts, as_json=as_json, written=not dry_run and not (strict and counts.refused))
    if counts.refused:
        raise click.exceptions.Exit(1)


class _Refusals:
    """The first of the lines that are left out are shown, and how many more there are."""

    def __init__(self) -> None:
        self._count = 0

    def tell(self, number: int, why: str) -> None:
        self._count += 1
        if self._count <= MOST_SHOWN:
            voice.warn(f"line {number}: {why}")

    def end(self) -> None:
        if self._count > MOST_SHOWN:
            voice.warn(f"{self._count - MOST_SHOWN:,} more lines were left out")


class _Source:
    """The file, and how far it is read; a bar where its size is known."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._size: int | None = None
        self._read = 0

    def __enter__(self) -> Self:
        from leafward import disk

        if str(self._file) != "-":
            with disk.told(f"cannot read {self._file}"):
                found = self._file.stat()
            self._size = found.st_size if stat.S_ISREG(found.st_mode) else None
        self._bar = Progress(self._size)
        self._bar.__enter__()
        return self

    def __exit__(self, *told: Any) -> None:
        self._bar.__exit__(*told)

    def lines(self) -> Iterator[bytes]:
        """From the beginning."""
        from leafward.provisioning.device_import import lines_of

        self._read = 0
        with _open(self._file) as opened:
            for line in lines_of(opened):
                self._read += len(line)
                yield line

    def progress(self, counts: "Counts") -> None:
        refused = f", {counts.refused:,} left out" if counts.refused else ""
        self._bar.show(self._read, f"{counts.seen:,} lines, {self._bar.rate(counts.seen):,.0f} a second{refused}")


@contextlib.contextmanager
def _open(file: Path) -> Iterator[BinaryIO]:
    from leafward import disk

    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with disk.told(f"cannot read {file}"), file.open("rb") as opened:
        yield opened


def _show(counts: "Counts", *, as_json: bool, written: bool) -> None:
    facts = {"added": counts.added, "replaced": counts.replaced, "same": counts.same, "refused": counts.refused}
    if as_json:
        voice.say_json({**facts, "written": written})
        return
    voice.say(("" if written else "nothing was written; ") + ", ".join(f"{n:,} {name}" for name, n in facts.items()))
