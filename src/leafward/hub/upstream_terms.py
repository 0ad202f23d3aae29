"""How a connection upstream is made, and what the server said to it: made anew for each, from files read anew."""

from dataclasses import dataclass, field

from leafward.errors import AccessDenied, LeafwardError, PeerUnavailable
from leafward.wire.mqtt import packets
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL_5, Connack, Connect
from leafward.wire.mqtt.reasons import Reason


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """`connect` holds the password. `window`: messages in flight. Times are in seconds."""

    connect: Connect = field(repr=False)
    level: int
    window: int
    keep_alive: float
    acknowledge_timeout: float


@dataclass(frozen=True, slots=True)
class Welcome:
    """What an MQTT 5 server asks of us (3.2.2.3); without a word, what the protocol says."""

    receive_maximum: int = 0xFFFF
    largest_packet: int = packets.MAX_REMAINING_LENGTH
    keep_alive: int | None = None


def welcome_of(packet: Connack) -> Welcome:
    """What a CONNACK asks."""
    told = packet.properties
    if told is None:
        return Welcome()
    return Welcome(
        told.receive_maximum or 0xFFFF,
        told.maximum_packet_size or packets.MAX_REMAINING_LENGTH,
        told.server_keep_alive or None,
    )


_CREDENTIALS = "check the credential, and that it is this upstream's"
OLD_SERVER = 'the server speaks MQTT 3.1.1 only: hub.upstream.version = "3.1.1"'
# Table 3.1 of MQTT 3.1.1; an MQTT 5 client of an older server gets the same.
_CODES = {
    packets.UNACCEPTABLE_PROTOCOL_VERSION: ("it does not speak this version of MQTT", OLD_SERVER),
    packets.IDENTIFIER_REJECTED: ("it does not take our client id", "set hub.upstream.client_id"),
    packets.SERVER_UNAVAILABLE: ("it is not available", None),
    packets.BAD_USER_NAME_OR_PASSWORD: ("bad user name or password", _CREDENTIALS),
    packets.NOT_AUTHORISED: ("not authorised", _CREDENTIALS),
}
_REASONS = {
    Reason.UNSUPPORTED_PROTOCOL_VERSION: OLD_SERVER,
    Reason.CLIENT_IDENTIFIER_NOT_VALID: "set hub.upstream.client_id",
    Reason.BAD_USER_NAME_OR_PASSWORD: _CREDENTIALS,
    Reason.NOT_AUTHORIZED: _CREDENTIALS,
    Reason.BAD_AUTHENTICATION_METHOD: _CREDENTIALS,
}


def refusal(packet: Connack, level: int) -> LeafwardError:
    """The error of a CONNACK that says no."""
    code = packet.return_code
    if level != PROTOCOL_LEVEL_5 or code in _CODES:
        why, hint = _CODES.get(code, (f"return code {code}", None))
    else:
        try:
            why, hint = Reason(code).name.lower().replace("_", " "), _REASONS.get(Reason(code))
        except ValueError:
            why, hint = f"reason 0x{code:02x}", None
    kind = PeerUnavailable if hint is None else AccessDenied
    return kind("upstream refuses the connection", why=why, hint=hint)


def named(reason: int, text: str | None) -> str:
    """A reason code as people read it, and what the server says beside it, made harmless."""
    try:
        name = Reason(reason).name.lower().replace("_", " ")
    except ValueError:
        name = "unknown reason"
    shown = "" if not text else ": " + "".join(letter if letter.isprintable() else " " for letter in text[:200])
    return f"{name} (0x{reason:02x}){shown}"
