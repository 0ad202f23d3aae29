"""The name is written with other letters than in the certificate.

The names are equal but for upper and lower case. TLS compares without case (measured: OpenSSL, Python and Node accept
it), so it is a warning: name services of some local networks, file names and some SDKs do compare letters.

Comes about: the machine's name has capital letters and was typed as it is shown; IoT Edge lower-cases the hostname in
its certificates.

See: openssl x509 -in HUB -noout -ext subjectAltName against GatewayHostName.

Mend: leaf: write the name in lower case. Operator: hostname in the settings is lower-cased by itself.
"""

from leafward.doctor.case import Case
from leafward.doctor.check import NOT_APPLICABLE, OK, Check, CouldNotTell, Failed, Outcome
from leafward.pki.chain import fingerprint
from leafward.pki.extension import dns_names
from leafward.pki.rule import Step
from leafward.pki.rules.names import matches


def _examine(case: Case) -> Outcome:
    if case.context is None or case.purpose != "server":
        return NOT_APPLICABLE
    if case.name is None:
        return CouldNotTell("it is not known by which name the leaf connects: give it with --name HOST")
    fitting = [name for name in dns_names(case.context.leaf) if matches(name, case.name)]
    if not fitting or case.name in fitting or any(_ends_alike(name, case.name) for name in fitting):
        return OK
    finding = CHECK.finding(
        "warning",
        evidence={"got": case.name, "expected": fitting, "subject": case.context.leaf.subject.rfc4514_string()},
        certificate=fingerprint(case.context.leaf),
        who="leaf",
        fix=f"Write the name as the certificate has it, in lower case: GatewayHostName={fitting[0].lower()}.",
    )
    return Failed((finding,))


def _ends_alike(pattern: str, name: str) -> bool:
    """A wildcard whose letters are those of the name."""
    return pattern.startswith("*.") and name.endswith(pattern[1:])


CHECK = Check(
    code="hostname-case-mismatch",
    family="name",
    title="the name differs in upper and lower case",
    order=Step.ADVICE,
    examine=_examine,
    text=__doc__ or "",
)
