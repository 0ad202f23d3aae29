"""A report as data for programs, and several of one question as one. What `--json` prints is a contract."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from cryptography import x509

from leafward.doctor.case import Case
from leafward.doctor.finding import as_json as finding_as_json
from leafward.doctor.runner import Report, Verdict
from leafward.pki.chain import Chain
from leafward.pki.extension import unreadable
from leafward.pki.rule import Context
from leafward.pki.summary import describe_chain, roles, summarise


def as_json(answer: Report) -> dict[str, object]:
    """The report as programs get it: verdict, cause, findings, chain, and what was judged."""
    case = answer.case
    return {
        "verdict": answer.verdict,
        "target": case.target,
        "cause": None if answer.cause is None else finding_as_json(answer.cause),
        "findings": [finding_as_json(one) for one in answer.findings],
        "chain": chain_of(case),
        "name": case.name,
        "purpose": case.purpose,
        "at": f"{case.now:%Y-%m-%dT%H:%M:%SZ}",
        "files": [{"path": file.path, "role": file.role} for file in case.files],
        "not_told": [{"code": code, "why": why} for code, why in answer.untold],
    }


def chain_of(case: Case) -> dict[str, object] | None:
    """The path that was judged, as `leafward chain` shows one; `unrelated` are certificates sent that are not on it."""
    context = case.context
    if context is None:
        return None
    described = describe_chain(case.target, Chain(context.path))
    return {**described, "unrelated": [_summary(one) for one in unrelated(case, context)]}


def unrelated(case: Case, context: Context) -> list[x509.Certificate]:
    """Certificates that were sent and are not on the path."""
    return [one for one in dict.fromkeys(case.presented) if one not in context.path and not unreadable(one)]


def _summary(certificate: x509.Certificate) -> dict[str, object]:
    summary = summarise(certificate, roles([certificate])[0])
    return {**asdict(summary), "san": list(summary.san)}


def joined(reports: Sequence[Report]) -> Report:
    """One report for files that were named together: the first that failed, with what was found in the others.

    `reports` is not empty; a server's chain stands before a client's. What all of them found is told once.
    """
    first = next((one for one in reports if one.failed), reports[0])
    told = [*([first.cause] if first.cause else []), *first.findings]
    more = []
    for one in reports:
        for item in [*([one.cause] if one.cause else []), *one.findings]:
            if item not in told:
                told.append(item)
                more.append(item)
    warned = any(item.severity == "warning" for item in told)
    verdict: Verdict = "failed" if first.failed else "warning" if warned else "ok"
    return replace(first, verdict=verdict, findings=(*first.findings, *more))
