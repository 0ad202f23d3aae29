"""The chain lacks a certificate between the leaf and the root.

A server sends its own certificate and all those that lead to the root. Here one is missing, so that a client that has
only the root cannot close the gap. OpenSSL says "unable to get local issuer certificate" (20), Node
UNABLE_TO_VERIFY_LEAF_SIGNATURE.

Where the issuer that is named is neither sent nor trusted, nobody can tell from outside whether it is an intermediate
or a root: then both codes are named, and which look tells them apart.

Comes about: the certificate file has only the server's certificate (cert.pem in place of fullchain.pem), or one file
was left out when the chain was joined. On a leaf with its own certificate: the intermediate was never copied to the
device.

See: leafward chain HOST:PORT shows what is sent, and names the issuer that is not; look at that issuer's certificate:
if it is self-signed, it is the root, and the leaf does not trust it.

Mend: operator: put the missing certificate into the chain file, after the one it signed; a hub of leafward sends the
chain of its device CA, so device_ca_certificate has to name the whole chain, leaf first. Leaf: send the whole client
chain, not the certificate alone.
"""

from dataclasses import replace

from leafward.doctor.case import Case
from leafward.doctor.check import Failed, Outcome, rule_check
from leafward.doctor.finding import Finding
from leafward.pki.chain import fingerprint

_BY_RULE = rule_check("intermediate-missing", "chain", __doc__, needs=("anchors",))


def _examine(case: Case) -> Outcome:
    found = _BY_RULE.examine(case)
    aside = _kept_aside(case)
    return Failed((aside,)) if aside is not None and not isinstance(found, Failed) else found


def _kept_aside(case: Case) -> Finding | None:
    """The path is whole only with a certificate from another file: a remark, as nobody says what will be sent."""
    context = case.context
    if context is None or not case.files:
        return None
    aside = [one for one in context.path[1:] if one in case.more and one not in case.anchors]
    if not aside:
        return None
    first = aside[0]
    return CHECK.finding(
        "info",
        evidence={
            "got": f"{first.subject.rfc4514_string()} in a file of its own",
            "expected": "the certificate in the chain file that is sent, after the one it signed",
            "subject": first.subject.rfc4514_string(),
        },
        certificate=fingerprint(first),
        who=context.presenter,
        fix="If the first file alone is what is sent, add the others to it: cat LEAF ISSUER … > CHAIN",
    )


CHECK = replace(_BY_RULE, examine=_examine)
