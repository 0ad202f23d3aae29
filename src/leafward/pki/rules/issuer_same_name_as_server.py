"""Rule 1, the hard half: the leaf's whole subject equals its issuer's, and no key identifier tells them apart.

Verifiers decide by names and key identifiers whether a certificate is self-signed (RFC 5280 3.2; X509_check_akid in
OpenSSL, error 18). Such a leaf looks self-signed to OpenSSL, Python and Node; GnuTLS accepts it.
"""

from collections.abc import Iterator

from leafward.pki.extension import authority_key_id, subject_key_id
from leafward.pki.link import names_itself, signs_itself
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """A leaf that was not signed by itself and looks as if it were."""
    leaf = context.leaf
    if context.purpose == "ca" or not names_itself(leaf) or signs_itself(leaf):
        return
    asked, own = authority_key_id(leaf), subject_key_id(leaf)
    apart = asked is not None and own is not None and asked != own
    yield RULE.finding(
        "warning" if apart else "error",
        leaf,
        got=f"subject and issuer are both {leaf.subject.rfc4514_string()}",
        expected="a CA whose name differs from the server's",
        who="maker" if context.purpose == "server" else "operator",
        fix="Issue the CA again under another common name, never the hostname: leafward ca device NAME",
        key_identifiers="tell them apart" if apart else "do not tell them apart",
    )


RULE = Rule(
    code="issuer-same-name-as-server",
    title="the server certificate and its issuer have the same name",
    clause="RFC 5280 3.2, 4.2.1.1",
    step=Step.PATH,
    check=check,
    refused_at_issue=True,
)
