"""What the operator decides about messages to devices: the `[hub.devicebound]` table."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from leafward.store.settings_file import Table

_Seconds = Annotated[float, Field(ge=1, le=2_592_000)]


class DeviceBoundTable(Table):
    """The defaults are IoT Hub's.

    queue                 messages that may wait for one device; the next one is refused
    deliveries            attempts to deliver one message; then it is given up, and that is told
    time_to_live          seconds a message waits whose sender does not say until when
    longest_time_to_live  seconds a sender may ask for
    lock                  seconds a device has for a message that it fetched over HTTPS
    """

    queue: Annotated[int, Field(ge=1, le=1000, strict=True)] = 50
    deliveries: Annotated[int, Field(ge=1, le=100, strict=True)] = 10
    time_to_live: _Seconds = 3600.0
    longest_time_to_live: _Seconds = 172_800.0
    lock: Annotated[float, Field(ge=1, le=300)] = 60.0

    @property
    def default_life(self) -> timedelta:
        """How long a message waits whose sender says nothing."""
        return timedelta(seconds=self.time_to_live)

    @property
    def longest_life(self) -> timedelta:
        """How long one may be asked to wait."""
        return timedelta(seconds=self.longest_time_to_live)
