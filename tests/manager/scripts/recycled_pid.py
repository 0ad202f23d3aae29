"""A process id that is used again, for real: in a process namespace of our own, where the next id can be chosen.

recycled_pid.py FOLDER      run by `unshare --pid --fork --mount-proc`; writes what each caller is, as one JSON object

1. A connects and is attached as modA. It passes its connection on (we hold it), and ends.
2. Another process gets A's id, in the same hundredth of a second where that can be had, and connects.
3. Who are the two connections?
"""

import json
import os
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from leafward.manager import callers
from leafward.manager.callers import Callers, Peer, Process

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


def child(address: str, *, pid: int | None = None) -> tuple[int, int]:
    """A process that connects and lives until its pipe is closed; its id, and the pipe."""
    reading, writing = os.pipe()
    if pid is not None:
        LAST_PID.write_text(str(pid - 1))
    made = os.fork()
    if made == 0:
        os.close(writing)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    return made, writing


def main(folder: Path, *, descriptors: bool) -> dict[str, object]:
    if not descriptors:
        callers.SO_PEERPIDFD = 0x7FFF
        callers.open_process = lambda _pid: None  # type: ignore[assignment]
    with socket.socket(socket.AF_UNIX) as listening:
        address = str(folder / f"s{int(descriptors)}")
        listening.bind(address)
        listening.listen()
        known = Callers()
        first, pipe = child(address)
        old = Peer.of(listening.accept()[0])
        known.attach(first, "modA", "g1", now=NOW)
        alive = known.module_of(old)
        os.close(pipe)
        os.waitpid(first, 0)
        gone = known.module_of(old)
        if not descriptors:
            time.sleep(0.03)  # only start times are left to tell them apart, and they are hundredths of a second
        second, pipe = child(address, pid=first)
        new = Peer.of(listening.accept()[0])
        held = known._attached[first]
        if descriptors:
            # The coarsest start times that there could be: both processes began in the same hundredth of a second.
            held.__dict__["start"] = Process.read(second).start
        found = {
            "same_pid": second == first,
            "while_alive": alive,
            "when_gone": gone,
            "old_connection": known.module_of(old),
            "new_connection": known.module_of(new),
            "listed": known.processes_of("modA"),
        }
        os.close(pipe)
        os.waitpid(second, 0)
        return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    sys.stdout.write(json.dumps([main(folder, descriptors=True), main(folder, descriptors=False)]))
