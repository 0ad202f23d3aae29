"""What the hub tells the provisioning service of a device, beside its request, over their own socket.

The hub has made the TLS handshake, so it alone knows which certificate the device has proved. It hands that on in a
header of its own; headers of these names that a device sends go no further than the hub.
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import EncodingError
from leafward.wire.base64_text import decode_base64, encode_base64

# The presented chain, leaf first: DER in base64, parted by commas.
CHAIN = "x-leafward-chain"
# "1" where the hub itself would let this chain in as it is.
OPENS_HUB = "x-leafward-opens-hub"
# In the answer: why a device was refused, for the hub's log. The hub tells it to nobody.
WHY = "x-leafward-why"

MOST_CERTIFICATES = 16
LONGEST_CHAIN = 96 * 1024  # characters


def write_chain(certificates: Sequence[x509.Certificate]) -> str:
    """The header's value. Raises `EncodingError` for a chain that is too long."""
    text = ",".join(encode_base64(one.public_bytes(Encoding.DER)) for one in certificates)
    if len(certificates) > MOST_CERTIFICATES or len(text) > LONGEST_CHAIN:
        why = f"got {len(certificates)} certificates in {len(text)} characters"
        raise EncodingError("the client's chain is too long", why=why)
    return text


def read_chain(text: str) -> tuple[x509.Certificate, ...]:
    """The certificates of the header's value. Raises `EncodingError`."""
    if len(text) > LONGEST_CHAIN:
        raise EncodingError("the client's chain is too long", why=f"got {len(text)} characters")
    try:
        return tuple(x509.load_der_x509_certificate(decode_base64(part, "chain")) for part in text.split(","))
    except ValueError as error:
        raise EncodingError("the client's chain cannot be read", why=str(error)) from error
