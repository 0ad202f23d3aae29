"""The table of snippets: what each is for, and the room that writes it."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType

from leafward.cli.snippets.leaf import Leaf

# kind -> what it needs. The module is leafward.cli.snippets.KIND_code, its function `write`.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "python": "pip install azure-iot-device",
        "node": "npm install azure-iot-device azure-iot-device-mqtt",
        "c": "azure-iot-sdk-c",
        "csharp": "dotnet add package Microsoft.Azure.Devices.Client",
        "java": "com.microsoft.azure.sdk.iot:iot-device-client",
        "arduino": "an ESP32 with PubSubClient",
        "mosquitto": "mosquitto-clients",
        "openssl": "openssl 1.1.1 or later",
        "curl": "curl",
    }
)
# The Azure SDKs connect to this port and to no other.
SDK_PORT = 8883
SDKS = ("python", "node", "c", "csharp", "java")


def write(kind: str, leaf: Leaf) -> str:
    """The snippet of a kind."""
    module = importlib.import_module(f"leafward.cli.snippets.{kind}_code")
    written: str = module.write(leaf)
    return written
