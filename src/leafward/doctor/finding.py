"""What a diagnosis found. It is what a rule found: the same value, with the same fields, and its form as JSON."""

from leafward.pki.rule import Finding, Severity, Who

__all__ = ["NAMES_ALONE", "Finding", "Severity", "Who", "as_json"]

# Evidence `key_identifiers` of a fault that shows at the signature, as names alone led to the issuer.
NAMES_ALONE = "none that tell"


def as_json(finding: Finding) -> dict[str, object]:
    """The finding as programs get it; `alternatives` is there only where the evidence allows other codes."""
    value: dict[str, object] = {
        "code": finding.code,
        "severity": finding.severity,
        "title": finding.title,
        "evidence": dict(finding.evidence),
        "certificate": finding.certificate,
        "who": finding.who,
        "fix": finding.fix,
    }
    if finding.alternatives:
        value["alternatives"] = list(finding.alternatives)
    return value
