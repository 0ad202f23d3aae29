"""The chain is larger than a small device can take in.

The server's certificates come in one TLS message, and a small device has to hold all of it. mbedTLS takes 16,384
bytes as it is delivered and is often built with 4,096; --max-chain-bytes judges for yours. Larger stacks have no such
limit (OpenSSL's is 100 KiB).

Comes about: RSA keys of 4,096 bits at every level (a certificate of 1.5 KB in place of 500 bytes), long names, many
levels, the root sent though no client needs it.

See: leafward doctor HOST:PORT --max-chain-bytes 4096, or openssl s_client -connect HOST:PORT -showcerts.

Mend: maker: use ec-p256 keys (--key ec-p256) and fewer levels. Operator: leave the root out of the chain file. Leaf:
build the stack with more room (MBEDTLS_SSL_IN_CONTENT_LEN).
"""

from cryptography.hazmat.primitives.serialization import Encoding

from leafward.doctor.case import Case
from leafward.doctor.check import NOT_APPLICABLE, OK, Check, Failed, Outcome
from leafward.pki.chain import fingerprint
from leafward.pki.rule import Step

DEFAULT_BYTES = 16384  # MBEDTLS_SSL_IN_CONTENT_LEN as it is delivered
_LENGTH = 3  # octets before the list and before each certificate, RFC 5246 7.4.2


def message_size(case: Case) -> int:
    """The length of TLS 1.2's Certificate message with the certificates that are sent, in bytes."""
    return _LENGTH + sum(_LENGTH + len(one.public_bytes(Encoding.DER)) for one in case.presented)


def _examine(case: Case) -> Outcome:
    if not case.presented or case.purpose != "server":
        return NOT_APPLICABLE
    size, most = message_size(case), case.limits.chain_bytes or DEFAULT_BYTES
    if size <= most:
        return OK
    finding = CHECK.finding(
        "warning",
        evidence={"got": f"{size} bytes in {len(case.presented)} certificates", "expected": f"at most {most} bytes"},
        certificate=fingerprint(case.presented[0]),
        who="maker",
        fix="Use ec-p256 keys at every level (--key ec-p256), fewer levels, and leave the root out of what is sent.",
    )
    return Failed((finding,))


CHECK = Check(
    code="chain-too-large-for-small-devices",
    family="chain",
    title="the chain is larger than a small device takes",
    order=Step.ADVICE,
    examine=_examine,
    text=__doc__ or "",
)
