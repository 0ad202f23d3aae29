"""Rule 5: the DNS names of a server certificate are host names (RFC 5280 4.2.1.6, RFC 1123 2.1).

Verifiers skip a name they cannot read, or refuse the whole certificate for it.
"""

from collections.abc import Iterator

from leafward.errors import NameFormatError
from leafward.pki.extension import dns_names
from leafward.pki.names import HostName, parse_host
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each dNSName of a server certificate that is no host name; addresses are `ip-in-dns-san`'s when they matter."""
    if context.purpose != "server":
        return
    for name in dns_names(context.leaf):
        if not _is_host_name(name):
            yield RULE.finding(
                "warning",
                context.leaf,
                got=name,
                expected="a host name: labels of letters, digits and hyphens, parted by dots",
                who="operator",
                fix="Correct hostname in the settings, then run: leafward manager rotate",
            )


def _is_host_name(name: str) -> bool:
    try:
        return isinstance(parse_host(name.removeprefix("*.")), HostName)
    except NameFormatError:
        return False


RULE = Rule(
    code="hostname-invalid",
    title="a DNS name in the certificate is no host name",
    clause="RFC 5280 4.2.1.6; RFC 1123 2.1",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
