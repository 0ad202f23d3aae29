"""The inputs of modules as a source of feeds: where a route leads to a module, that module's session is fed from it."""

from collections.abc import Callable, Iterable
from urllib.parse import quote

from leafward.hub.feeds import FeedSpec
from leafward.hub.sessions import Session
from leafward.store.messages import Message
from leafward.wire.hub_topics import input_topic
from leafward.wire.routes import module_input


class ModuleInputs:
    """`endpoints` are all those that a route leads to; the modules are those of device `device_id`, this edge."""

    def __init__(self, device_id: str, endpoints: Iterable[str]) -> None:
        self._device_id = device_id
        self._inputs = [(*parts, endpoint) for endpoint in endpoints if (parts := module_input(endpoint)) is not None]

    def feeds(self, session: Session) -> Iterable[FeedSpec]:
        """See `FeedSource`."""
        peer = session.peer
        # Routes lead to modules of this edge; a leaf device may have a module of the same name.
        if peer.module_id is None or peer.device_id != self._device_id:
            return
        for module_id, input_name, endpoint in self._inputs:
            if module_id != peer.module_id:
                continue
            topic = f"devices/{peer.device_id}/modules/{module_id}/inputs/{quote(input_name, safe='')}/"
            granted = session.granted(topic)
            if granted is not None:
                yield FeedSpec(endpoint, granted, _topic_of(peer.device_id, module_id, input_name))


def _topic_of(device_id: str, module_id: str, input_name: str) -> Callable[[Message], str]:
    return lambda message: input_topic(device_id, module_id, input_name, message)
