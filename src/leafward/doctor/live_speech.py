"""What is said on a connection once it stands: an HTTP question for the server's clock, an MQTT CONNECT as the leaf,
and the few plain words that tell what a port speaks that speaks no TLS.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from leafward.doctor.live_evidence import Login
from leafward.doctor.live_handshake import Talk
from leafward.doctor.live_wire import Address, Deadline, TooMuch, Wire
from leafward.errors import ProtocolError
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connack, Connect, Disconnect

PLAIN_SECONDS = 1.0
_MOST_HEAD = 8 * 1024
# (what it is, the bytes that it begins with)
_BEGINNINGS = (
    ("HTTP", b"HTTP/"),
    ("HTTP", b"<html"),
    ("HTTP", b"<!DOC"),
    ("SSH", b"SSH-"),
    ("AMQP", b"AMQP"),
    ("SMTP", b"220"),
    ("POP3", b"+OK"),
    ("IMAP", b"* OK"),
    ("VNC", b"RFB "),
)
_PLAIN_CONNACK = b"\x20\x02"


def spoken_by(first: bytes) -> str:
    """What a peer speaks, by its first bytes; empty where that cannot be told.

    >>> spoken_by(b"HTTP/1.1 400 Bad Request")
    'HTTP'
    """
    found = next((what for what, begins in _BEGINNINGS if first.startswith(begins)), "")
    return found or ("MQTT" if first.startswith(_PLAIN_CONNACK) else "")


def plain_speech(addresses: list[Address], deadline: Deadline, name: str) -> str:
    """What a port that hung up at TLS speaks: it is asked in plain MQTT, then in plain HTTP."""
    questions = (
        encode(Connect(client_id="leafward-doctor", keep_alive=10)),
        f"HEAD / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode("ascii", "replace"),
    )
    for question in questions:
        try:
            with Wire.to(addresses, deadline.within(PLAIN_SECONDS)) as wire:
                wire.send(question)
                if found := spoken_by(wire.receive()):
                    return found
        except (OSError, TooMuch):
            continue
    return ""


class HttpDate:
    """Asks for the head of `/`, and keeps the Date of the answer (RFC 9110 6.6.1) in `found`, aware UTC."""

    def __init__(self, name: str) -> None:
        self._name = f"[{name}]" if ":" in name else name
        self.found: datetime | None = None

    def __call__(self, talk: Talk) -> None:
        talk.send(f"HEAD / HTTP/1.1\r\nHost: {self._name}\r\nConnection: close\r\n\r\n".encode("ascii", "replace"))
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _MOST_HEAD:
            data = talk.receive()
            if not data:
                break
            head += data
        self.found = date_in(head)


def date_in(head: bytes) -> datetime | None:
    """The Date of an HTTP answer; None where there is none that reads as one."""
    if not head.startswith(b"HTTP/"):
        return None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"date":
            try:
                found = parsedate_to_datetime(value.decode("ascii", "replace").strip())
            except (ValueError, TypeError, OverflowError):
                return None
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


class MqttLogin:
    """Sends one CONNECT (MQTT 3.1.1, clean session 0, so that nothing the hub keeps for the device is lost) and takes
    the CONNACK into `result`. `password` gives the SAS token when it is wanted, None for a client certificate.
    """

    def __init__(self, client_id: str, username: str, password: Callable[[], str] | None) -> None:
        self._connect = (client_id, username)
        self._password = password
        # The server's certificate, DER, that was judged good: nobody else gets to see a token.
        self.only_to = b""
        self.result: Login | None = None

    def __call__(self, talk: Talk) -> None:
        if talk.peer != self.only_to:
            return
        client_id, username = self._connect
        secret = None if self._password is None else self._password().encode()
        talk.send(encode(Connect(client_id, 60, False, username, secret)))
        self.result = Login(client_id, username, None, "the connection was closed before a CONNACK")
        decoder = Decoder()
        while data := talk.receive():
            try:
                packets = decoder.feed(data)
            except ProtocolError as error:
                self.result = Login(client_id, username, None, f"what came is no MQTT: {error.what}")
                return
            answer = next((one for one in packets if isinstance(one, Connack)), None)
            if answer is not None:
                self.result = Login(client_id, username, answer.return_code)
                if answer.return_code == 0:
                    talk.send(encode(Disconnect()))
                return
