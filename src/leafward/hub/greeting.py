"""CONNECT judged: who it is, what it asks for, and on which terms it is let in (MQTT 3.1.1 and 5, 3.1 and 3.2).

A peer that is refused learns no more than that, so that nobody finds out which devices there are: the reason stays in
the hub's log. What is wrong with the packet itself, a client of MQTT 5 is told.
"""

from dataclasses import dataclass

from leafward.errors import LeafwardError
from leafward.hub.aliases import OutgoingAliases
from leafward.hub.delivery import Terms
from leafward.hub.hub import Hub
from leafward.hub.link import Connection
from leafward.hub.peer import Peer
from leafward.hub.plain_login import claimed, is_plain_login
from leafward.hub.plain_policy import Permit
from leafward.hub.refusals import Refusal
from leafward.hub.sessions import FOREVER
from leafward.wire.hub_topics import HubTopics, Telemetry
from leafward.wire.mqtt import packets
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL, PROTOCOL_LEVEL_5, Connack, Connect, Will
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason

_MOST_IN_FLIGHT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Rejected:
    """A CONNECT that is refused: for the log why, for the client an answer, in the version it speaks."""

    refusal: Refusal
    answer: Connack
    level: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """A CONNECT that is accepted. `answer` lacks only whether a session was there."""

    peer: Peer
    topics: HubTopics
    permit: Permit
    clean: bool
    expiry: int
    terms: Terms
    keep_alive: int
    answer: Connack
    asks_for_reasons: bool


def judge(hub: Hub, connection: Connection, packet: Connect) -> Admitted | Rejected:
    """What becomes of a CONNECT. Judges the credential at the hub's time."""
    properties = packet.properties or Properties()
    if packet.level not in (PROTOCOL_LEVEL, PROTOCOL_LEVEL_5):
        refusal = Refusal("mqtt-version", f"level {packet.level}")
        return Rejected(refusal, Connack(packets.UNACCEPTABLE_PROTOCOL_VERSION), PROTOCOL_LEVEL)
    if properties.authentication_method is not None:
        why = f"the authentication method {properties.authentication_method[:64]!r}"
        return _rejected(packet, Refusal("authentication-method", why), Reason.BAD_AUTHENTICATION_METHOD)
    peer, assigned = _identified(hub, connection, packet)
    if isinstance(peer, Refusal):
        return _rejected(packet, peer, Reason.NOT_AUTHORIZED)
    if assigned and packet.level == PROTOCOL_LEVEL and not packet.clean_session:
        refusal = Refusal("login-malformed", "no client id for a session that lasts")  # 3.1.3-8
        return Rejected(refusal, Connack(packets.IDENTIFIER_REJECTED), PROTOCOL_LEVEL)
    topics, permit = HubTopics(peer.device_id, peer.module_id), hub.policy.permit(peer.device_id, peer.module_id)
    if packet.will is not None and (wrong := _wrong_will(topics, permit, packet.will)) is not None:
        return _rejected(packet, wrong, Reason.NOT_AUTHORIZED)
    terms = _terms(hub, packet, properties)
    answer = Connack(packets.ACCEPTED)
    if packet.level == PROTOCOL_LEVEL_5:
        answer.properties = _offer(hub, packet, peer.client_id if assigned else None)
    return Admitted(
        peer=peer,
        topics=topics,
        permit=permit,
        clean=packet.clean_session,
        expiry=_expiry(packet, properties),
        terms=terms,
        keep_alive=min(packet.keep_alive, int(hub.limits.keep_alive)),
        answer=answer,
        asks_for_reasons=properties.request_problem_information != 0,
    )


def _identified(hub: Hub, connection: Connection, packet: Connect) -> tuple[Peer | Refusal, bool]:
    """Who it is, or why not; and whether the hub gives it its client id."""
    now, presented = hub.clock(), connection.presented
    if not is_plain_login(packet.username):
        return hub.authenticator.login(packet.username, packet.client_id, packet.password, presented, now), False
    try:
        login = claimed(packet.username, packet.client_id, presented)
        token = None if packet.password is None else packet.password.decode("utf-8")
    except LeafwardError as error:
        return Refusal("login-malformed", str(error)), False
    except UnicodeDecodeError:
        return Refusal("sas-malformed", "the password is not UTF-8"), False
    peer = hub.authenticator.credential(login.device_id, login.module_id, token, presented, now)
    return peer, login.assigned


def _terms(hub: Hub, packet: Connect, properties: Properties) -> Terms:
    aliases = min(properties.topic_alias_maximum or 0, hub.limits.topic_aliases)
    return Terms(
        hub.clock,
        packet.level,
        min(properties.receive_maximum or _MOST_IN_FLIGHT, hub.limits.plain_inflight),
        properties.maximum_packet_size,
        OutgoingAliases(aliases) if aliases else None,
    )


def _expiry(packet: Connect, properties: Properties) -> int:
    """MQTT 3.1.1 knows sessions that end with the connection and sessions that do not end."""
    if packet.level == PROTOCOL_LEVEL_5:
        return properties.session_expiry_interval or 0
    return 0 if packet.clean_session else FOREVER


def _offer(hub: Hub, packet: Connect, assigned: str | None) -> Properties:
    """What the hub takes (3.2.2.3)."""
    limits = hub.limits
    longest = int(limits.keep_alive)
    return Properties(
        receive_maximum=min(limits.unstored, _MOST_IN_FLIGHT),
        maximum_packet_size=limits.packet_size,
        topic_alias_maximum=limits.topic_aliases,
        assigned_client_identifier=assigned,
        server_keep_alive=None if 0 < packet.keep_alive <= longest else longest,
    )


def _rejected(packet: Connect, refusal: Refusal, reason: Reason) -> Rejected:
    answer = Connack(reason if packet.level == PROTOCOL_LEVEL_5 else packets.NOT_AUTHORISED)
    if packet.level == PROTOCOL_LEVEL_5:
        answer.properties = Properties(reason_string=_SENTENCES.get(reason))
    return Rejected(refusal, answer, packet.level)


_SENTENCES = {
    Reason.NOT_AUTHORIZED: "not admitted: the hub's log says why",
    Reason.BAD_AUTHENTICATION_METHOD: "the hub knows no extended authentication",
}


def _wrong_will(topics: HubTopics, permit: Permit, will: Will) -> Refusal | None:
    """A will is telemetry, or on a plain topic that the client may publish on."""
    allowed, retained = permit.may_publish(will.topic)
    if allowed:
        return None if retained or not will.retain else Refusal("will-not-allowed", "it must not be retained")
    try:
        parsed = topics.parse_publish(will.topic)
    except LeafwardError as error:
        return Refusal("will-not-allowed", str(error))
    return None if isinstance(parsed, Telemetry) else Refusal("will-not-allowed", "a will is telemetry")
