"""What other people's clients would say, and what an error text of theirs means, printed by `leafward doctor`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from leafward.doctor.case import Case
    from leafward.doctor.case_files import Question
    from leafward.doctor.runner import Report

_WORDS = {True: ("accepts", "green"), False: ("refuses", "red"), None: ("unknown", "yellow")}


def _predictions(case: "Case", names: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    """(client, prediction) of those that were asked for; `all` is every one."""
    from leafward.doctor.clients import CLIENTS

    for name in CLIENTS if "all" in names else dict.fromkeys(names):
        yield CLIENTS[name], CLIENTS[name].predict(case)


def client_lines(case: "Case", names: Sequence[str]) -> Iterator[str]:
    """The matrix, a line a client; nothing where none was asked for."""
    if not names:
        return
    said = list(_predictions(case, names))
    width = max(len(client.name) for client, _ in said)
    yield ""
    for client, prediction in said:
        word, colour = _WORDS[prediction.accepts]
        yield f"  {client.name:<{width}}  {click.style(f'{word:<8}', fg=colour)} {prediction.message}".rstrip()


def clients_json(case: "Case", names: Sequence[str]) -> dict[str, Any]:
    """`{"clients": {NAME: {"accepts": bool|null, "message": text|null, "measured": text}}}`, or nothing."""
    if not names:
        return {}
    found = {
        client.name: {"accepts": said.accepts, "message": said.message or None, "measured": client.measured}
        for client, said in _predictions(case, names)
    }
    return {"clients": found}


def in_the_light_of(text: str, reports: "list[Report]", question: "Question") -> "list[Report]":
    """The reports, each narrowed by an error text; where there is none, one of the text itself."""
    from leafward.doctor.case import Case
    from leafward.doctor.error_narrowing import narrowed, report_of_text
    from leafward.doctor.error_texts import read_error
    from leafward.errors import UsageError

    reading = read_error(text)
    if reports:
        return [narrowed(report, reading) for report in reports]
    if not reading.codes:
        raise UsageError(
            "the error text says nothing that is known",
            hint="paste the whole text, with the lines below the first; or look yourself: leafward doctor HOST:PORT",
        )
    return [report_of_text(reading, Case(target="the error text", now=question.now))]
