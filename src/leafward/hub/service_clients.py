"""Who is connected, for the operator: `GET /hub/status`, and the end of one connection, `DELETE /hub/clients/{id}`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

from leafward.hub.hub import Hub
from leafward.hub.metrics import HubMetrics
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, json_answer, refused
from leafward.hub.sessions import Session
from leafward.wire.devicebound import written
from leafward.wire.service_api import Fault

_PATHS = ("/hub/clients/{device_id}", "/hub/clients/{device_id}/modules/{module_id}")
_PROTOCOLS = {4: "MQTT 3.1.1", 5: "MQTT 5.0"}
ENDED = "ended-by-operator"


class Clients:
    """The routes, and since when each client is here: a time for each client that has connected in this run."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._since: dict[str, datetime] = {}
        hub.broker.arrived.append(self._arrived)

    def routes(self) -> Iterable[ServiceRoute]:
        """For the table."""
        ends = [ServiceRoute("DELETE", path, self._disconnect) for path in _PATHS]
        return [ServiceRoute("GET", "/hub/status", self._status), *ends]

    def _arrived(self, session: Session) -> None:
        self._since[session.client_id] = self._hub.clock()

    async def _status(self, _call: ServiceCall) -> Answer:
        broker = self._hub.broker
        sessions = [session for name in broker.peers() if (session := broker.find(name)) is not None]
        clients = [self._client(session) for session in sessions if session.connected]
        return json_answer(
            {
                "clients": sorted(clients, key=lambda client: str(client["id"])),
                "sessions_away": len(sessions) - len(clients),
                "counters": counters(self._hub.metrics),
            }
        )

    def _client(self, session: Session) -> dict[str, Any]:
        since = self._since.get(session.client_id)
        level = None if session.terms is None else session.terms.level
        connection: Any = session.receiver
        return {
            "id": session.client_id,
            "device_id": session.peer.device_id,
            "module_id": session.peer.module_id,
            "since": None if since is None else written(since.replace(microsecond=0)),
            "protocol": getattr(connection, "protocol_name", None) or _PROTOCOLS.get(level or 0, "?"),
            "transport": getattr(connection, "transport_name", None),
            "address": str(getattr(connection, "address", "?")),
            "subscriptions": len(session.subscriptions) + len(session.plain),
            "in_flight": len(session.flow.in_flight),
            "waiting": len(session.flow.waiting),
        }

    async def _disconnect(self, call: ServiceCall) -> Answer:
        """Ends the connection; the session stays, and the client may come back at once."""
        name = call.device_id if call.module_id is None else f"{call.device_id}/{call.module_id}"
        session = self._hub.broker.find(name)
        connection: Any = None if session is None else session.receiver
        if connection is None:
            return refused(Fault.DEVICE_NOT_ONLINE, f"{name} is not connected")
        connection.end(ENDED, "leafward hub disconnect")
        return Answer(204)


def counters(metrics: HubMetrics) -> dict[str, Any]:
    """Every counter by its name; those by reason as an object; what is measured when somebody asks."""
    found = {one.name: getattr(metrics, one.name) for one in fields(metrics)}
    found |= {name: measure() for name, measure in found.pop("measured").items()}
    return {name: dict(value) if isinstance(value, Counter) else value for name, value in found.items()}
