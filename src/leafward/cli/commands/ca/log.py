"""`leafward ca log`: the issuance log: what was signed, provable to anybody."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.errors import NotFound, UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.ledger import Ledger
    from leafward.store.issuance_log.difference import Report
    from leafward.store.issuance_log.log import IssuanceLog

NOT_AS_SIGNED = 1
_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group("log")
def command() -> None:
    """The issuance log: every certificate, CRL and OCSP response that was signed, in a tree that cannot be rewritten.

    \b
    Examples:
      leafward ca log show                               how far it is
      leafward ca log proof pump-gateway-0001.ca         proof that a certificate is in it
      leafward ca log verify                             was anything changed, removed, forked?
      leafward ca log export public/                     files for auditors and witnesses
      leafward ca log verify --files-only --export public/ --log-key KEY     as an auditor, without the maker
    """


@command.command()
@click.option("--last", type=click.IntRange(0, 1000), default=0, metavar="N", help="Show the last N entries too.")
@home_option
@json_option
def show(last: int, home: Home, as_json: bool) -> None:
    """How far the log is, and how far it is signed."""
    log = _log(home)
    state = log.state()
    facts: dict[str, object] = {
        "origin": state.key.name if state.key else None,
        "size": state.size,
        "root": state.root.hex(),
        "signed": state.signed.size if state.signed else 0,
        "key": str(state.key) if state.key else None,
    }
    first = max(0, state.size - last)
    entries = [entry.decode("ascii", "replace").split("\n")[1:-1] for entry in log.entries(first, state.size)]
    if as_json:
        voice.say_json({**facts, "entries": [{"index": first + at, "lines": e} for at, e in enumerate(entries)]})
        return
    for label, value in facts.items():
        voice.say(f"{label:<8}{'-' if value is None else value}")
    for at, lines in enumerate(entries):
        voice.say(f"{first + at:>8}  {'  '.join(lines)}")


@command.command()
@home_option
@json_option
def key(home: Home, as_json: bool) -> None:
    """The log's public key, as auditors and witnesses take it (signed-note vkey)."""
    state = _log(home).state()
    if state.key is None:
        raise NotFound("the log has no key yet", why="it was never signed", hint="leafward ca log checkpoint")
    if as_json:
        voice.say_json({"origin": state.key.name, "key": str(state.key), "key_id": state.key.key_id.hex()})
    else:
        voice.say(str(state.key))


@command.command()
@click.option("--origin", metavar="NAME", help="Names a log that was never signed; default: after the first CA.")
@home_option
@json_option
def checkpoint(origin: str | None, home: Home, as_json: bool) -> None:
    """Signs the log as it is now, and prints the signed checkpoint."""
    from leafward.authority.log_keys import open_log
    from leafward.store.issuance_log.note import is_key_name

    log = _log(home)
    if origin is not None:
        kept = log.state().key
        if not is_key_name(origin):
            raise UsageError(
                f"{origin!r} is no name of a log", hint="one without spaces and '+': log.example.com/maker"
            )
        if kept is not None and kept.name != origin:
            raise UsageError(f"the log is named {kept.name!r}", why="its name is signed, and never changes")
        log = open_log(log.engine, home.maker, origin=origin)
    note = log.checkpoint()
    if as_json:
        voice.say_json({"checkpoint": note, "size": int(note.split("\n")[1]), "file": str(log.file.path)})
    else:
        click.echo(note, nl=False)


@command.command()
@click.argument("wanted", metavar="SHA256|SERIAL|NAME")
@click.option("--out", type=_FILE, help="Write it there; as text, ending .tlog-proof by custom.")
@home_option
@json_option
def proof(wanted: str, out: Path | None, home: Home, as_json: bool) -> None:
    """Proof that a certificate is in the log: C2SP tlog-proof text, or JSON."""
    import json

    from leafward import disk
    from leafward.authority.log_verification import find_position

    ledger = _ledger(home)
    found = ledger.log.proof(find_position(ledger, wanted, now=system_clock()))
    text = json.dumps(found.to_json()) + "\n" if as_json else str(found)
    if out is None:
        click.echo(text, nl=False)
    else:
        disk.write_file(out, text.encode(), mode=disk.PUBLIC)
        voice.say(str(out))


@command.command()
@click.option("--checkpoint", "checkpoints", type=_FILE, multiple=True, help="A checkpoint kept elsewhere; repeat it.")
@click.option("--export", "exported", type=_FOLDER, help="Compare with exported files too.")
@click.option("--files-only", is_flag=True, help="Verify the exported files alone, without this home.")
@click.option("--proof", "proof_file", type=_FILE, help="Verify this proof instead.")
@click.option("--certificate", type=_FILE, help="With --proof: the certificate it must be about.")
@click.option("--log-key", metavar="KEY|FILE", help="The log's public key; default: the one kept in this home.")
@home_option
@json_option
def verify(
    *,
    checkpoints: tuple[Path, ...],
    exported: Path | None,
    files_only: bool,
    proof_file: Path | None,
    certificate: Path | None,
    log_key: str | None,
    home: Home,
    as_json: bool,
) -> int:
    """Hashes the whole log anew and compares it with all that is known of it. Exit 1 where anything differs."""
    from leafward.authority.log_verification import read_key, verify_files, verify_home

    given = read_key(log_key) if log_key is not None else None
    if proof_file is not None:
        return _verify_proof(home, proof_file, certificate, log_key, as_json)
    with _progress("verifying", quiet=as_json) as progress:
        if files_only:
            if exported is None or given is None:
                hint = "leafward ca log verify --files-only --export DIR --log-key KEY"
                raise UsageError("--files-only needs --export and --log-key", hint=hint)
            report = verify_files(exported, given, checkpoints=checkpoints, progress=progress)
        else:
            report = verify_home(
                _log(home),
                now=system_clock(),
                key=given,
                checkpoints=checkpoints,
                exported=exported,
                progress=progress,
            )
    return _tell(report, as_json)


@command.command()
@click.argument("folder", type=_FOLDER)
@home_option
@json_option
def export(folder: Path, home: Home, as_json: bool) -> None:
    """Signs the log and writes it into FOLDER as static files (C2SP tlog-tiles); again: what is new."""
    from leafward.store.issuance_log.export import export as write_files

    log = _log(home)
    note = log.checkpoint()
    state = log.state()
    assert state.key is not None
    with _progress("exporting", quiet=as_json) as progress:
        done = write_files(log.engine, note, state.key, folder, progress=progress)
    if as_json:
        voice.say_json({"folder": str(folder), "origin": done.origin, "size": done.size, "root": done.root.hex()})
    else:
        voice.say(f"{folder}: {done.size} entries of {done.origin}")


@command.command()
@yes_option
@home_option
def restart(yes: bool, home: Home) -> None:
    """Ends the log and begins another, under a new key: only where the newest database or its checkpoint is lost."""
    log = _log(home)
    if not yes:
        click.confirm("End this log? Whoever trusts its key has to be told the new one.", abort=True)
    aside = log.restart()
    voice.say(log.checkpoint().splitlines()[0])
    voice.warn(f"this is another log: give its key (leafward ca log key) to your auditors; the old one is in {aside}")


def _log(home: Home) -> "IssuanceLog":
    return _ledger(home).log


def _ledger(home: Home) -> "Ledger":
    issuance = open_issuance(home)
    if not issuance.has_issued:
        raise NotFound(f"no issuance log in {home.root}", hint='leafward ca init --cn "Example Root CA" begins it')
    return issuance.ledger


def _verify_proof(home: Home, path: Path, certificate: Path | None, log_key: str | None, as_json: bool) -> int:
    from leafward import disk
    from leafward.authority.log_keys import known_key
    from leafward.authority.log_verification import read_key, verify_proof
    from leafward.errors import InputError
    from leafward.pki.encoding import load_certificates

    key = read_key(log_key) if log_key is not None else known_key(home.maker)
    if key is None:
        raise UsageError("the log's public key is needed", hint="--log-key KEY, as `leafward ca log key` prints it")
    about = load_certificates(disk.read_file(certificate))[0] if certificate is not None else None
    try:
        signed, entry = verify_proof(path, key, about)
    except InputError as error:
        if as_json:
            voice.say_json({"valid": False, "reason": str(error)})
        else:
            voice.fail(error)
        return NOT_AS_SIGNED
    facts = {"kind": entry.kind, "sha256": entry.sha256, "serial": f"{entry.serial:x}", "recorded": str(entry.time)}
    if as_json:
        voice.say_json({"valid": True, "origin": signed.origin, "size": signed.size, **facts})
    else:
        voice.say(f"proved: {entry.kind} {entry.sha256} is in {signed.origin}, signed at {signed.size} entries")
        if about is None:
            voice.hint("--certificate FILE says whether this is your certificate")
    return 0


def _tell(report: "Report", as_json: bool) -> int:
    if as_json:
        voice.say_json(
            {
                "valid": report.is_good,
                "size": report.size,
                "root": report.root.hex() if report.root else None,
                "signed": report.signed,
                "differences": [found.to_json() for found in report.differences],
                "not_shown": report.not_shown,
            }
        )
    elif report.is_good:
        voice.say(f"the log of {report.size} entries is as it was signed, up to entry {report.signed}")
        if report.signed < report.size:
            voice.hint("leafward ca log checkpoint signs the rest")
    else:
        for found in report.differences:
            voice.say(str(found))
        if report.not_shown:
            voice.say(f"and {report.not_shown} more")
    return 0 if report.is_good else NOT_AS_SIGNED


@contextlib.contextmanager
def _progress(what: str, *, quiet: bool) -> "Iterator[Callable[[int, int], None] | None]":
    """A bar on standard error, on a terminal only; its length is known with the first call."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=what, file=sys.stderr, show_pos=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield progress
