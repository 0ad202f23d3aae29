"""The certificate has no subject alternative name.

Names belong in the SAN since RFC 2818; the common name is a fallback that OpenSSL, Python, Node 20 and GnuTLS still
use where there is no SAN, and that newer stacks (pyca, Go, browsers) have given up. Where the common name fits, it is
a warning that says so; where it does not, every stack refuses.

Comes about: openssl req without -addext subjectAltName; the convenience scripts' server certificates
(create_edge_server_certificate) have none.

See: openssl x509 -in HUB -noout -ext subjectAltName says "No extensions".

Mend: operator: set hostname in the settings, and leafward manager rotate; with OpenSSL: -addext
subjectAltName=DNS:NAME.
"""

from dataclasses import replace

from leafward.doctor.case import Case
from leafward.doctor.check import Failed, Outcome, rule_check
from leafward.doctor.finding import Finding
from leafward.pki.extension import addresses, common_names, dns_names
from leafward.pki.rule import Context
from leafward.pki.rules import rule

_BY_RULE = rule_check("san-missing", "name", __doc__, needs=("host",))


def _examine(case: Case) -> Outcome:
    context = case.context
    if context is None or context.host is not None or case.name is not None or context.purpose != "server":
        return _BY_RULE.examine(case)
    if dns_names(context.leaf) or addresses(context.leaf):
        return _BY_RULE.examine(case)
    return Failed((_whatever_the_name(context),))


def _whatever_the_name(context: Context) -> Finding:
    """No name is given to compare, and there is none to compare with."""
    return rule("san-missing").finding(
        "warning",
        context.leaf,
        got=[f"only the common name {name}" for name in common_names(context.leaf)],
        expected="a DNS name or an address as SAN",
        who=context.who(context.leaf),
        fix="Set the name as hostname in the settings and run: leafward manager rotate",
    )


CHECK = replace(_BY_RULE, examine=_examine)
