"""Telemetry of a client of MQTT 5: its properties, beside those that IoT Hub's clients write into the topic.

User properties become the message's, and content type, correlation data and expiry become its system properties. What
stands in the topic as well is as the topic has it: that is where every other client of the hub would look.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from leafward.errors import ProtocolError
from leafward.wire.hub_topics import Telemetry
from leafward.wire.mqtt.properties import Properties
from leafward.wire.property_bag import MAX_PROPERTIES, check_forwardable, split_system


def merged(parsed: Telemetry, properties: Properties, clock: Callable[[], datetime]) -> Telemetry:
    """The telemetry with the packet's properties; `parsed`, which others share, stays as it is.

    Raises `ProtocolError` where they are too much together, or a name comes twice.
    """
    if len({name for name, _ in properties.user_property}) < len(properties.user_property):
        raise ProtocolError("the properties are malformed", why="a user property comes twice")
    own, system, _ = split_system(dict(properties.user_property))
    own |= parsed.properties
    system = {**_system(properties, clock), **system, **parsed.system}
    if len(own) + len(system) > MAX_PROPERTIES:
        why = f"got {len(own) + len(system)}, at most {MAX_PROPERTIES}"
        raise ProtocolError("the message has too many properties", why=why)
    check_forwardable(own, system)
    return Telemetry(own, system, parsed.output)


def _system(properties: Properties, clock: Callable[[], datetime]) -> dict[str, str]:
    found: dict[str, str] = {}
    if properties.content_type:
        found["contentType"] = properties.content_type
    if properties.payload_format_indicator:
        found["contentEncoding"] = "utf-8"
    if properties.correlation_data:
        found["correlationId"] = properties.correlation_data.decode("utf-8", "backslashreplace")
    if properties.message_expiry_interval is not None:
        until = clock() + timedelta(seconds=properties.message_expiry_interval)
        found["expiryTimeUtc"] = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return found
