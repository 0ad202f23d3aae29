"""The Azure IoT device SDK for Python: Python's `ssl`, with a context of its own (TLS 1.2 alone, neither strict nor
partial, whatever Python it runs on), its root given as `server_verification_cert`. The first `connect()` raises a
`ClientError` with the error of `ssl` as its cause.
"""

from leafward.doctor.clients.openssl_chain import Manner
from leafward.doctor.clients.prediction import Client, Prediction, Shown
from leafward.doctor.clients.python import python_says


def _judge(shown: Shown) -> Prediction:
    return python_says(shown, Manner())


CLIENT = Client(name="azure-sdk-python", measured="azure-iot-device 2.14.0", judge=_judge, versions=("TLSv1.2",))
