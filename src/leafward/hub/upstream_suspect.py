"""Which message ends the connection, where one does.

MQTT 3.1.1 has no word for refusing a message: the server hangs up, as it does for a hundred other reasons. So when it
has hung up with messages unacknowledged, the oldest of them is sent alone on the next connection. Arrives it, it was
not the one. Ends the connection with only this message on it, so many times one after the other, it is set aside.

A network that fails does the same to any message, but not so many times to the same one; and what is set aside is kept.
"""


class Suspect:
    """The message under suspicion, if there is one; `attempts` is how often it may end a connection alone."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._ended = 0
        self.number: int | None = None
        self.queue: str | None = None

    def room(self, room: int, in_flight: int) -> int:
        """How many messages may be sent now, of `room`: a suspect goes alone."""
        return room if self.number is None else min(room, 1 - in_flight)

    def arrived(self, number: int) -> None:
        """The server has a message, or has refused it by name."""
        if number == self.number:
            self.clear()

    def first(self, number: int | None) -> None:
        """The first message of the suspect's queue. Where it is another one or none, the suspect is there no more."""
        if self.number is not None and number != self.number:
            self.clear()

    def ended(self, numbers: list[int], queue: str) -> int | None:
        """The server has hung up with these unacknowledged, oldest first, of which the first is of `queue`.

        The number of the message to set aside, if it is time.
        """
        first = numbers[0]
        if first != self.number:
            self.number, self.queue, self._ended = first, queue, 0
        if len(numbers) == 1:
            self._ended += 1
        if self._ended < self._attempts:
            return None
        self.clear()
        return first

    def clear(self) -> None:
        """Nobody is under suspicion."""
        self.number = self.queue = None
        self._ended = 0
