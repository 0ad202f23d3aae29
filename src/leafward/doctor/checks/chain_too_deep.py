"""The path has more certificates than the leaf takes.

Each level is a certificate to send, to hold and a signature to verify. OpenSSL takes a hundred levels; mbedTLS stops
after eight intermediates, wolfSSL after nine certificates, and leafward's own verify after sixteen. With --max-depth
it is judged for a device that takes fewer.

Comes about: many intermediates (a department, a contractor, a line), each of which adds a level below the root.

See: leafward chain HOST:PORT draws the levels; the path counts from the leaf's certificate to the root, both
included.

Mend: maker: use fewer intermediates, or sign the device CA with a higher one (leafward ca device --issuer NAME).
Leaf: raise the limit (MBEDTLS_X509_MAX_INTERMEDIATE_CA, MAX_CHAIN_DEPTH).
"""

from dataclasses import replace

from leafward.doctor.case import MOST_PRESENTED, Case
from leafward.doctor.check import Failed, Outcome, rule_check
from leafward.doctor.finding import Finding
from leafward.pki.chain import fingerprint

# OpenSSL takes it (its limit is a hundred): a warning, though our own `verify` refuses.
_BY_RULE = rule_check("chain-too-deep", "chain", __doc__, adapt=lambda finding: replace(finding, severity="warning"))


def _examine(case: Case) -> Outcome:
    if len(case.presented) > MOST_PRESENTED:
        return Failed((_too_deep(case, "error", f"{len(case.presented)} certificates sent", MOST_PRESENTED),))
    found = _BY_RULE.examine(case)
    most, context = case.limits.depth, case.context
    if isinstance(found, Failed) or context is None or most is None or len(context.path) <= most:
        return found
    return Failed((_too_deep(case, "warning", f"{len(context.path)} certificates on the path", most),))


def _too_deep(case: Case, severity: str, got: str, most: int) -> Finding:
    top = (case.context.path if case.context else case.presented)[-1]
    return replace(
        CHECK.finding(
            "warning",
            evidence={"got": got, "expected": f"at most {most}", "subject": top.subject.rfc4514_string()},
            certificate=fingerprint(top),
            who="maker",
            fix="Use fewer intermediate CAs: leafward ca device --issuer NAME signs below a higher one.",
        ),
        severity="error" if severity == "error" else "warning",
    )


CHECK = replace(_BY_RULE, examine=_examine)
