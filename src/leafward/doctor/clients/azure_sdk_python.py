"""The Azure IoT device SDK for Python: Python's `ssl`, with a context of its own (TLS 1.2 alone, neither strict nor
partial, whatever Python it runs on), its root given as `server_verification_cert`. The first `connect()` raises a
`ClientError` that says little, with the error of `ssl` at the end of its causes.
"""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from leafward.doctor.clients.openssl_chain import Manner
from leafward.doctor.clients.prediction import Client, Prediction, Shown
from leafward.doctor.clients.python import BEFORE, python_says
from leafward.pki.extension import value

_TLS = "ClientError: Error in the IoTHub client due to TLS exchanges. (caused by SSLCertVerificationError: {})"
_BEFORE = {
    end: f"ConnectionFailedError: Could not connect to IoTHub (caused by {words})" for end, words in BEFORE.items()
}


def _judge(shown: Shown) -> Prediction:
    if not _has_a_cipher(shown.leaf):
        return Prediction.refuses(_BEFORE["handshake_failure"])
    said = python_says(shown, Manner())
    return said if said.accepts else Prediction.refuses(_TLS.format(said.message))


def _has_a_cipher(certificate: x509.Certificate) -> bool:
    """In TLS 1.2 a server picks its cipher by the key usage (RFC 8446 has no such ciphers): one of OpenSSL that may not
    sign with its elliptic key has none, and refuses before it shows its chain.
    """
    usage = value(certificate, x509.KeyUsage)
    return usage is None or usage.digital_signature or isinstance(certificate.public_key(), rsa.RSAPublicKey)


CLIENT = Client(
    name="azure-sdk-python", measured="azure-iot-device 2.14.0", judge=_judge, versions=("TLSv1.2",), words=_BEFORE
)
