"""A shared subscription (MQTT 5, 4.8.2): each message goes to one of its members, in turn."""

from leafward.hub.sessions import Session
from leafward.hub.subscription import Subscription
from leafward.hub.target import Target


class ShareGroup:
    """The members of one `$share/{name}/{filter}`."""

    __slots__ = ("_members", "_next")

    def __init__(self) -> None:
        self._members: list[Target] = []
        self._next = 0

    def __bool__(self) -> bool:
        return bool(self._members)

    def add(self, session: Session, subscription: Subscription) -> bool:
        """Adds a member, or gives it another subscription. Whether it is new."""
        target = Target.of(session, subscription)
        for number, member in enumerate(self._members):
            if member.session is session:
                self._members[number] = target
                return False
        self._members.append(target)
        return True

    def remove(self, session: Session) -> bool:
        """Takes a member out; False where it is none."""
        kept = [member for member in self._members if member.session is not session]
        gone = len(kept) < len(self._members)
        self._members = kept
        return gone

    def pick(self, *, waits: bool) -> Target | None:
        """Whose turn it is: the next member that can take a message now, else the next that is here, else, where the
        message can wait (`waits`), one whose session lasts. None when nobody is to get it."""
        here = away = None
        count = len(self._members)
        for step in range(count):
            number = (self._next + step) % count
            member = self._members[number]
            flow = member.session.flow
            if flow.receiver is None:
                if away is None and waits and member.qos and not member.session.clean:
                    away = number
            elif flow.open and not flow.waiting:
                self._next = number + 1
                return member
            elif here is None:
                here = number
        chosen = away if here is None else here
        if chosen is None:
            return None
        self._next = chosen + 1
        return self._members[chosen]
