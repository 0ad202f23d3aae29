"""Rule 1: no CA's common name is the hostname, compared lower-cased.

The hub presents its whole chain; with one name twice in it some verifiers take the server certificate for self-signed.
Current OpenSSL, Python, Node and GnuTLS accept it where key identifiers stand, so it is a warning when met, and refused
whenever we issue.
"""

from collections.abc import Iterator

from leafward.pki.extension import common_names, dns_names
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each CA of the path whose CN is one of the names the server goes by; the server's certificate is blamed."""
    server = _server_names(context)
    for ca in context.cas:
        for name in common_names(ca):
            if name.lower() in server:
                yield RULE.finding(
                    "warning",
                    context.leaf if context.purpose == "server" else ca,
                    got=f"the CA {ca.subject.rfc4514_string()} and the hostname {name.lower()}",
                    expected="a CA with another common name than the hostname",
                    who="operator" if context.purpose == "server" else context.who(ca),
                    fix="Choose another hostname (hostname in the settings), or another common name for the CA: "
                    f"{context.reissue(ca)}",
                )


def _server_names(context: Context) -> set[str]:
    names = set() if context.host is None else {str(context.host).lower()}
    if context.purpose == "server":
        names.update(name.lower() for name in (*common_names(context.leaf), *dns_names(context.leaf)))
    return names


RULE = Rule(
    code="common-name-equals-device-ca",
    title="a CA has the hostname as its common name",
    clause="certificates of an edge gateway: device CA and hostname must differ",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
