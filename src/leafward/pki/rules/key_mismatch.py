"""Rule 7: the private key belongs to the certificate. A TLS server with the wrong one cannot even start."""

from collections.abc import Iterator

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward.pki.paths import public_key_bytes
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """The first certificate of the chain, where the key kept for it is known."""
    if context.key is None:
        return
    kept = context.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if kept != public_key_bytes(context.leaf):
        yield RULE.finding(
            "error",
            context.leaf,
            got="a private key of another certificate",
            expected="the private key whose public half is in the certificate",
            who="maker" if context.purpose == "ca" else "operator",
            fix=f"Put the fitting key beside the certificate, or make both anew: {context.reissue(context.leaf)}",
        )


RULE = Rule(
    code="key-mismatch",
    title="the private key does not belong to the certificate",
    clause="RFC 8446 4.4.3",
    step=Step.PATH,
    check=check,
)
