"""A message's properties as IoT Hub's REST API has them: in headers, or under the same names in a JSON object.

`iothub-messageid`, `iothub-expiry`, … are system properties, by their long names here; `iothub-app-NAME` is the
sender's property NAME.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import quote

APPLICATION = "iothub-app-"
# Which feedback the sender of a message to a device wants. It has no short name for topics.
ACK = "iothub-ack"
# IoT Hub's headers, lower-cased -> the long names of the system properties.
SYSTEM_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "iothub-messageid": "messageId",
        "iothub-correlationid": "correlationId",
        "iothub-userid": "userId",
        "iothub-to": "to",
        "iothub-contenttype": "contentType",
        "iothub-contentencoding": "contentEncoding",
        "iothub-expiry": "expiryTimeUtc",
        "iothub-creationtimeutc": "creationTimeUtc",
        ACK: ACK,
    }
)
_HEADERS = {long: header for header, long in SYSTEM_HEADERS.items()}
# What may stand in a header's name (RFC 9110 5.6.2) beside letters and digits; all else is percent-encoded.
_KEPT = "!#$&'*+^`|"


def read_headers(headers: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """(properties, system properties) of a request's headers. Other headers are passed over."""
    properties: dict[str, str] = {}
    system: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower.startswith(APPLICATION) and len(name) > len(APPLICATION):
            properties[name[len(APPLICATION) :]] = value
        elif lower in SYSTEM_HEADERS:
            system[SYSTEM_HEADERS[lower]] = value
    return properties, system


def write_headers(properties: Mapping[str, str], system: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer. A name that can be no header's is percent-encoded."""
    headers = {_HEADERS[name]: value for name, value in system.items() if name in _HEADERS}
    return headers | {f"{APPLICATION}{quote(name, safe=_KEPT)}": value for name, value in properties.items()}
