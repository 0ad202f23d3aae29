"""Lets clients that know neither TLS nor passwords talk to an edge: what stands between paho's test suites and the hub.

    suite --plain MQTT--> bridge: adds user name and token to the first CONNECT --TLS--> hub

Nothing else is changed: every byte after the CONNECT goes through as it is, both ways.
"""

import contextlib
import dataclasses
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Self

from leafward.errors import LeafwardError
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connect

_AT_ONCE = 65_536
_LARGEST = 268_435_455


class PlainBridge:
    """Listens on a loopback port until the end of its `with`.

    `tokens` gives the password of a device; `names` tells which device a client id is, where it is another one.
    """

    def __init__(self, port: int, root: str, tokens: Callable[[str], str], names: dict[str, str]) -> None:
        self._to = ("127.0.0.1", port)
        self._context = ssl.create_default_context(cafile=root)
        self._tokens = tokens
        self._names = names
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._accepting.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=[plain], daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            first = self._first(plain)
            over_tls = self._context.wrap_socket(socket.create_connection(self._to), server_hostname="localhost")
            self._open += [plain, over_tls]
            with over_tls:
                over_tls.sendall(first)
                back = threading.Thread(target=_pump, args=[over_tls, plain], daemon=True)
                back.start()
                _pump(plain, over_tls)
                back.join(10)

    def _first(self, plain: socket.socket) -> bytes:
        """The client's first packet, with what it lacks; as it came where it is no CONNECT."""
        decoder, come = Decoder(_LARGEST), b""
        while data := plain.recv(_AT_ONCE):
            come += data
            try:
                packets = decoder.feed(data)
            except LeafwardError:
                return come
            if packets:
                return b"".join(encode(self._with_login(packet), decoder.level) for packet in packets)
        return come

    def _with_login(self, packet: object) -> object:
        if not isinstance(packet, Connect):
            return packet
        device = self._names.get(packet.client_id, packet.client_id)
        client_id = device if packet.client_id else ""
        return dataclasses.replace(packet, client_id=client_id, username=device, password=self._tokens(device).encode())


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Until the source ends, and then the sink is told. What the sink does not take any more is thrown away: a client
    that still sends must not lose the hub's last word for it (RFC 1122, 4.2.2.13)."""
    with contextlib.suppress(OSError):
        while data := source.recv(_AT_ONCE):
            with contextlib.suppress(OSError):
                sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
