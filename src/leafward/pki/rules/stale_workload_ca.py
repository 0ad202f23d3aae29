"""Rule 6: the hub certificate was signed by the workload CA that is presented, not by an earlier one of the same name.

Every workload CA has the same common name, so after a rotation only key identifiers and the signature tell the new one
from the old (RFC 5280 4.2.1.1). A hub that goes on with its old certificate beside the new CA fails everywhere.
"""

from collections.abc import Iterator

from leafward.pki.extension import path_length
from leafward.pki.link import Link
from leafward.pki.rule import Context, Finding, Rule, Step
from leafward.pki.summary import WORKLOAD_CA_NAMES


def check(context: Context) -> Iterator[Finding]:
    """The first link only: names fit, key identifiers do not, nor does the signature."""
    for link in context.links[:1]:
        if context.purpose != "ca" and is_stale(link):
            yield RULE.finding(
                "error",
                link.child,
                got=f"a certificate signed by another key named {link.issuer.subject.rfc4514_string()}",
                expected="one signed by the workload CA that is presented",
                who="operator",
                fix="Issue the hub's certificate anew, then restart the hub: leafward manager rotate",
            )


def is_stale(link: Link) -> bool:
    """True where a workload CA of the right name has another key than the one that signed."""
    return is_workload_ca(link) and link.names_match and link.key_ids_match is False and not link.signed


def is_workload_ca(link: Link) -> bool:
    """Whether the issuer is a workload CA: by its name, or as it allows no CA below."""
    by_name = any(name in link.issuer.subject.rfc4514_string().lower() for name in WORKLOAD_CA_NAMES)
    return by_name or path_length(link.issuer) == 0


RULE = Rule(
    code="stale-workload-ca",
    title="the certificate comes from another workload CA of the same name",
    clause="RFC 5280 4.2.1.1",
    step=Step.PATH,
    check=check,
)
