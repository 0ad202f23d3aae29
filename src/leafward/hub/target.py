"""One client that gets a message on a plain topic, and how: what its subscriptions say together."""

from dataclasses import dataclass
from typing import Self

from leafward.hub.sessions import Session
from leafward.hub.subscription import Subscription

NOT_AT_ALL = -1


@dataclass(slots=True)
class Target:
    """`qos` is the highest of the subscriptions'. `own`: the same for a message that the client itself published, which
    those with No Local do not take (MQTT 5, 3.8.3.1); `NOT_AT_ALL` where none does.
    """

    session: Session
    qos: int
    own: int
    retain_as_published: bool = False
    identifiers: tuple[int, ...] = ()

    @classmethod
    def of(cls, session: Session, subscription: Subscription) -> Self:
        """By one subscription."""
        target = cls(session, subscription.qos, NOT_AT_ALL)
        target.take_in(subscription)
        return target

    def take_in(self, subscription: Subscription) -> None:
        """Another subscription of the client takes the topic as well: one message for all, the best of each."""
        self.qos = max(self.qos, subscription.qos)
        if not subscription.no_local:
            self.own = max(self.own, subscription.qos)
        self.retain_as_published |= subscription.retain_as_published
        if subscription.identifier is not None:
            self.identifiers += (subscription.identifier,)
