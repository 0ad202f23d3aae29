"""Rule 5: the server certificate carries, as a SAN, the name that the client uses (RFC 9525 6.3, RFC 5280 4.2.1.6).

A DNS name for a name, an address for an address. One look at the SAN gives one of four codes. We never rely on the
common name, though OpenSSL, Python, Node and GnuTLS still fall back on it where the SAN has no DNS name.
"""

from collections.abc import Iterator

from leafward.pki.extension import addresses, common_names, dns_names
from leafward.pki.names import HostName
from leafward.pki.rule import Context, Finding, Rule, Severity, Step


def matches(pattern: str, host: str) -> bool:
    """True where a dNSName stands for a host name: equal without case, or a wildcard for its whole first label.

    A wildcard wants two labels after it, as OpenSSL does: "*.local" would stand for every machine of a network.

    >>> matches("*.plant.example", "gw.plant.example"), matches("*.local", "gw.local")
    (True, False)
    """
    pattern, host = pattern.lower(), host.lower()
    if not pattern.startswith("*."):
        return pattern == host
    parent = pattern[2:]
    return parent.count(".") >= 1 and "*" not in parent and host.partition(".")[2] == parent


def _classify(context: Context) -> tuple[str, Severity] | None:
    """The code of how the name fails, and how badly; None where it does not."""
    if context.purpose != "server" or context.host is None:
        return None
    if isinstance(context.host, HostName):
        return _classify_name(context, context.host.text)
    return _classify_address(context, str(context.host))


def _classify_name(context: Context, host: str) -> tuple[str, Severity] | None:
    names = dns_names(context.leaf)
    if any(matches(name, host) for name in names):
        return None
    if names or addresses(context.leaf):
        return "hostname-mismatch", "error"
    fits = any(matches(name, host) for name in common_names(context.leaf))
    return "san-missing", "warning" if fits else "error"


def _classify_address(context: Context, host: str) -> tuple[str, Severity] | None:
    has = addresses(context.leaf)
    if host in has:
        return None
    if host in dns_names(context.leaf):
        return "ip-in-dns-san", "error"
    return "hostname-mismatch" if has else "ip-san-missing", "error"


def names_of(context: Context) -> list[str]:
    """What the leaf goes by, with the kind of each name."""
    leaf = context.leaf
    return [*(f"DNS:{name}" for name in dns_names(leaf)), *(f"IP:{address}" for address in addresses(leaf))]


def _rule(code: str, title: str, fix: str) -> Rule:
    def check(context: Context) -> Iterator[Finding]:
        fault = _classify(context)
        if fault is not None and fault[0] == code:
            kind = "DNS" if isinstance(context.host, HostName) else "IP"
            yield rule.finding(
                fault[1],
                context.leaf,
                got=names_of(context) or [f"only the common name {name}" for name in common_names(context.leaf)],
                expected=f"{kind}:{context.host}",
                who="operator",
                fix=fix.format(host=context.host),
            )

    rule = Rule(
        code=code,
        title=title,
        clause="RFC 9525 6.3; RFC 5280 4.2.1.6",
        step=Step.NAME,
        check=check,
        refused_at_issue=True,
    )
    return rule


_ANEW = "set it as hostname in the settings and run: leafward manager rotate"

RULES = (
    _rule(
        "hostname-mismatch",
        "the certificate is for another name",
        f"Connect by a name the certificate has, or give the hub the name {{host}}: {_ANEW}",
    ),
    _rule(
        "san-missing",
        "the certificate has no subject alternative name",
        f"Issue the certificate again with DNS:{{host}} as SAN: {_ANEW}",
    ),
    _rule(
        "ip-in-dns-san",
        "the address stands in the SAN as a DNS name",
        "Issue the certificate again with IP:{host} as SAN, not DNS:{host}: leafward manager rotate",
    ),
    _rule(
        "ip-san-missing",
        "the certificate has no address as SAN",
        f"Connect by a name the certificate has, or give the hub the address {{host}}: {_ANEW}",
    ),
)
