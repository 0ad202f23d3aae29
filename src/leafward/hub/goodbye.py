"""How the end of a connection is told to a client of MQTT 5: the reason code of DISCONNECT, and a sentence (3.14).

The words are fixed: what the hub knows of its own faults is for its log, not for a peer. A client of MQTT 3.1.1 only
sees the connection close.
"""

from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL_5, Disconnect
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason

# By the code that the log and the metrics have. Ends that no packet can follow (a closed socket, a peer that does not
# read) are not here.
_REASONS: dict[str, tuple[Reason, str]] = {
    "taken-over": (Reason.SESSION_TAKEN_OVER, "the same client id has connected again"),
    "keep-alive-timeout": (Reason.KEEP_ALIVE_TIMEOUT, "nothing came for one and a half keep-alive periods"),
    "packet-timeout": (Reason.MALFORMED_PACKET, "a packet did not end in time"),
    "credential-expired": (Reason.MAXIMUM_CONNECT_TIME, "the credential has expired: connect with a new one"),
    "no-longer-admitted": (Reason.ADMINISTRATIVE_ACTION, "the registration was changed, disabled or removed"),
    "ended-by-operator": (Reason.ADMINISTRATIVE_ACTION, "the operator has ended the connection"),
    "hub-stopping": (Reason.SERVER_SHUTTING_DOWN, "the hub stops"),
    "publish-not-allowed": (Reason.NOT_AUTHORIZED, "the topic is not this client's to publish on"),
    "not-stored": (Reason.UNSPECIFIED_ERROR, "the message could not be kept: send it again"),
    "failed": (Reason.UNSPECIFIED_ERROR, "the hub could not do it"),
    "internal-error": (Reason.UNSPECIFIED_ERROR, "a fault of the hub's"),
}


def farewell(code: str, *, reason: Reason | None = None, why: str | None = None, room: int | None = None) -> bytes:
    """The DISCONNECT for an end with this code; empty where none follows.

    `reason` and `why` are given where the client itself broke the protocol. `room`: bytes of the largest packet that
    the client takes; the sentence is left out where it does not fit (3.1.2-25, 3.14.2-3).
    """
    told = _REASONS.get(code)
    if reason is not None:
        told = (reason, why or "")
    if told is None:
        return b""
    number, text = told
    data = encode(Disconnect(number, Properties(reason_string=text[:200] or None)), PROTOCOL_LEVEL_5)
    return data if room is None or len(data) <= room else encode(Disconnect(number), PROTOCOL_LEVEL_5)
