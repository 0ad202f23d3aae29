"""A diagnosis for people: the verdict, the cause with its evidence, the chain with the fault marked in it, the rest."""

import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC

import click

from leafward.cli.tree import draw_chain
from leafward.doctor.case import Case
from leafward.doctor.finding import Finding
from leafward.doctor.report import unrelated
from leafward.doctor.runner import Report
from leafward.pki.chain import Chain, fingerprint

_COLOURS = {"failed": "red", "error": "red", "warning": "yellow", "ok": "green", "info": "cyan"}
_WIDTH = 116
_LABEL = 13
_WHO = {
    "maker": "the maker (who issues the CAs)",
    "operator": "the operator (who runs the gateway)",
    "leaf": "the leaf (its settings, its trusted certificates, its clock)",
    "network": "the network between them",
}
# Shown elsewhere in the report.
_SHOWN = {"got", "expected", "subject", "file", "line", "look"}


def lines_of(report: Report) -> Iterator[str]:
    """The report, line by line."""
    yield f"{coloured(report.verdict, report.verdict.upper())}  {_asked(report.case)}"
    if report.cause is not None:
        yield ""
        yield from _cause(report.cause)
    yield from _chain(report)
    yield from _files(report.case)
    yield from _rest(report)
    yield from _untold(report)


def _asked(case: Case) -> str:
    """What was looked at, as what, for whom, and when."""
    what = {"server": "as a server's", "client": "as a leaf's", "ca": "as a CA's"}.get(case.purpose, "")
    name = f" for {case.name}" if case.name is not None and case.purpose == "server" else ""
    return f"{case.target}  ({what}{name}, at {case.now.astimezone(UTC):%Y-%m-%d %H:%M:%SZ})"


def _cause(cause: Finding) -> Iterator[str]:
    yield f"{coloured('error', cause.title)}  [{cause.code}]"
    yield from _details(cause)
    yield from _wrapped("who", _WHO[cause.who])
    yield from _wrapped("fix", cause.fix)
    yield from _or(cause)


def _or(finding: Finding) -> Iterator[str]:
    """What it may be besides, and which look tells."""
    if finding.alternatives:
        look = finding.evidence.get("look")
        yield from _wrapped("or", " or ".join(finding.alternatives) + (f"; what tells: {look}" if look else ""))


def _details(finding: Finding) -> Iterator[str]:
    if subject := finding.evidence.get("subject"):
        sha = f"  (sha256 {finding.certificate[:16]}…)" if finding.certificate else ""
        yield from _wrapped("certificate", f"{subject}{sha}")
    if file := finding.evidence.get("file"):
        line = finding.evidence.get("line")
        yield from _wrapped("file", f"{file}, line {line}" if line else str(file))
    yield from _wrapped("got", _words(finding.evidence.get("got")))
    yield from _wrapped("expected", _words(finding.evidence.get("expected")))
    for key, value in finding.evidence.items():
        if key not in _SHOWN:
            yield from _wrapped(key.replace("_", " "), _words(value))


def _chain(report: Report) -> Iterator[str]:
    """The path as a tree, each certificate with what was found at it; then what was sent beside it."""
    context = report.case.context
    if context is None:
        return
    yield ""
    marks = _marks(report)
    for line, certificate in zip(draw_chain(Chain(context.path)), reversed(context.path), strict=True):
        yield f"{line.rstrip()}  {marks[sha]}" if (sha := fingerprint(certificate)) in marks else line.rstrip()
    for certificate in unrelated(report.case, context):
        mark = marks.get(fingerprint(certificate), "")
        yield f"beside it: {certificate.subject.rfc4514_string()}  {mark}".rstrip()


def _marks(report: Report) -> Mapping[str, str]:
    marks: dict[str, str] = {}
    for finding in ([report.cause] if report.cause else []) + list(report.findings):
        if finding.certificate is not None:
            arrow = coloured(finding.severity, f"<- {finding.code}" if finding is report.cause else finding.code)
            marks[finding.certificate] = f"{marks.get(finding.certificate, '')} {arrow}".strip()
    return marks


def _files(case: Case) -> Iterator[str]:
    if len(case.files) > 1:
        yield ""
        for file in case.files:
            yield from _wrapped("file", f"{file.path}: {file.role}")


def _rest(report: Report) -> Iterator[str]:
    for finding in report.findings:
        yield ""
        yield f"{coloured(finding.severity, finding.severity)}: {finding.title}  [{finding.code}]"
        yield from _details(finding)
        yield from _wrapped("fix", finding.fix)
        yield from _or(finding)


def _untold(report: Report) -> Iterator[str]:
    """What could not be told, each reason once."""
    reasons = dict.fromkeys(why for _, why in report.untold)
    for number, why in enumerate(reasons):
        codes = [code for code, reason in report.untold if reason == why]
        if number == 0:
            yield ""
        yield from _wrapped("not told", f"{why} ({', '.join(codes)})")


def _wrapped(label: str, text: str) -> Iterator[str]:
    """A labelled text; commands and paths are never broken inside a word."""
    indent = " " * (_LABEL + 2)
    lines = textwrap.wrap(text, _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False) or [""]
    yield f"  {label:<{_LABEL - 1}} {lines[0]}"
    yield from (f"{indent}{line}" for line in lines[1:])


def _words(item: object) -> str:
    if isinstance(item, list | tuple):
        return ", ".join(map(str, item)) if item else "none"
    return "none" if item is None else str(item)


def coloured(kind: str, text: str) -> str:
    """A text in the colour of a verdict or a severity."""
    return click.style(text, fg=_COLOURS[kind], bold=kind in ("failed", "error", "ok"))
