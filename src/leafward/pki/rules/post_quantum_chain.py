"""Rule 8: a chain that a leaf device verifies at a TLS handshake has no ML-DSA in it.

TLS 1.2 has no code points for ML-DSA and gets none (draft-ietf-tls-mldsa section 3), and OpenSSL before 3.5 cannot
read such a key (RFC 9881). The Azure SDK for Python speaks TLS 1.2 only. So a server is refused below such a CA, and a
device CA where a gateway is to use it; hierarchies that no such client meets are made freely.
"""

from collections.abc import Iterator

from cryptography import x509

from leafward.pki.key_types import key_name
from leafward.pki.rule import Context, Finding, Rule, Step

CODE = "post-quantum-chain"
_PREFIX = "ml-dsa-"


def check(context: Context) -> Iterator[Finding]:
    """The first certificate of the path with an ML-DSA key: one is enough. A CA is judged where a host is named."""
    if context.purpose in ("client", "responder") or (context.purpose == "ca" and context.host is None):
        return
    found = next((one for one in context.path if _is_post_quantum(one)), None)
    if found is not None:
        yield RULE.finding(
            "error",
            found,
            got=key_name(found),
            expected="keys that a TLS 1.2 client verifies: ec-p256, ec-p384 or RSA, from the leaf to the root",
            who=context.who(found),
            fix="Leaf devices verify this chain, and those that speak TLS 1.2 only (the Azure SDK for Python does) "
            "cannot. Use one whose whole chain has ec-p256 keys: leafward ca device --key ec-p256 --issuer NAME.",
        )


def _is_post_quantum(certificate: x509.Certificate) -> bool:
    return key_name(certificate).startswith(_PREFIX)


RULE = Rule(
    code=CODE,
    title="a TLS 1.2 client cannot verify the chain",
    clause="RFC 5246 7.4.2; RFC 9881; draft-ietf-tls-mldsa 3",
    step=Step.PATH,
    check=check,
)
