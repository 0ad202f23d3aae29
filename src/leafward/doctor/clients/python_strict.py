"""Python 3.13 and later: `ssl.create_default_context` is strict (AKI, SKI, key usage), and takes any trusted
certificate for an end of the path (VERIFY_X509_PARTIAL_CHAIN): a bundle with an intermediate
alone works there, and nowhere else.
"""

from leafward.doctor.clients.openssl_chain import Manner
from leafward.doctor.clients.prediction import Client, Prediction, Shown
from leafward.doctor.clients.python import python_says


def _judge(shown: Shown) -> Prediction:
    return python_says(shown, Manner(strict=True, partial=True))


CLIENT = Client(name="python-3.13-strict", measured="Python 3.13.0 with OpenSSL 3.0", judge=_judge)
