"""Many targets at once: a list of them from a file, how far the looking is, and what came out, in a line each."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from leafward.cli.doctor_report import coloured
from leafward.cli.progress_line import ProgressLine
from leafward.errors import UsageError

if TYPE_CHECKING:
    from leafward.doctor.runner import Report

MOST_BYTES, MOST_TARGETS = 4 * 1024 * 1024, 100_000
# From so many reports on, each has a line in place of a page.
MANY = 11


def targets_in(path: str) -> tuple[str, ...]:
    """The targets of a list, one a line; blank lines and those that begin with # count for nothing. "-" is standard
    input. Raises `UsageError` for a list that cannot be read, is too long, or has none.
    """
    lines = (line.strip() for line in _text(path).splitlines())
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found or len(found) > MOST_TARGETS:
        why = f"got {len(found)} targets, expected 1 to {MOST_TARGETS}"
        raise UsageError(f"{path} is no list of targets", why=why, hint="write a target a line, as gateway.local:8883")
    return found


def _text(path: str) -> str:
    from pathlib import Path

    from leafward.doctor import file_reader

    if path == "-":
        data: bytes | None = sys.stdin.buffer.read(MOST_BYTES + 1)
        why = f"it is too large: expected at most {MOST_BYTES} bytes"
    else:
        read = file_reader.read(Path(path))
        data, why = read.data, read.why
    if data is None or len(data) > MOST_BYTES:
        raise UsageError(f"{path} cannot be read as a list of targets", why=why)
    return data.decode("utf-8-sig", "replace")


@dataclass(frozen=True, slots=True)
class _Looked:
    seen: int
    length: int
    rejected: int = 0


@contextmanager
def watched() -> Iterator[Callable[[int, int], None]]:
    """What is to be called with (done, of how many): a bar at the foot of the terminal, where there is one."""
    with ProgressLine(0) as line:
        yield lambda done, most: line.show(_Looked(done, most))


def short_lines(reports: "Sequence[Report]") -> Iterator[str]:
    """A line a report, and how often what was found; the whole of one is shown where it is asked for alone."""
    width = max(len(one.case.target) for one in reports)
    for one in reports:
        yield f"{coloured(one.verdict, f'{one.verdict.upper():<7}')}  {one.case.target:<{width}}  {_why(one)}".rstrip()
    counted = Counter(one.verdict for one in reports)
    yield ""
    yield f"{len(reports):,} looked at: " + ", ".join(
        f"{counted[verdict]:,} {verdict}" for verdict in ("ok", "warning", "failed") if counted[verdict]
    )
    for code, times in Counter(one.cause.code for one in reports if one.cause is not None).most_common():
        yield f"  {times:>7,}  {code}"
    if counted["failed"]:
        yield click.style("the whole of a report: leafward doctor TARGET, or --json for all of them", dim=True)


def _why(report: "Report") -> str:
    if report.cause is not None:
        return f"{report.cause.code}  {report.cause.who}: {report.cause.title}"
    return ", ".join(dict.fromkeys(one.code for one in report.findings if one.severity == "warning"))
