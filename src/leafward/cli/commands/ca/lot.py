"""`leafward ca lot`: factory lots, many certificates at line speed, each request accounted for."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli.ca_options import days_option, issuer_option, passphrase_option
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.lot_delivery import Sink
    from leafward.authority.lots import Lots
    from leafward.store.lots import Lot

# As `leafward.authority.lots.KINDS`, which is not loaded to show a help text.
KINDS = ("device_ca", "device_identity", "leaf_device")


@click.group("lot")
def command() -> None:
    """Factory lots: certificates from requests, many a second, with an account of every one.

    \b
    Examples:
      leafward ca lot open --quota 10000 --profile device_ca
      leafward ca lot issue requests/
      leafward ca lot issue 2026-11-24.1 requests.csv --out certificates.tar
      feed-the-line | leafward ca lot issue - --json | program-the-devices
      leafward ca lot close
    """


@command.command("open")
@click.option("--quota", type=click.IntRange(1), required=True, help="How many certificates at most.")
@click.option("--profile", "kind", type=click.Choice(KINDS), default="device_ca", show_default=True)
@click.option("--lot", "name", metavar="NAME", help="Its name; default: the day and a number.")
@issuer_option
@passphrase_option
@days_option
@home_option
@json_option
def open_(
    *, quota: int, kind: str, name: str | None, issuer: str | None, days: int | None, home: Home, as_json: bool
) -> None:
    """Opens a lot."""
    from leafward.cli.lot_output import show_lot

    show_lot(_lots(home).open(kind, quota, name=name, issuer=issuer, days=days), as_json)


@command.command("issue")
@click.argument("arguments", nargs=-1, required=True, metavar="[LOT] SOURCE")
@click.option("--out", type=click.Path(path_type=Path), help="Folder, or FILE.tar, for NAME.pem files; default: ./LOT")
@click.option(
    "--name-from",
    type=click.Choice(["request", "file"]),
    default="request",
    show_default=True,
    help="For a folder: the common name of the request, else of the file; or the file's at once.",
)
@click.option("--workers", type=click.IntRange(0, 64), help="Signing processes; default: one a processor; 0: none.")
@click.option("--proofs", is_flag=True, help="With each certificate the proof that it is in the log: NAME.tlog-proof.")
@passphrase_option
@home_option
@json_option
def issue(
    arguments: tuple[str, ...],
    *,
    out: Path | None,
    name_from: str,
    workers: int | None,
    proofs: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Issues from the requests of SOURCE, in the lot LOT, or the only open one.

    SOURCE is a folder of requests (.csr .req .p10 .pem .der), a CSV (name,request: a path or base64), a file of JSON
    lines ({"name": …, "csr": PEM or base64}) or PEM blocks, or - for JSON lines on standard input. What was issued
    before is not issued again: after a kill or a power cut, run the same command once more.
    """
    from leafward.authority.lot_sources import open_source
    from leafward.authority.lots import Line, default_workers
    from leafward.cli.lot_output import say_summary
    from leafward.cli.progress_line import ProgressLine
    from leafward.cli.signals import Signals

    if len(arguments) > 2:
        raise click.UsageError(f"expected [LOT] SOURCE, got {len(arguments)} arguments")
    lots = _lots(home)
    lot = lots.get(arguments[0] if len(arguments) == 2 else None)
    source = open_source(arguments[-1], sys.stdin.buffer, file_names_first=name_from == "file")
    sink, where = _sink(lots, lot, out, as_json)
    count = default_workers() if workers is None else workers
    with closing(sink), Signals() as signals, ProgressLine(lot.left) as line:
        how = Line(count, stopped=lambda: signals.told, shown=line.show, proving=proofs)
        progress = lots.issue(lot, source, sink, how)
    say_summary(lot, progress, line.seconds, where, as_json, stopped=signals.told)


@command.command("status")
@click.argument("name", metavar="[LOT]", required=False)
@home_option
@json_option
def status(name: str | None, *, home: Home, as_json: bool) -> None:
    """The account of a lot as it stands, or all lots."""
    from leafward.cli.lot_output import show_lots, show_reconciliation

    lots = _lots(home)
    if name is None:
        show_lots(lots.all(), as_json)
    else:
        show_reconciliation(lots.reconciliation(lots.get(name)), as_json)


@command.command("close")
@click.argument("name", metavar="[LOT]", required=False)
@click.option("--spoiled", multiple=True, metavar="NAME", help="A certificate that reached no device; may be repeated.")
@home_option
@json_option
def close(name: str | None, *, spoiled: tuple[str, ...], home: Home, as_json: bool) -> None:
    """Ends a lot: prints its account, and issues nothing in it any more."""
    from leafward.cli.lot_output import show_reconciliation

    lots = _lots(home)
    show_reconciliation(lots.close(lots.get(name), spoiled=spoiled), as_json)


def _lots(home: Home) -> "Lots":
    from leafward.authority.lots import Lots
    from leafward.cli.service import system_clock

    return Lots(open_issuance(home), clock=system_clock)


def _sink(lots: "Lots", lot: "Lot", out: Path | None, as_json: bool) -> "tuple[Sink, Path | None]":
    """Where the certificates go, and what to say of it."""
    from leafward.authority.lot_delivery import FolderSink, JsonSink, TarSink

    issuers = lots.issuers_pem(lot)
    if as_json and out is None:
        return JsonSink(sys.stdout.buffer, lot.name, issuers), None
    path = out or Path(lot.name)
    return (TarSink if path.suffix == ".tar" else FolderSink)(path, issuers), path
