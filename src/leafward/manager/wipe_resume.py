"""First thing at every start: a wipe that was interrupted is finished. Imports nothing slow: it is seldom needed."""

from leafward.manager.time_floor import TimeFloor
from leafward.store.home import Home


def resume_wipe(home: Home, time: TimeFloor) -> bool:
    """Finishes an interrupted wipe, for a start that holds the manager's lock; False where there is none.

    Settings that were read before are the former owner's where this is True. Raises `LeafwardError`: nothing may start.
    """
    if not home.wipe_marker.exists():
        return False
    from leafward.manager import wipe  # noqa: PLC0415 - see the top of this room

    return wipe.resume_wipe(home, time)
