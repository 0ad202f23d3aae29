"""Rule 9: everything that is sent after the leaf helps to reach a root (RFC 5246 7.4.2, RFC 8446 4.4.2).

OpenSSL, Python, Node and GnuTLS pass over the rest; stacks that verify each certificate as it arrives refuse it.
"""

from collections.abc import Iterator

from cryptography import x509

from leafward.pki.link import signs_itself
from leafward.pki.paths import Pool, candidate_paths, public_key_bytes
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate sent that is not on the path. Where the path has a hole, those that lead to a root fit above it.

    Another certificate of a CA on the path (cross-signed, or issued again) belongs to it too.
    """
    on_path = {_name_and_key(one) for one in context.path}
    left = [one for one in dict.fromkeys(context.presented) if _name_and_key(one) not in on_path]
    whole = context.anchored or signs_itself(context.path[-1])
    for certificate in left:
        if whole or not _leads_to_a_root(context, certificate):
            yield RULE.finding(
                "warning",
                certificate,
                got=certificate.subject.rfc4514_string(),
                expected=f"only the issuers of {context.leaf.subject.rfc4514_string() or 'the leaf'}",
                who=context.presenter,
                fix="Take it out of the chain file that is sent: cat LEAF ISSUER … > CHAIN has only what is needed.",
            )


def _name_and_key(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    return certificate.subject.public_bytes(), public_key_bytes(certificate)


def _leads_to_a_root(context: Context, certificate: x509.Certificate) -> bool:
    return next(candidate_paths(certificate, Pool(context.presented), Pool(context.anchors)), None) is not None


RULE = Rule(
    code="unrelated-certificate-in-chain",
    title="a certificate that is sent has nothing to do with the chain",
    clause="RFC 5246 7.4.2; RFC 8446 4.4.2",
    step=Step.ADVICE,
    check=check,
    at_issue=False,
)
