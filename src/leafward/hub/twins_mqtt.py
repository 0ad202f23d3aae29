"""What devices and modules ask of their twin by MQTT, and what they are told.

$iothub/twin/GET/?$rid=1                                 200 both documents
$iothub/twin/PATCH/properties/reported/?$rid=2           204, the new version in the topic
                                                         400 no JSON, or beyond a bound; 412 another `$version`
either                                                   429 too many wait
"""

from leafward.hub.hub import Hub
from leafward.hub.peer import Peer
from leafward.hub.sessions import Session
from leafward.hub.twins import Changed, Outcome, TwinFailure, Twins
from leafward.store.twins import TwinKey
from leafward.wire.api_fields import moment, to_json
from leafward.wire.hub_topics import TwinGet, TwinReported, twin_response_topic
from leafward.wire.service_api import Fault
from leafward.wire.twins import MAX_PROPERTIES, Twin, parse_patch

# Bytes of a patch as it comes: blanks and escapes may make it twice what is kept of it.
MAX_PATCH = 2 * MAX_PROPERTIES


class MqttTwins:
    """Answers twin requests of the clients of one hub."""

    def __init__(self, hub: Hub, twins: Twins) -> None:
        self._hub = hub
        self._twins = twins
        hub.requests.on(TwinGet, self._get)
        hub.requests.on(TwinReported, self._reported)

    def _get(self, session: Session, peer: Peer, request: TwinGet, _payload: bytes) -> None:
        def done(outcome: Outcome) -> None:
            if isinstance(outcome, TwinFailure):
                self._refuse(session, request.request_id, outcome)
            else:
                _answer(session, twin_response_topic(200, request.request_id), to_json(outcome.for_device()))

        self._twins.ask(key_of(peer), done)

    def _reported(self, session: Session, peer: Peer, request: TwinReported, payload: bytes) -> None:
        if len(payload) > MAX_PATCH:
            why = f"the patch has {len(payload)} bytes, at most {MAX_PATCH} are read"
            self._refuse(session, request.request_id, TwinFailure(Fault.ARGUMENT_INVALID, why))
            return
        now = self._hub.clock()

        def how(twin: Twin) -> Changed | TwinFailure:
            if request.version not in (None, twin.reported.version):
                why = f"the reported properties are in version {twin.reported.version}, not {request.version}"
                return TwinFailure(Fault.PRECONDITION_FAILED, why)
            patch = parse_patch(payload)
            return Changed(twin.reporting(patch, now), reported=patch)

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, TwinFailure):
                self._refuse(session, request.request_id, outcome)
            else:
                _answer(session, twin_response_topic(204, request.request_id, outcome.reported.version), b"")

        self._twins.ask(key_of(peer), done, how, size=len(payload))

    def _refuse(self, session: Session, request_id: str, failure: TwinFailure) -> None:
        """Node's SDK goes by `errorCode` in the body, Python's by the status in the topic."""
        body = {
            "errorCode": failure.fault.number,
            "message": failure.why,
            "timestampUtc": moment(self._hub.clock()),
        }
        _answer(session, twin_response_topic(failure.fault.status, request_id), to_json(body))


def _answer(session: Session, topic: str, body: bytes) -> None:
    session.send(topic, body, qos=1, always=True)


def key_of(peer: Peer) -> TwinKey:
    """Whose twin an admitted client's is."""
    return TwinKey(peer.device_id, peer.module_id, peer.generation_id)
