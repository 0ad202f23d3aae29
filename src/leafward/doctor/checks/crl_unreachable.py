"""A revocation list cannot be fetched.

The address of the list does not answer, or answers with something else. Clients do not look by default, so it is a
warning; who insists on revocation (openssl verify -crl_check without a list: 3, unable to get certificate CRL) is
refused.

Comes about: the maker's server is off, a firewall, an address that only the factory's network knows.

See: curl -sSI URL; openssl x509 -in FILE -noout -ext crlDistributionPoints shows the address.

Mend: maker: leafward ca serve answers for the lists. Operator: let the gateway through to it, or bring the list in a
file: --crl FILE.
"""

from leafward.doctor.case import Case
from leafward.doctor.check import NOT_APPLICABLE, OK, Check, Outcome, outcome
from leafward.pki.rule import Step


def _examine(case: Case) -> Outcome:
    if not case.unreachable_crls:
        return OK if case.crls else NOT_APPLICABLE
    return outcome(
        [
            CHECK.finding(
                "warning",
                evidence={"got": why, "expected": "a revocation list", "url": url},
                who="network",
                fix=f"See whether the issuer's server answers (curl -sSI {url}), or give the list in a file: --crl F.",
            )
            for url, why in case.unreachable_crls
        ]
    )


CHECK = Check(
    code="crl-unreachable",
    family="revocation",
    title="a revocation list cannot be fetched",
    order=Step.REVOCATION,
    examine=_examine,
    text=__doc__ or "",
)
