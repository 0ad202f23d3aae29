"""A name is no host name.

Either the certificate has a DNS name that is none (a blank, a URI, an address, a label of more than 63 characters),
which some stacks skip and others refuse the whole certificate for; or the name that the leaf was told to use is none,
and then no certificate can carry it.

Comes about: a scheme, a port or a final dot was left in the name (mqtts://gateway, gateway:8883, gateway.local.); IoT
Edge writes "URI: azureiot://…" into a DNS name of its modules.

See: openssl x509 -in HUB -noout -ext subjectAltName; the host part of the leaf's connection string.

Mend: leaf: give the host name alone, labels of letters, digits and hyphens parted by dots. Operator: correct hostname
in the settings, then leafward manager rotate.
"""

from dataclasses import replace

from leafward.doctor.case import Case
from leafward.doctor.check import Failed, Outcome, rule_check
from leafward.doctor.finding import Finding
from leafward.errors import NameFormatError
from leafward.pki.extension import dns_names
from leafward.pki.names import parse_host
from leafward.pki.rule import Step

_BY_RULE = rule_check("hostname-invalid", "name", __doc__)


def _examine(case: Case) -> Outcome:
    asked = _of_the_leaf(case)
    return Failed((asked,)) if asked is not None else _BY_RULE.examine(case)


def _of_the_leaf(case: Case) -> Finding | None:
    if case.name is None or case.host is not None or case.purpose != "server":
        return None
    try:
        parse_host(case.name)
    except NameFormatError as error:
        # OpenSSL compares text: the same nonsense on both sides fits.
        there = case.context is not None and case.name.lower() in map(str.lower, dns_names(case.context.leaf))
        return CHECK.finding(
            "warning" if there else "error",
            evidence={"got": case.name, "expected": "a host name or an address", "why": error.why or error.what},
            who="leaf",
            fix="Connect by the host name alone, without scheme, port or final dot: GatewayHostName=gateway.local.",
        )
    return None


CHECK = replace(_BY_RULE, order=Step.NAME, examine=_examine)
