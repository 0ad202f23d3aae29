"""The `[hub.upstream]` table: where messages go whose route leads upstream. Without it they stay here.

    [hub.upstream]
    kind = "iot-hub"                                # a real IoT Hub, as a module or device of it
    connection_string_file = "upstream-connection-string"

    [hub.upstream]
    kind = "mqtt"                                   # any MQTT broker over TLS
    host = "broker.site7.example"
    topic = "plant/{device}/{module}/{output}"
    username = "gateway"
    password_file = "broker-password"

    [hub.upstream]
    kind = "leafward"                               # the hub of the gateway above this one (docs/nested.md)
    connection_string_file = "upstream-connection-string"

Files are named relative to the settings file.
"""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from leafward.errors import LeafwardError
from leafward.pki.names import parse_host
from leafward.store.settings_file import Table
from leafward.wire.upstream_topic import TopicTemplate

Name = Annotated[str, Field(min_length=1, max_length=1024)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

SYSTEM_ROOTS, BUNDLE = "system", "bundle"


def _host(text: object) -> object:
    if isinstance(text, str):
        try:
            parse_host(text)
        except LeafwardError as error:
            raise ValueError(str(error)) from error
    return text


def _topic(text: object) -> object:
    if isinstance(text, str):
        try:
            TopicTemplate.parse(text)
        except LeafwardError as error:
            raise ValueError(str(error)) from error
    return text


class UpstreamTable(Table):
    """One upstream.

    kind                    "iot-hub", "mqtt" or "leafward"
    connection_string_file  for "iot-hub" and "leafward": holds the connection string of a module (or device) there;
                            read at each connection, so that a new key needs no restart
    host, port              the broker; a connection string names its host itself
    certificate, key        PEM files: the client certificate with its chain, and its private key
    username, password_file of the broker
    client_id               at the broker; the gateway's device id if not set
    topic                   where a message goes at the broker: {device}, {module}, {output} and {gateway} are replaced,
                            and a level that is empty then is left out
    body                    "as-is", or "envelope": the line of `leafward messages --json` with the message's number
    version                 of MQTT, for "mqtt": 5 says why it refuses a message, 3.1.1 cannot
    trust                   who vouches for the server: "system" (the roots of this system), "bundle" (this gateway's
                            trust bundle), or a PEM file. "bundle" for "leafward", else "system"
    window                  messages sent and not yet acknowledged
    keep_alive              seconds of silence after which a PING is sent, and as long again until the answer
    connect_timeout         seconds for TCP, TLS and CONNACK together
    acknowledge_timeout     seconds that a message may stay unacknowledged on a connection that stands
    first_pause, longest_pause  seconds before a connection is tried again: from the first to the longest, doubling
    attempts                times that a message is sent alone, and ends the connection, before it is set aside
    token_lifetime          seconds that a token is good for; a new one is made at four fifths of it
    """

    kind: Literal["iot-hub", "mqtt", "leafward"]
    connection_string_file: Name | None = None
    host: Annotated[Name, BeforeValidator(_host)] | None = None
    port: Annotated[int, Field(ge=1, le=65_535, strict=True)] = 8883
    certificate: Name | None = None
    key: Name | None = None
    username: Name | None = None
    password_file: Name | None = None
    client_id: Name | None = None
    topic: Annotated[Name, BeforeValidator(_topic)] | None = None
    body: Literal["as-is", "envelope"] = "as-is"
    version: Literal["3.1.1", "5"] = "5"
    trust: Name | None = None
    window: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 500
    keep_alive: Annotated[int, Field(ge=5, le=1800, strict=True)] = 60
    connect_timeout: Seconds = 30.0
    acknowledge_timeout: Seconds = 120.0
    first_pause: Seconds = 1.0
    longest_pause: Seconds = 60.0
    attempts: Annotated[int, Field(ge=1, le=1000, strict=True)] = 5
    token_lifetime: Annotated[int, Field(ge=60, le=31_536_000, strict=True)] = 3600

    @property
    def trusted(self) -> str:
        """Who vouches for the server, default filled in."""
        return self.trust or (BUNDLE if self.kind == "leafward" else SYSTEM_ROOTS)

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        needed = ("host", "topic") if self.kind == "mqtt" else ("connection_string_file",)
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(f"kind {self.kind!r} needs {' and '.join(missing)}")
        others = ("connection_string_file",) if self.kind == "mqtt" else ("host", "username", "password_file", "topic")
        if surplus := [name for name in others if getattr(self, name) is not None]:
            raise ValueError(f"kind {self.kind!r} has no use for {' and '.join(surplus)}")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or none")
        if self.password_file is not None and self.username is None:
            raise ValueError("a password_file needs a username")
        if self.longest_pause < self.first_pause:
            raise ValueError("longest_pause is shorter than first_pause")
        return self
