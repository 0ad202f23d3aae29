"""`leafward doctor`: one cause, its evidence, who can mend it and how. Exit code 0 ok or warnings, 1 failed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.ca_options import passphrase_option
from leafward.cli.doctor_clients import client_lines, clients_json, in_the_light_of
from leafward.cli.doctor_options import asked_of, live_options
from leafward.cli.options import json_option
from leafward.cli.secret_prompt import allow_asking
from leafward.cli.times import checked_time, parse_time
from leafward.errors import KeyUnavailable, UsageError

if TYPE_CHECKING:
    from leafward.doctor.case_files import Question
    from leafward.doctor.runner import Report

FAILED = 1


def _codes(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """For a shell that completes."""
    from leafward.doctor.checks import CHECKS

    return [code for code in (*(one.code for one in CHECKS), "all") if code.startswith(begun)]


@click.command("doctor")
@click.argument("targets", nargs=-1, metavar="TARGET...")
@click.option("--root", "roots", metavar="FILE", multiple=True, help="The roots that the leaf trusts; may be repeated.")
@click.option("--name", metavar="HOST", help="The name or address that the leaf connects by.")
@click.option("--purpose", type=click.Choice(["server", "client"]), help="Default: by the certificate.")
@click.option("--at", metavar="RFC3339", callback=checked_time, help="The leaf's time; default: now.")
@click.option("--crl", "crls", metavar="FILE|URL", multiple=True, help="A revocation list; may be repeated.")
@click.option("--connection-string", metavar="STRING", help="The leaf's connection string.")
@click.option("--max-chain-bytes", metavar="N", type=click.IntRange(1), help="What the leaf's TLS takes in, in bytes.")
@click.option("--max-depth", metavar="N", type=click.IntRange(1), help="The most certificates on a path it takes.")
@click.option("--list", "listed", metavar="FILE", help="Further targets, one a line; - for standard input.")
@click.option(
    "--explain",
    metavar="CODE",
    shell_complete=_codes,
    help="What a code means, how it comes about, how to see and mend it; all lists them.",
)
@live_options
@passphrase_option
@json_option
def command(targets: tuple[str, ...], listed: str | None, explain: str | None, as_json: bool, **given: Any) -> int:
    """Says why a leaf device cannot connect: one cause, its evidence, who can mend it and how.

    TARGETs are HOST:PORT, and files in any mix and order: certificates, chains, keys, PKCS#12, PKCS#7, revocation
    lists, or folders of them; a connection string, a home, a configuration of IoT Edge. Files that are named together
    are one question, each server is one. Exit code 0 ok or warnings, 1 failed.

    \b
    Examples:
      leafward doctor gateway.local:8883 --root root.pem
      leafward doctor chain.pem key.pem root.pem --name gateway.local
      leafward doctor /etc/leafward/device-ca
      leafward doctor --list gateways.txt --root root.pem
      leafward doctor --explain intermediate-missing
    """
    if explain is not None:
        return _explain(explain)
    if listed is not None:
        from leafward.cli.doctor_list import targets_in

        targets = (*targets, *targets_in(listed))
    if not targets and not given["connection_string"] and given["error_text"] is None:
        raise UsageError("what to look at is not said", why="a TARGET is needed", hint="leafward doctor --help")
    reports = _reports(targets, given)
    _tell_all(reports, as_json=as_json, clients=given["clients"])
    return FAILED if any(one.failed for one in reports) else 0


def _explain(code: str) -> int:
    from leafward.doctor.checks import CHECKS
    from leafward.doctor.pages import explain

    if code == "all":
        width = max(len(one.code) for one in CHECKS)
        for one in CHECKS:
            voice.say(f"{one.code:<{width}}  {one.title}")
    else:
        voice.say(explain(code).text())
    return 0


def _reports(targets: tuple[str, ...], given: dict[str, Any]) -> "list[Report]":
    """One for all the files together, and one for each server."""
    from leafward.cli.doctor_list import watched
    from leafward.doctor.targets import Given, examine

    allow_asking()
    question = _question(given)
    with watched() as watch:
        reports = examine(Given(targets, given["roots"], given["crls"], asked_of(given)), question, _password, watch)
    return reports if given["error_text"] is None else in_the_light_of(given["error_text"], reports, question)


def _question(given: dict[str, Any]) -> "Question":
    from leafward.doctor.case import Limits
    from leafward.doctor.case_files import Question

    return Question(
        now=parse_time(given["at"])
        if given["at"]
        else datetime.now(UTC),  # as `service.system_clock`, which loads more than files need
        clock_is_real=given["at"] is None,
        name=_without_brackets(given["name"]),
        purpose=given["purpose"],
        limits=Limits(given["max_chain_bytes"], given["max_depth"]),
    )


def _without_brackets(name: str | None) -> str | None:
    """An address of version 6 as it stands in a URL is the same address."""
    return name[1:-1] if name is not None and name.startswith("[") and name.endswith("]") else name


def _password(path: str) -> bytes | None:
    """The passphrase of a file, from where the options, the environment or a person have it; None: from nowhere."""
    from leafward.keys.passphrase import in_use

    try:
        return in_use().to_open(path).text.encode()
    except KeyUnavailable as error:
        if "nobody to ask" in (error.why or ""):
            return None
        raise


def _tell_all(reports: "Sequence[Report]", *, as_json: bool, clients: tuple[str, ...]) -> None:
    from leafward.cli.doctor_list import MANY, short_lines

    if as_json or clients or len(reports) < MANY:
        for report in reports:
            _tell(report, as_json=as_json, clients=clients)
        return
    for line in short_lines(reports):
        voice.say(line)


def _tell(report: "Report", *, as_json: bool, clients: tuple[str, ...]) -> None:
    if as_json:
        from leafward.doctor.report import as_json as report_as_json

        voice.say_json({**report_as_json(report), **clients_json(report.case, clients)})
        return
    from leafward.cli.doctor_report import lines_of

    for line in (*lines_of(report), *client_lines(report.case, clients)):
        voice.say(line)
