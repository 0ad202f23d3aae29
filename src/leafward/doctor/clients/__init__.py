"""What other people's TLS clients would say of a chain: one file a client, each a small model that was measured.

A model is held to the real stack by `tests/doctor/test_clients.py`; what is not measured is not claimed.
"""

from leafward.doctor.clients import (
    azure_sdk_node,
    azure_sdk_python,
    gnutls,
    java,
    mbedtls,
    node,
    openssl,
    python,
    python_strict,
    wolfssl,
)
from leafward.doctor.clients.prediction import Client, Prediction

__all__ = ["CLIENTS", "Client", "Prediction"]

_ROOMS = (
    openssl,
    python,
    python_strict,
    node,
    java,
    mbedtls,
    wolfssl,
    gnutls,
    azure_sdk_python,
    azure_sdk_node,
)
CLIENTS: dict[str, Client] = {room.CLIENT.name: room.CLIENT for room in _ROOMS}
