"""What the rooms of a running hub share: one value, made by the daemon, handed to every connection."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from leafward.hub.authenticator import Authenticator
from leafward.hub.broker import Broker
from leafward.hub.endings import Endings
from leafward.hub.exchange import Exchange
from leafward.hub.guest import GuestRoom
from leafward.hub.metrics import HubMetrics
from leafward.hub.plain_policy import PlainPolicy
from leafward.hub.refusals import Refusals
from leafward.hub.requests import Requests
from leafward.hub.settings import Limits
from leafward.hub.telemetry import Intake
from leafward.hub.wills import Wills


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub's parts. `clock` gives the time in UTC."""

    limits: Limits
    metrics: HubMetrics
    refusals: Refusals
    authenticator: Authenticator
    broker: Broker
    intake: Intake
    clock: Callable[[], datetime]
    requests: Requests
    policy: PlainPolicy
    exchange: Exchange
    wills: Wills
    guests: list[GuestRoom] = field(default_factory=list)
    endings: Endings = field(default_factory=Endings)
