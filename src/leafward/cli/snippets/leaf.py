"""What a snippet is written from: one leaf device as it is registered, and the gateway that it connects to."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from leafward.wire import sas
from leafward.wire.connection_string import ConnectionString
from leafward.wire.upstream import API_VERSION

# What stands where the secret is not to be shown: no client takes it for one.
HIDDEN = "<leafward device show {} --secrets>"
HIDDEN_TOKEN = "<leafward device snippet {} --show-secret>"  # noqa: S105 - what stands in place of one


@dataclass(frozen=True)
class Leaf:
    """A device. `key` is its symmetric key, None where it has none or it is not to be shown.

    `certificate` (leaf first, with its chain) and `private_key` are paths, None for a device with symmetric keys.
    `show_files`: what is in the key's file may be shown too.
    """

    device_id: str
    gateway: str
    mqtt_port: int
    https_port: int
    root: Path
    root_pem: str = field(repr=False)
    certificate: Path | None = None
    private_key: Path | None = None
    key: bytes | None = field(default=None, repr=False)
    show_files: bool = False
    token_hours: int = 24

    @property
    def x509(self) -> bool:
        """Whether it proves itself by a certificate."""
        return self.certificate is not None

    @property
    def connection_string(self) -> str:
        """As the SDKs read it; without the key where that is not to be shown."""
        shown = ConnectionString(
            host_name=self.gateway,
            device_id=self.device_id,
            shared_access_key=self.key,
            gateway_host_name=self.gateway,
            x509=self.x509,
        ).text()
        return shown if self.x509 or self.key else f"{shown};SharedAccessKey={HIDDEN.format(self.device_id)}"

    @property
    def token(self) -> str:
        """A SAS token that holds `token_hours` from now; a note where the key is not to be shown."""
        if self.key is None:
            return HIDDEN_TOKEN.format(self.device_id)
        expiry = int(time.time()) + self.token_hours * 3600
        return sas.sign(sas.resource_of(self.gateway, self.device_id), self.key, expiry)

    @property
    def user_name(self) -> str:
        """IoT Hub's MQTT user name."""
        return f"{self.gateway}/{self.device_id}/?api-version={API_VERSION}"

    @property
    def topic(self) -> str:
        """Where its telemetry goes by MQTT. Ids stand in topics as they are, not percent-encoded."""
        return f"devices/{self.device_id}/messages/events/"

    @property
    def telemetry_path(self) -> str:
        """Where its telemetry goes by HTTPS."""
        return f"/devices/{quote(self.device_id, safe='')}/messages/events?api-version={API_VERSION}"


def is_address(gateway: str) -> bool:
    """Whether a gateway is called by an IP address, not by a name."""
    return ":" in gateway or gateway.replace(".", "").isdigit()


def text(value: object) -> str:
    """A string literal of C, C#, Java, JavaScript and Python alike: ASCII, in double quotes."""
    return json.dumps(str(value))


def fill(template: str, **values: object) -> str:
    """The template with each `@NAME@` filled in; braces and dollars are the language's own."""
    for name, value in values.items():
        template = template.replace(f"@{name}@", str(value))
    return template
