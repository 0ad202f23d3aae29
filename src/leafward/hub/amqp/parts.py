"""What all AMQP connections of a hub share, and what one connection lets its rooms do."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography import x509

from leafward.hub.access_policies import AccessPolicies
from leafward.hub.amqp.settings import AmqpTable
from leafward.hub.devicebound import DeviceBound
from leafward.hub.devicebound_feedback import Feedback
from leafward.hub.hub import Hub
from leafward.hub.refusals import Refusal


@dataclass(frozen=True, slots=True)
class AmqpParts:
    """The hub, and what AMQP needs beside it. `generation_of` a registered device, None for one that is not.

    `waiting`: whom to wake when an endpoint of the message store has grown.
    """

    hub: Hub
    terms: AmqpTable
    host: str
    policies: AccessPolicies
    devicebound: DeviceBound
    feedback: Feedback
    generation_of: Callable[[str], str | None]
    waiting: defaultdict[str, list[Callable[[], None]]] = field(default_factory=lambda: defaultdict(list))

    def grown(self, endpoints: set[str]) -> None:
        """The message store has more for these."""
        for endpoint in endpoints:
            for wake in list(self.waiting.get(endpoint, ())):
                wake()

    def wake_for(self, endpoint: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Has `wake` called when the endpoint has more, until what is returned is called."""
        self.waiting[endpoint].append(wake)

        def stop() -> None:
            self.waiting[endpoint].remove(wake)
            if not self.waiting[endpoint]:
                del self.waiting[endpoint]

        return stop


class Host(Protocol):
    """What one connection lets its rooms do. The docstrings are at `AmqpConnection`."""

    address: str

    @property
    def ended(self) -> bool: ...
    @property
    def writable(self) -> bool: ...
    @property
    def roomy(self) -> bool: ...
    def presented(self) -> Sequence[x509.Certificate]: ...
    def refusal(self, refusal: Refusal, claimed: str) -> float: ...
    def claims_changed(self) -> None: ...
    def guarded(self, work: Callable[[], None]) -> None: ...
    def later(self, seconds: float, call: Callable[[], None]) -> object: ...
    def end(self, code: str, why: str | None = None, *, abort: bool = False) -> None: ...
