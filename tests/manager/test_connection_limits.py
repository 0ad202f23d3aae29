"""How many connections and waiting requests one caller has, and who has to go when there are too many."""

from leafward.manager.connection_limits import ConnectionLimits, RequestLimits


class Connection:
    """Idle since the moment it says; None: it is at work."""

    def __init__(self, idle_since: float | None) -> None:
        self.idle_since = idle_since
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_the_limit_is_for_each_process() -> None:
    """Two processes have two counts; one that leaves makes room."""
    limits = ConnectionLimits(of_process=1)
    first = Connection(0)
    assert limits.enter(first, "a", 100)
    assert not limits.enter(Connection(0), "a", 100)
    assert limits.enter(Connection(0), "a", 200)
    limits.leave(first)
    limits.leave(first)
    assert limits.enter(Connection(0), "a", 100)


def test_a_process_that_forks_has_no_more_by_it() -> None:
    """Of one owner's connections the one that is idle the longest goes; of another's none."""
    limits = ConnectionLimits(of_owner=2)
    other, young, old = Connection(0), Connection(7), Connection(5)
    for connection, owner, process in ((other, "b", 1), (young, "a", 2), (old, "a", 3)):
        assert limits.enter(connection, owner, process)
    assert limits.enter(Connection(9), "a", 4)
    assert (other.aborted, young.aborted, old.aborted) == (False, False, True)
    assert len(limits.connections()) == 3


def test_connections_at_work_are_not_closed_for_others() -> None:
    limits = ConnectionLimits(of_owner=1)
    busy = Connection(None)
    assert limits.enter(busy, "a", 1)
    assert not limits.enter(Connection(0), "a", 2)
    assert not busy.aborted


def test_when_all_places_are_taken_who_holds_most_makes_room() -> None:
    limits = ConnectionLimits(most=4)
    greedy = [Connection(at) for at in range(3)]
    modest = Connection(-1)
    for connection in greedy:
        assert limits.enter(connection, "greedy", 1)
    assert limits.enter(modest, "modest", 2)
    assert limits.enter(Connection(9), "newcomer", 3)
    assert [connection.aborted for connection in (*greedy, modest)] == [True, False, False, False]


def test_a_caller_without_a_process_is_counted_by_its_owner() -> None:
    limits = ConnectionLimits(of_process=1)
    assert all(limits.enter(Connection(0), "tcp", 0) for _ in range(5))


def test_requests_that_wait() -> None:
    limits = RequestLimits(2)
    assert [limits.enter("a") for _ in range(3)] == [True, True, False]
    assert limits.enter("b")
    limits.leave("a")
    assert limits.enter("a")
