"""What the operator decides about AMQP: the `[hub.amqp]` table."""

from typing import Annotated

from pydantic import Field

from leafward.store.settings_file import Table

USUAL_PORT = 5671
_Count = Annotated[int, Field(ge=1, le=10_000, strict=True)]


class AmqpTable(Table):
    """Read where Qpid Proton is installed; without it the port stays closed whatever stands here.

    enabled       false keeps the port closed
    port          on the address of the other ports, 5671 if not set: the SDKs know no other. One that is set and cannot
                  be had keeps the hub from starting
    links         links of one connection; the SDKs have nine, and two for each further device on it
    sessions      AMQP sessions of one connection: each may hold one message and a part of the next in memory
    identities    devices and modules that share one connection
    unsettled     messages taken on one link and not yet durable: what a sender has as credit
    frame_size    bytes of the largest frame; IoT Hub's own bound
    idle_timeout  seconds of silence after which a connection ends; the peer is told, and sends empty frames
    """

    enabled: bool = True
    port: Annotated[int, Field(ge=1, le=65_535, strict=True)] | None = None
    links: _Count = 64
    sessions: Annotated[int, Field(ge=1, le=1024, strict=True)] = 16
    identities: _Count = 16
    unsettled: _Count = 256
    frame_size: Annotated[int, Field(ge=4096, le=1_048_576, strict=True)] = 65_536
    idle_timeout: Annotated[float, Field(ge=10, le=1740)] = 240.0
