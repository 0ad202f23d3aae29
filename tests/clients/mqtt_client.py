"""A bare MQTT client over TLS on a blocking socket: for what no SDK would send."""

import socket
import ssl
from pathlib import Path
from typing import Any, Self

from leafward.wire.connection_string import ConnectionString
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL, Connect
from leafward.wire.sas import resource_of, sign
from tests.edge import Edge

FAR_FUTURE = 4_000_000_000
TIMEOUT_SECONDS = 20.0


def username(host: str, device_id: str, module_id: str | None = None) -> str:
    """As the SDKs write it."""
    return f"{host}/{device_id}{f'/{module_id}' if module_id else ''}/?api-version=2019-10-01"


def password(connection_string: str, expiry: int = FAR_FUTURE, key: bytes | None = None) -> str:
    """A SAS token for a device's connection string."""
    parsed = ConnectionString.parse(connection_string)
    assert parsed.shared_access_key is not None
    resource = resource_of(parsed.host_name, parsed.device_id, parsed.module_id)
    return sign(resource, key or parsed.shared_access_key, expiry)


class MqttClient:
    """One connection. `receive` returns the next packet, or None when the peer has ended the connection."""

    def __init__(
        self,
        edge: Edge,
        *,
        certificate: str | None = None,
        private_key: str | None = None,
        port: int = 8883,
        level: int = PROTOCOL_LEVEL,
    ) -> None:
        context = ssl.create_default_context(cafile=str(edge.root))
        if certificate:
            context.load_cert_chain(certificate, private_key)
        plain = socket.create_connection((edge.address, port), timeout=TIMEOUT_SECONDS)
        self.socket = context.wrap_socket(plain, server_hostname=edge.hostname)
        self._level = level
        self._decoder = Decoder(level=level)
        self._packets: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, packet: Any) -> None:
        self.socket.sendall(encode(packet, self._level))

    def receive(self) -> Any:
        while not self._packets:
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLEOFError):
                return None
            if not data:
                return None
            self._packets += self._decoder.feed(data)
        return self._packets.pop(0)

    def connect(self, client_id: str, user: str, secret: str | None = None) -> Any:
        """Sends CONNECT; returns the CONNACK, or None when the connection was ended instead."""
        self.send(
            Connect(
                client_id=client_id,
                clean_session=True,
                keep_alive=60,
                username=user,
                password=secret.encode() if secret is not None else None,
            )
        )
        return self.receive()


def device_certificate(folder: Path) -> tuple[str, str]:
    return str(folder / "certificate.pem"), str(folder / "key.pem")
